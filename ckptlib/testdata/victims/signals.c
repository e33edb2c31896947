// Dispositions of every kind, pending signals, and children that are stopped.
#include "victim.h"

struct kernel_sigaction {
	unsigned long handler, flags, restorer, mask;
};

static void handler(int sig) {}
static void info(int sig, siginfo_t *i, void *u) {}
static pthread_t other;
static sigset_t blocked;
static int tell[2], hear[2];
static atomic_int taken, take;
static char private[8192];

// taking lists what is pending, in the order in which it comes.
static void taking(char *b) {
	struct timespec zero = {0, 0};
	siginfo_t i;
	*b = 0;
	while (sigtimedwait(&blocked, &i, &zero) > 0)
		sprintf(b + strlen(b), "%d/%d/%d/%lx ", i.si_signo, i.si_code, i.si_code > 0 ? 0 : i.si_pid, i.si_code == SI_QUEUE ? (long)i.si_ptr : 0);
}

static void *second(void *arg) {
	taken = 1;
	while (!take)
		usleep(1000);
	taking(private);
	taken = 2;
	return NULL;
}

static void thread_signal(pthread_t t, int sig, long value) {
	union sigval v = {.sival_ptr = (void *)value};
	if (pthread_sigqueue(t, sig, v))
		wrong("pthread_sigqueue");
}

static void action(int sig, unsigned long flags, void (*h)(int)) {
	struct sigaction a = {.sa_handler = h, .sa_flags = flags};
	sigaddset(&a.sa_mask, SIGRTMIN + 20);
	sigaddset(&a.sa_mask, sig == SIGINT ? SIGQUIT : SIGINT);
	MUST(sigaction(sig, &a, NULL));
}

static void *idle(void *arg) {
	for (;;)
		pause();
	return NULL;
}

// echoing makes a child with a second thread that answers bytes.
static pid_t echoing(void) {
	pid_t p = MUST(fork());
	if (p)
		return p;
	pthread_t t;
	char c;
	sigset_t none;
	setpgid(0, 0); // a group that is not orphaned can be stopped by SIGTSTP
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pthread_create(&t, NULL, idle, NULL);
	while (read(tell[0], &c, 1) == 1)
		if (write(hear[1], &c, 1) != 1)
			break;
	_exit(1);
}

static int stops(pid_t p) {
	siginfo_t i = {0};
	MUST(waitid(P_PID, p, &i, WSTOPPED | WNOHANG | WNOWAIT));
	return i.si_pid ? i.si_status : 0;
}

static void stop(pid_t p, int sig, int see) {
	siginfo_t i;
	usleep(10000); // its second thread is there, too
	kill(p, sig);
	MUST(waitid(P_PID, p, &i, WSTOPPED | (see ? 0 : WNOWAIT)));
}

int main(void) {
	action(SIGHUP, SA_RESTART | SA_NODEFER | SA_ONSTACK, handler);
	action(SIGINT, SA_RESETHAND, handler);
	action(SIGQUIT, SA_SIGINFO | SA_RESTART, (void (*)(int))info);
	action(SIGUSR1, 0x20000000 | 0x800, handler); // SA_EXPOSE_TAGBITS, which not every kernel keeps
	action(SIGPIPE, 0, SIG_IGN);
	action(SIGTTOU, SA_RESTART, SIG_IGN);
	action(SIGTRAP, 0, SIG_IGN);
	action(SIGCHLD, SA_NOCLDWAIT | SA_NOCLDSTOP, SIG_DFL);
	action(SIGWINCH, SA_NODEFER, handler);
	for (int s = SIGRTMIN + 10; s <= SIGRTMAX; s += 3)
		action(s, s % 2 ? SA_SIGINFO : SA_RESTART, handler);
	MUST(pipe(tell));
	MUST(pipe(hear));

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigaddset(&blocked, SIGCHLD);
	sigaddset(&blocked, SIGALRM);
	for (int s = SIGRTMIN; s < SIGRTMIN + 6; s++)
		sigaddset(&blocked, s);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	pthread_create(&other, NULL, second, NULL);
	while (!taken)
		usleep(1000);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR2); // the second is lost
	for (long i = 0; i < 40; i++) {
		union sigval v = {.sival_ptr = (void *)(0x7000000000L + i)};
		MUST(sigqueue(getpid(), SIGRTMIN + i % 3, v));
	}
	for (long i = 0; i < 5; i++) {
		thread_signal(pthread_self(), SIGRTMIN + 4, 100 + i);
		thread_signal(other, SIGRTMIN + 4, 200 + i);
	}
	raise(SIGALRM);
	pthread_kill(other, SIGALRM);

	pid_t seen = echoing(), unseen = echoing();
	stop(seen, SIGSTOP, 1);
	stop(unseen, SIGTSTP, 0);
	say("ready");
	while (question()) {
		if (is("actions")) {
			static char b[8192];
			int k = 0;
			for (int s = 1; s <= 64; s++) {
				struct kernel_sigaction a;
				if (s == SIGKILL || s == SIGSTOP)
					continue;
				MUST(syscall(SYS_rt_sigaction, s, NULL, &a, 8));
				if (a.handler || a.flags & ~0x4000000UL)
					k += sprintf(b + k, "%d:%lx/%lx/%lx/%lx ", s, a.handler, a.flags, a.restorer, a.mask);
			}
			say("%s", b);
		} else if (is("pending")) {
			sigset_t s;
			sigpending(&s);
			say("%lx", *(long *)&s);
		} else if (is("stopped")) {
			say("seen:%d unseen:%d", stops(seen), stops(unseen) != 0);
		} else if (is("take")) {
			static char b[8192];
			take = 1;
			pthread_join(other, NULL);
			taking(b);
			say("%s| %s", b, private);
		} else if (is("continue")) {
			char c[3] = "";
			kill(seen, SIGCONT);
			kill(unseen, SIGCONT);
			MUST(write(tell[1], "a", 1));
			MUST(read(hear[0], c, 1));
			MUST(write(tell[1], "b", 1));
			MUST(read(hear[0], c + 1, 1));
			kill(seen, SIGSTOP);
			siginfo_t i;
			MUST(waitid(P_PID, seen, &i, WSTOPPED));
			MUST(write(tell[1], "c", 1)); // the other answers
			MUST(read(hear[0], c, 1));
			say("%s", c);
		}
	}
	return 0;
}
