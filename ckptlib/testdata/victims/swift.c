// Kills all its children as soon as a file exists, and says how many ended so.
//
// usage: swift FILE
#include "victim.h"

int main(int argc, char **argv) {
	enum { N = 40 };
	pid_t child[N];
	for (int i = 0; i < N; i++) {
		child[i] = fork();
		if (!child[i])
			for (;;)
				pause();
	}
	say("ready");
	while (access(argv[1], F_OK) != 0)
		;
	for (int i = 0; i < N; i++)
		kill(child[i], SIGKILL);
	int killed = 0, st;
	while (wait(&st) > 0)
		killed += WIFSIGNALED(st);
	say("killed %d", killed);
	return 0;
}
