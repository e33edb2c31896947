// Mapped files whose fate the test decides: arguments are their paths.
#include "victim.h"

enum { PAGE = 4096, SIZE = 8 * PAGE + 100 };
static char *priv[8], *shared;

int main(int argc, char **argv) {
	for (int i = 1; i < argc - 1; i++) {
		int fd = MUST(open(argv[i], O_RDONLY | O_CLOEXEC));
		// Longer than the file, as ld.so maps libraries.
		priv[i] = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		if (priv[i] == MAP_FAILED)
			MUST(-1);
		close(fd);
		strcpy(priv[i] + 3 * PAGE, "patched");
	}
	int fd = MUST(open(argv[argc - 1], O_RDWR | O_CLOEXEC));
	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	say("ready");
	while (question()) {
		if (is("check")) {
			char b[2048] = "";
			for (int i = 1; i < argc - 1; i++)
				sprintf(b + strlen(b), "%.4s %.7s %.4s %.4s, ", priv[i], priv[i] + 3 * PAGE, priv[i] + 5 * PAGE, priv[i] + SIZE - 4);
			say("%d %s shared %.6s", getpid(), b, shared);
		} else if (is("share")) {
			memcpy(shared, "memory", 6);
			say("%d", msync(shared, SIZE, MS_SYNC));
		}
	}
	return 0;
}
