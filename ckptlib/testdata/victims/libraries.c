// A program with many shared libraries, each of which counts for itself.
#include "victim.h"
#include <dlfcn.h>

int main(int argc, char **argv) {
	int n = atoi(argv[2]);
	int (**count)(void) = calloc(n, sizeof *count);
	for (int i = 0; i < n; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%d.so", argv[1], i);
		void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!lib || !(count[i] = dlsym(lib, "count"))) {
			say("%s", dlerror());
			return 1;
		}
		for (int k = 0; k < i; k++)
			count[i]();
	}
	say("ready");
	while (question()) {
		long sum = 0;
		for (int i = 0; i < n; i++)
			sum += count[i]();
		say("%ld", sum);
	}
	return 0;
}
