// Processes and threads that are born, execute programs and end all the time.
// "births" counts them; "stop" ends it and tells what went wrong.
#include "victim.h"
#include <spawn.h>

extern char **environ;
static atomic_int *births, *end;
static char *self;

#define CHECK(x) \
	do { \
		if (!(x)) { \
			wrong("%s is false, errno %s", #x, strerror(errno)); \
			return NULL; \
		} \
	} while (0)

static void *forks(void *arg) {
	while (!*end) {
		int st;
		pid_t p = fork();
		CHECK(p >= 0);
		if (!p)
			_exit(3);
		CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 3);
		++*births;
	}
	return NULL;
}
static void *spawns(void *arg) {
	char *argv[] = {self, "exit", NULL};
	while (!*end) {
		int st;
		pid_t p;
		CHECK(posix_spawn(&p, self, NULL, NULL, argv, environ) == 0);
		CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 4);
		++*births;
	}
	return NULL;
}
static void *slow_vfork(void *arg) {
	while (!*end) {
		int st;
		pid_t p = vfork();
		if (!p) {
			usleep(2000); // a long time for a parent that cannot be stopped
			_exit(5);
		}
		CHECK(p > 0 && waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 5);
		++*births;
	}
	return NULL;
}
static void *nothing(void *arg) { return arg; }
static void *threads(void *arg) {
	while (!*end) {
		pthread_t t[3];
		void *r;
		for (long i = 0; i < 3; i++)
			CHECK(pthread_create(&t[i], NULL, nothing, (void *)i) == 0);
		for (long i = 0; i < 3; i++)
			CHECK(pthread_join(t[i], &r) == 0 && (long)r == i);
		++*births;
	}
	return NULL;
}
static void *execs_in_thread(void *arg) {
	execl(self, self, "exit", NULL);
	return NULL;
}
static void *thread_execs(void *arg) {
	while (!*end) {
		int st;
		pid_t p = fork();
		CHECK(p >= 0);
		if (!p) {
			pthread_t t;
			pthread_create(&t, NULL, execs_in_thread, NULL);
			for (;;)
				pause();
		}
		CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 4);
		++*births;
	}
	return NULL;
}
static void *signals(void *arg) {
	while (!*end) {
		siginfo_t i;
		sigset_t s;
		sigemptyset(&s);
		sigaddset(&s, SIGRTMIN);
		pthread_kill(pthread_self(), SIGRTMIN);
		CHECK(sigwaitinfo(&s, &i) == SIGRTMIN);
		++*births;
	}
	return NULL;
}

int main(int argc, char **argv) {
	if (argc > 1)
		return 4;
	self = argv[0];
	births = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	end = births + 1;
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	void *(*all[])(void *) = {forks, spawns, slow_vfork, threads, thread_execs, signals};
	enum { N = sizeof all / sizeof all[0] };
	pthread_t t[N];
	for (int i = 0; i < N; i++)
		pthread_create(&t[i], NULL, all[i], NULL);
	say("ready");
	while (question()) {
		if (is("births")) {
			say("births=%d", *births);
		} else if (is("stop")) {
			*end = 1;
			for (int i = 0; i < N; i++)
				pthread_join(t[i], NULL);
			if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
				wrong("a child is left");
			report();
		}
	}
	return 0;
}
