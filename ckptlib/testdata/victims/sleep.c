// Sleeps of three seconds by every call that takes a time; "slept" tells how
// long each took, in milliseconds of CLOCK_MONOTONIC.
#include "victim.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>

struct sleeper {
	const char *name;
	void (*sleep)(struct sleeper *);
	pthread_t pt;
	int ms;
};

static const struct timespec three = {3, 0};

#define CHECK(x) \
	do { \
		if (!(x)) \
			wrong("%s: %s is false, errno %s", s->name, #x, strerror(errno)); \
	} while (0)

static void by_nanosleep(struct sleeper *s) {
	struct timespec left = {0};
	CHECK(nanosleep(&three, &left) == 0);
}
static void by_sleep(struct sleeper *s) { CHECK(sleep(3) == 0); }
static void by_clock(struct sleeper *s) {
	struct timespec left = {0};
	CHECK(clock_nanosleep(CLOCK_BOOTTIME, 0, &three, &left) == 0);
}
static void by_absolute(struct sleeper *s) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 3;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
}
static void by_cond(struct sleeper *s) {
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c;
	pthread_condattr_t a;
	struct timespec t;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c, &a);
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 3;
	pthread_mutex_lock(&m);
	CHECK(pthread_cond_timedwait(&c, &m, &t) == ETIMEDOUT);
	pthread_mutex_unlock(&m);
}
// From here on the kernel forgets how much was left when the process dies.
static void by_nanosleep_null(struct sleeper *s) { CHECK(nanosleep(&three, NULL) == 0); }
static void by_futex(struct sleeper *s) {
	int word = 0;
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &three) == -1 && errno == ETIMEDOUT);
}
static void by_poll(struct sleeper *s) { CHECK(poll(NULL, 0, 3000) == 0); }
// From here on the kernel begins anew after each interruption.
static void by_epoll(struct sleeper *s) {
	struct epoll_event ev;
	int e = epoll_create1(EPOLL_CLOEXEC);
	CHECK(epoll_wait(e, &ev, 1, 3000) == 0);
}
static void by_sigtimedwait(struct sleeper *s) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigtimedwait(&set, NULL, &three) == -1 && errno == EAGAIN);
}
static void by_semtimedop(struct sleeper *s) {
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf b = {0, -1, 0};
	CHECK(semtimedop(id, &b, 1, &three) == -1 && errno == EAGAIN);
	semctl(id, 0, IPC_RMID);
}

static struct sleeper all[] = {
	{"nanosleep", by_nanosleep}, {"sleep", by_sleep}, {"clock", by_clock}, {"absolute", by_absolute}, {"cond", by_cond},
	{"null", by_nanosleep_null}, {"futex", by_futex}, {"poll", by_poll},
	{"epoll", by_epoll}, {"sigtimedwait", by_sigtimedwait}, {"semtimedop", by_semtimedop},
};
#define N ((int)(sizeof all / sizeof all[0]))
static atomic_int begun;

static void *run(void *arg) {
	struct sleeper *s = arg;
	double t = now(CLOCK_MONOTONIC);
	begun++;
	s->sleep(s);
	s->ms = (now(CLOCK_MONOTONIC) - t) * 1000;
	return NULL;
}

int main(void) {
	for (int i = 0; i < N; i++)
		pthread_create(&all[i].pt, NULL, run, &all[i]);
	while (begun < N)
		usleep(1000);
	say("ready");
	while (question()) {
		if (is("slept")) {
			char b[512] = "";
			for (int i = 0; i < N; i++) {
				pthread_join(all[i].pt, NULL);
				sprintf(b + strlen(b), "%s=%d ", all[i].name, all[i].ms);
			}
			say("%s%s", b, trouble[0] ? trouble : "ok");
		}
	}
	return 0;
}
