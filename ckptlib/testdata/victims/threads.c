// Threads in every kind of wait, each with its own name, mask, thread-local
// value and signal stack. "wake" ends all waits and says what they saw.
#include "victim.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>

struct thread {
	const char *name;
	void (*wait)(struct thread *);
	pthread_t pt;
	int tid, index, in[2], word, done;
	pid_t child;
};

static __thread long own;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, robust;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int released, sem, started;
static volatile int spin;
static struct thread *onstack;
static char stacks[40][1 << 16];

#define CHECK(x) \
	do { \
		if (!(x)) \
			wrong("%s: %s is false, errno %s", t->name, #x, strerror(errno)); \
	} while (0)

static void wait_futex(struct thread *t) {
	while (!__atomic_load_n(&t->word, __ATOMIC_SEQ_CST))
		CHECK(syscall(SYS_futex, &t->word, FUTEX_WAIT, 0, NULL) == 0 || errno == EAGAIN);
}
static void wait_futex_timeout(struct thread *t) {
	struct timespec ts = {100, 0};
	while (!__atomic_load_n(&t->word, __ATOMIC_SEQ_CST))
		CHECK(syscall(SYS_futex, &t->word, FUTEX_WAIT, 0, &ts) == 0 || errno == EAGAIN);
}
static void wait_cond(struct thread *t) {
	pthread_mutex_lock(&mutex);
	while (!released)
		CHECK(pthread_cond_wait(&cond, &mutex) == 0);
	pthread_mutex_unlock(&mutex);
}
static void wait_cond_timeout(struct thread *t) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 100;
	pthread_mutex_lock(&mutex);
	while (!released)
		CHECK(pthread_cond_timedwait(&cond, &mutex, &ts) == 0);
	pthread_mutex_unlock(&mutex);
}
static void wait_read(struct thread *t) {
	char c;
	CHECK(read(t->in[0], &c, 1) == 1);
}
static void wait_poll(struct thread *t) {
	struct pollfd p = {t->in[0], POLLIN};
	CHECK(poll(&p, 1, -1) == 1);
}
static void wait_poll_timeout(struct thread *t) {
	struct pollfd p = {t->in[0], POLLIN};
	CHECK(poll(&p, 1, 100000) == 1);
}
static void wait_ppoll(struct thread *t) {
	struct pollfd p = {t->in[0], POLLIN};
	sigset_t none;
	sigfillset(&none);
	struct timespec ts = {100, 0};
	CHECK(ppoll(&p, 1, &ts, &none) == 1);
}
static void wait_select(struct thread *t) {
	fd_set s;
	FD_ZERO(&s);
	FD_SET(t->in[0], &s);
	struct timeval tv = {100, 0};
	CHECK(select(t->in[0] + 1, &s, NULL, NULL, &tv) == 1);
}
static void epoll(struct thread *t, int timeout, sigset_t *mask) {
	struct epoll_event ev = {EPOLLIN};
	int e = epoll_create1(0);
	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, t->in[0], &ev) == 0);
	CHECK(epoll_pwait(e, &ev, 1, timeout, mask) == 1);
	close(e);
}
static void wait_epoll(struct thread *t) { epoll(t, -1, NULL); }
static void wait_epoll_timeout(struct thread *t) { epoll(t, 100000, NULL); }
static void wait_epoll_mask(struct thread *t) {
	sigset_t all;
	sigfillset(&all);
	epoll(t, -1, &all);
}
static void wait_recv_timeout(struct thread *t) {
	// A time limit of the socket makes the call not restartable by the kernel.
	char c;
	struct timeval tv = {100, 0};
	CHECK(setsockopt(t->in[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) == 0);
	CHECK(recv(t->in[0], &c, 1, 0) == 1);
}
static void wait_sigwait(struct thread *t) {
	sigset_t s;
	siginfo_t i;
	struct timespec ts = {100, 0};
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 1);
	CHECK(sigtimedwait(&s, &i, &ts) == SIGRTMIN + 1);
}
static __thread int handled;
static void on_signal(int sig) { handled++; }
static void wait_pause(struct thread *t) {
	CHECK(pause() == -1 && errno == EINTR && handled == 1);
}
static void wait_sigsuspend(struct thread *t) {
	sigset_t old, s;
	sigfillset(&s);
	pthread_sigmask(SIG_BLOCK, &s, &old);
	sigdelset(&s, SIGRTMIN + 2);
	CHECK(sigsuspend(&s) == -1 && errno == EINTR && handled == 1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}
static void wait_semop(struct thread *t) {
	struct sembuf b = {0, -1, 0};
	CHECK(semop(sem, &b, 1) == 0);
}
static void wait_child(struct thread *t) {
	int st;
	CHECK(wait4(t->child, &st, 0, NULL) == t->child && WIFEXITED(st) && WEXITSTATUS(st) == 9);
}
static void wait_nanosleep(struct thread *t) {
	struct timespec ts = {1, 500000000}, left = {0};
	CHECK(nanosleep(&ts, &left) == 0);
	wait_futex(t);
}
static void on_stack(int sig) {
	struct thread *t = onstack;
	stack_t s;
	char c;
	CHECK(read(t->in[0], &c, 1) == 1);
	CHECK(sigaltstack(NULL, &s) == 0 && s.ss_flags == SS_ONSTACK && (char *)&s > stacks[t->index]);
	handled = 7;
}
static void wait_in_handler(struct thread *t) {
	onstack = t;
	CHECK(raise(SIGUSR1) == 0 && handled == 7);
}
static void wait_robust(struct thread *t) {
	CHECK(pthread_mutex_lock(&robust) == 0);
	wait_futex(t); // and ends with the mutex held
}
static void wait_spinning(struct thread *t) {
	unsigned long a = 0x1234567890abcdef;
	__asm__ volatile("1: pause; cmpl $0, %1; je 1b" : "+r"(a) : "m"(spin));
	CHECK(a == 0x1234567890abcdef);
}

static struct thread all[] = {
	{"futex", wait_futex}, {"futex-timeout", wait_futex_timeout}, {"cond", wait_cond}, {"cond-timeout", wait_cond_timeout},
	{"read", wait_read}, {"poll", wait_poll}, {"poll-timeout", wait_poll_timeout}, {"ppoll", wait_ppoll}, {"select", wait_select},
	{"epoll", wait_epoll}, {"epoll-timeout", wait_epoll_timeout}, {"epoll-mask", wait_epoll_mask},
	{"recv-timeout", wait_recv_timeout}, {"sigwait", wait_sigwait}, {"pause", wait_pause}, {"sigsuspend", wait_sigsuspend},
	{"semop", wait_semop}, {"wait4", wait_child}, {"nanosleep", wait_nanosleep}, {"in-handler", wait_in_handler},
	{"robust", wait_robust}, {"spinning", wait_spinning},
};
#define N ((int)(sizeof all / sizeof all[0]))

static void *run(void *arg) {
	struct thread *t = arg;
	sigset_t mask, m;
	stack_t st = {.ss_sp = stacks[t->index], .ss_size = sizeof stacks[0]}, s;
	cpu_set_t cpus, c;
	char name[16];
	own = 1000 + t->index;
	pthread_setname_np(pthread_self(), t->name);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + 1);
	sigaddset(&mask, SIGRTMIN + 5 + t->index);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaltstack(&st, NULL);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (t->index % 2)
		sched_setaffinity(0, sizeof cpus, &cpus);
	sched_getaffinity(0, sizeof cpus, &cpus);
	t->tid = gettid();
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
	t->wait(t);
	CHECK(own == 1000 + t->index && gettid() == t->tid && pthread_self() == t->pt);
	pthread_getname_np(pthread_self(), name, sizeof name);
	CHECK(!strcmp(name, t->name));
	pthread_sigmask(0, NULL, &m);
	CHECK(!memcmp(&m, &mask, 8));
	CHECK(sigaltstack(NULL, &s) == 0 && s.ss_sp == st.ss_sp && s.ss_size == st.ss_size && s.ss_flags == 0);
	CHECK(sched_getaffinity(0, sizeof c, &c) >= 0 && CPU_EQUAL(&c, &cpus));
	t->done = 1;
	return NULL;
}

int main(void) {
	struct sigaction sa = {.sa_handler = on_signal}, stk = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
	sigaction(SIGRTMIN + 2, &sa, NULL);
	sigaction(SIGUSR1, &stk, NULL);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &a);
	sem = MUST(semget(IPC_PRIVATE, 1, 0600));
	for (int i = 0; i < N; i++) {
		struct thread *t = &all[i];
		t->index = i;
		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->in));
		if (t->wait == wait_child && (t->child = MUST(fork())) == 0) {
			char c;
			_exit(read(t->in[0], &c, 1) == 1 ? 9 : 8);
		}
		pthread_create(&t->pt, NULL, run, t);
	}
	for (;;) { // until every thread sleeps in its call, and the spinning one spins
		int asleep = 0;
		for (int i = 0; i < N && started == N; i++)
			asleep += state(all[i].tid) == (all[i].wait == wait_spinning ? 'R' : 'S');
		if (asleep == N)
			break;
		usleep(1000);
	}
	say("ready");
	while (question()) {
		if (is("who")) {
			say("%d has %d threads, tls %ld", getpid(), N, own);
		} else if (is("wake")) {
			for (int i = 0; i < N; i++) {
				struct thread *t = &all[i];
				__atomic_store_n(&t->word, 1, __ATOMIC_SEQ_CST);
				syscall(SYS_futex, &t->word, FUTEX_WAKE, 1);
				if (t->wait != wait_pause && t->wait != wait_sigsuspend && t->wait != wait_sigwait)
					(void)!write(t->in[1], "x", 1);
				if (t->wait == wait_pause || t->wait == wait_sigsuspend)
					pthread_kill(t->pt, SIGRTMIN + 2);
				if (t->wait == wait_sigwait)
					pthread_kill(t->pt, SIGRTMIN + 1);
			}
			pthread_mutex_lock(&mutex);
			released = 1;
			pthread_cond_broadcast(&cond);
			pthread_mutex_unlock(&mutex);
			struct sembuf up = {0, 1, 0};
			semop(sem, &up, 1);
			spin = 1;
			for (int i = 0; i < N; i++) {
				pthread_join(all[i].pt, NULL);
				if (!all[i].done)
					wrong("%s has not come to its end", all[i].name);
			}
			if (pthread_mutex_lock(&robust) != EOWNERDEAD)
				wrong("the robust mutex has lost its dead owner");
			semctl(sem, 0, IPC_RMID);
			report();
		}
	}
	return 0;
}
