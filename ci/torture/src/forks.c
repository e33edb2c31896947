// Processes that are born, execute a program, and end, each with a status that
// its parent knows; some stay zombies for a while, some lose their parent.
#include "torture.h"
#include <spawn.h>

extern char **environ;

static atomic_ulong *births; // by those born

static void reap(pid_t p, int want) {
	int status;
	siginfo_t i = {0};
	CHECK(waitid(P_PID, p, &i, WEXITED | WNOWAIT) == 0 && i.si_pid == p && i.si_status == want); // still a zombie
	CHECK(waitpid(p, &status, 0) == p && WIFEXITED(status) && WEXITSTATUS(status) == want);
	CHECK(waitpid(p, &status, 0) == -1 && errno == ECHILD); // once only
}

static void born(struct sequence *s, int code) {
	atomic_fetch_add(births, 1);
	nap(s, 3000);
	_exit(code);
}

// orphan leaves a grandchild behind that tells its end by a pipe.
static void orphan(struct sequence *s) {
	int p[2];
	char c = 0;
	CHECK(pipe(p) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		pid_t grandchild = fork();
		CHECK(grandchild >= 0);
		if (grandchild > 0)
			_exit(0);
		while (getppid() == child)
			nap(s, 100);
		atomic_fetch_add(births, 1);
		CHECK(write(p[1], "x", 1) == 1);
		_exit(0);
	}
	close(p[1]);
	await(child);
	CHECK(read(p[0], &c, 1) == 1 && c == 'x');
	CHECK(read(p[0], &c, 1) == 0);
	close(p[0]);
}

static void executed(int code) {
	char word[8];
	pid_t p;
	snprintf(word, sizeof word, "%d", code);
	char *argv[] = {(char *)program, "exit", word, NULL};
	CHECK((errno = posix_spawn(&p, program, NULL, NULL, argv, environ)) == 0); // by vfork
	reap(p, code);
}

void forks(void) {
	births = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(births != MAP_FAILED);
	struct sequence s = sequence(200);
	for (unsigned long n = 0; !ending(); step()) {
		int many = 1 + draw(&s, 4), code = draw(&s, 256);
		pid_t p[4];
		for (int i = 0; i < many; i++) {
			p[i] = fork();
			CHECK(p[i] >= 0);
			if (p[i] == 0) {
				struct sequence own = sequence(201 + n + i);
				born(&own, (code + i) % 256);
			}
		}
		nap(&s, 2000);
		for (int i = many - 1; i >= 0; i--)
			reap(p[i], (code + i) % 256);
		n += many;
		if (draw(&s, 3) == 0)
			executed(code);
		if (draw(&s, 5) == 0) {
			orphan(&s);
			n++;
		}
		if (atomic_load(births) != n)
			broken("%lu processes were made and %lu were born", n, atomic_load(births));
		nap(&s, 5000);
	}
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}
