// Waits with a time limit of one second that the kernel begins anew after each
// interruption. "wait" makes all of them at the same time and tells how many
// milliseconds each took; "loop" waits again and again for what comes in time.
#include "victim.h"
#include <linux/aio_abi.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>

struct waiter {
	const char *name;
	void (*wait)(struct waiter *);
	pthread_t pt;
	int ms;
};

static const struct timespec second = {1, 0};
static const struct timeval limit = {1, 0};

#define CHECK(x) \
	do { \
		if (!(x)) \
			wrong("%s: %s is false, errno %s", w->name, #x, strerror(errno)); \
	} while (0)

static void by_epoll_wait(struct waiter *w) {
	struct epoll_event ev;
	int e = epoll_create1(EPOLL_CLOEXEC);
	CHECK(syscall(SYS_epoll_wait, e, &ev, 1, 1000) == 0);
}
static void by_epoll_pwait(struct waiter *w) {
	struct epoll_event ev;
	int e = epoll_create1(EPOLL_CLOEXEC);
	CHECK(syscall(SYS_epoll_pwait, e, &ev, 1, 1000, NULL, 8) == 0);
}
static void by_epoll_pwait2(struct waiter *w) {
	struct epoll_event ev;
	int e = epoll_create1(EPOLL_CLOEXEC);
	CHECK(syscall(SYS_epoll_pwait2, e, &ev, 1, &second, NULL, 8) == 0);
}
static void pair(int s[2], int option) {
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	MUST(setsockopt(s[0], SOL_SOCKET, option, &limit, sizeof limit));
}
static void by_recv(struct waiter *w) {
	char c;
	int s[2];
	pair(s, SO_RCVTIMEO);
	CHECK(recv(s[0], &c, 1, 0) == -1 && errno == EAGAIN);
}
static void by_read(struct waiter *w) {
	char c;
	int s[2];
	pair(s, SO_RCVTIMEO);
	CHECK(read(s[0], &c, 1) == -1 && errno == EAGAIN);
}
static void by_write(struct waiter *w) {
	static char b[1 << 16];
	int s[2];
	pair(s, SO_SNDTIMEO);
	while (send(s[0], b, sizeof b, MSG_DONTWAIT) > 0)
		;
	CHECK(write(s[0], b, sizeof b) == -1 && errno == EAGAIN);
}
static void by_accept(struct waiter *w) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int s = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
	MUST(bind(s, (struct sockaddr *)&a, sizeof a.sun_family)); // any name
	MUST(listen(s, 1));
	CHECK(accept(s, NULL, NULL) == -1 && errno == EAGAIN);
}
static void by_sigtimedwait(struct waiter *w) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigtimedwait(&set, NULL, &second) == -1 && errno == EAGAIN);
}
static void by_semtimedop(struct waiter *w) {
	int id = MUST(semget(IPC_PRIVATE, 1, 0600));
	struct sembuf b = {0, -1, 0};
	CHECK(semtimedop(id, &b, 1, &second) == -1 && errno == EAGAIN);
	semctl(id, 0, IPC_RMID);
}
static void by_io_getevents(struct waiter *w) {
	static aio_context_t ctx;
	struct io_event ev;
	if (!ctx)
		MUST(syscall(SYS_io_setup, 1, &ctx));
	CHECK(syscall(SYS_io_getevents, ctx, 1, 1, &ev, &second) == 0);
}

static struct waiter all[] = {
	{"epoll_wait", by_epoll_wait}, {"epoll_pwait", by_epoll_pwait}, {"epoll_pwait2", by_epoll_pwait2},
	{"recv", by_recv}, {"read", by_read}, {"write", by_write}, {"accept", by_accept},
	{"sigtimedwait", by_sigtimedwait}, {"semtimedop", by_semtimedop},
};
static struct waiter aio = {"io_getevents", by_io_getevents};

static void *run(void *arg) {
	struct waiter *w = arg;
	double t = now(CLOCK_MONOTONIC);
	w->wait(w);
	w->ms = (now(CLOCK_MONOTONIC) - t) * 1000;
	return NULL;
}

static int wake[2];

static void *waker(void *arg) {
	for (int i = 0; i < 30; i++) {
		usleep(100000);
		MUST(write(wake[1], "x", 1));
	}
	return arg;
}

// loop waits for bytes that come far within the limit, from one place in the
// program and with the same arguments each time.
static int loop(void) {
	struct epoll_event ev = {.events = EPOLLIN};
	pthread_t pt;
	char c;
	int late = 0, e = MUST(epoll_create1(EPOLL_CLOEXEC));
	MUST(epoll_ctl(e, EPOLL_CTL_ADD, wake[0], &ev));
	pthread_create(&pt, NULL, waker, NULL);
	for (int i = 0; i < 30;) {
		if (syscall(SYS_epoll_wait, e, &ev, 1, 1000) != 1)
			late++;
		else
			i += read(wake[0], &c, 1);
	}
	pthread_join(pt, NULL);
	close(e);
	return late;
}

int main(int argc, char **argv) {
	struct waiter *first = all;
	int n = sizeof all / sizeof all[0];
	if (argc > 1 && !strcmp(argv[1], "aio"))
		first = &aio, n = 1;
	MUST(pipe2(wake, O_CLOEXEC));
	say("ready");
	while (question()) {
		if (is("wait")) {
			char b[512] = "";
			for (int i = 0; i < n; i++)
				pthread_create(&first[i].pt, NULL, run, &first[i]);
			for (int i = 0; i < n; i++) {
				pthread_join(first[i].pt, NULL);
				sprintf(b + strlen(b), "%s=%d ", first[i].name, first[i].ms);
			}
			say("%s%s", b, trouble[0] ? trouble : "ok");
		} else if (is("loop")) {
			say("late=%d", loop());
		}
	}
	return 0;
}
