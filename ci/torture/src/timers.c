// Timers of three kinds and the clocks, which never go back. A timer may be late, as
// the machine has it, but neither early nor more often than its time has passed.
#include "torture.h"
#include <sys/time.h>
#include <sys/timerfd.h>

enum { EVERY_MS = 7 };
static const unsigned long every = EVERY_MS * 1000000UL;

// most is how often a timer can have come since start.
static void most(const char *what, unsigned long times, unsigned long start) {
	unsigned long passed = now_ns(CLOCK_MONOTONIC) - start;
	if (times > passed / every + 1)
		broken("%s came %lu times in %lu ms", what, times, passed / 1000000);
}

static atomic_ulong alarms;

static void on_alarm(int sig) {
	(void)sig;
	atomic_fetch_add(&alarms, 1);
}

static void alarm_clock(void *unused) {
	(void)unused;
	struct sigaction a = {.sa_handler = on_alarm};
	struct itimerval t = {{0, EVERY_MS * 1000}, {0, EVERY_MS * 1000}};
	unsigned long start = now_ns(CLOCK_MONOTONIC);
	sigset_t alarm, before;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	CHECK(sigprocmask(SIG_BLOCK, &alarm, &before) == 0 && sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &t, NULL) == 0);
	for (unsigned long n = 0; !ending(); step()) {
		CHECK(sigsuspend(&before) == -1 && errno == EINTR);
		unsigned long now = atomic_load(&alarms);
		if (now != ++n)
			broken("the handler of one alarm ran %lu times", now + 1 - n);
		most("the alarm", now, start);
	}
}

static void posix_timer(void *unused) {
	(void)unused;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 4242};
	struct itimerspec t = {{0, every}, {0, every}};
	timer_t id;
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 1);
	unsigned long start = now_ns(CLOCK_MONOTONIC);
	CHECK(sigprocmask(SIG_BLOCK, &s, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &e, &id) == 0 && timer_settime(id, 0, &t, NULL) == 0);
	for (unsigned long n = 0; !ending(); step()) {
		siginfo_t i;
		CHECK(sigwaitinfo(&s, &i) == SIGRTMIN + 1);
		CHECK(i.si_code == SI_TIMER && i.si_value.sival_int == 4242 && i.si_overrun >= 0);
		n += 1 + i.si_overrun;
		most("the POSIX timer", n, start);
	}
	CHECK(timer_delete(id) == 0);
}

static void timer_file(void *unused) {
	(void)unused;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec t = {{0, every}, {0, every}};
	unsigned long start = now_ns(CLOCK_MONOTONIC);
	CHECK(fd >= 0 && timerfd_settime(fd, 0, &t, NULL) == 0);
	struct sequence s = sequence(600);
	for (unsigned long n = 0, k; !ending(); step()) {
		CHECK(read(fd, &k, sizeof k) == sizeof k && k > 0);
		n += k;
		most("the timer descriptor", n, start);
		nap(&s, 15000); // some expire unread
	}
}

static void clocks(void *unused) {
	(void)unused;
	struct sequence s = sequence(601);
	const clockid_t clock[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE};
	unsigned long last[4] = {0};
	for (; !ending(); step()) {
		unsigned long us = draw(&s, 5000), before = now_ns(CLOCK_MONOTONIC);
		CHECK(usleep(us) == 0);
		unsigned long slept = now_ns(CLOCK_MONOTONIC) - before;
		if (slept < us * 1000)
			broken("a sleep of %lu us lasted %lu ns", us, slept);
		for (int i = 0; i < 4; i++) {
			unsigned long t = now_ns(clock[i]);
			if (t < last[i])
				broken("clock %d went back by %lu ns", clock[i], last[i] - t);
			last[i] = t;
		}
	}
}

void timers(void) {
	pid_t p[] = {role(alarm_clock, NULL), role(posix_timer, NULL), role(timer_file, NULL), role(clocks, NULL)};
	for (int i = 0; i < 4; i++)
		await(p[i]);
}
