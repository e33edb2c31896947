// Processes whose first thread has ended: this one, a child that ends when it is
// told to, one that the job has stopped, and one that wants to hear of its
// parent's end.
#include "victim.h"

static int go[2], ready[2];

static void *waits(void *arg) {
	char c;
	MUST(prctl(PR_SET_NAME, "goes on"));
	MUST(write(ready[1], "x", 1));
	MUST(read(go[0], &c, 1));
	syscall(SYS_exit_group, 5);
	return NULL;
}

static pid_t outlived(int status) {
	pid_t child = MUST(fork());
	if (!child) {
		pthread_t t;
		pthread_create(&t, NULL, waits, NULL);
		MUST(prctl(PR_SET_NAME, "a first thread"));
		syscall(SYS_exit, status);
	}
	char c;
	MUST(read(ready[0], &c, 1));
	while (state_of(child) != 'Z')
		usleep(1000);
	return child;
}

static atomic_int late;
static void alarmed(int sig) { late++; }

static void *answers(void *arg) {
	int status;
	while (state(getpid()) != 'Z')
		usleep(1000);
	pid_t ends = outlived(3), stopped = outlived(4);
	MUST(kill(stopped, SIGSTOP));
	MUST(waitpid(stopped, &status, WUNTRACED));
	pid_t heir = MUST(fork());
	if (!heir) {
		MUST(prctl(PR_SET_PDEATHSIG, SIGTERM));
		MUST(write(ready[1], "x", 1));
		for (;;)
			pause();
	}
	char c;
	MUST(read(ready[0], &c, 1));
	char *own = strdup("kept");
	say("ready");
	while (question()) {
		if (is("who")) {
			char name[16];
			int fd = open("/proc/self/comm", O_RDONLY);
			name[MUST(read(fd, name, sizeof name)) - 1] = 0;
			close(fd);
			say("process %d thread %d leader %c (%s) %s%s", getpid(), gettid(), state(getpid()), name, own, trouble);
		} else if (is("children")) {
			say("%c %c %c", state_of(ends), state_of(stopped), state_of(heir));
		} else if (is("signal")) {
			late = 0;
			MUST(kill(getpid(), SIGUSR1));
			while (!late)
				sched_yield();
			say("handled");
		} else if (is("grow")) {
			char *p = malloc(8 << 20);
			memset(p, 'x', 8 << 20);
			say("%c", p[5 << 20]);
		} else if (is("end")) {
			int a, b, c;
			MUST(write(go[1], "x", 1));
			MUST(waitpid(ends, &a, 0));
			MUST(kill(stopped, SIGCONT));
			MUST(write(go[1], "x", 1));
			MUST(waitpid(stopped, &b, 0));
			MUST(kill(heir, SIGTERM));
			MUST(waitpid(heir, &c, 0));
			say("%d %d %d", WEXITSTATUS(a), WEXITSTATUS(b), WTERMSIG(c));
		}
	}
	_exit(0);
}

int main(void) {
	pthread_t t;
	struct sigaction a = {.sa_handler = alarmed, .sa_flags = SA_RESTART};
	MUST(sigaction(SIGUSR1, &a, NULL));
	MUST(pipe(go));
	MUST(pipe(ready));
	pthread_create(&t, NULL, answers, NULL);
	pthread_exit(NULL);
}
