// Timers of every kind. Answers count what has expired and tell what is left,
// in milliseconds.
#include "victim.h"
#include <sys/time.h>

static atomic_int real, fired, wrong_thread, overruns;
static int timer_tid;
static timer_t gone, threaded, value, none, oneshot, realtime, cpu;

static void on_alarm(int sig) { real++; }
static void on_timer(int sig, siginfo_t *i, void *u) {
	if (i->si_code != SI_TIMER)
		return;
	if (i->si_value.sival_int == 77 && gettid() != timer_tid)
		wrong_thread++;
	if (i->si_value.sival_int == 77)
		fired++;
	overruns += i->si_overrun;
}

static void *thread(void *arg) {
	timer_tid = gettid();
	for (;;)
		pause();
	return NULL;
}

static timer_t make(clockid_t c, int notify, int sig, int val, int tid) {
	struct sigevent e = {.sigev_notify = notify, .sigev_signo = sig, .sigev_value.sival_int = val};
	timer_t t;
	e._sigev_un._tid = tid;
	MUST(timer_create(c, &e, &t));
	return t;
}

static void set(timer_t t, int ms, int every) {
	struct itimerspec s = {{every / 1000, every % 1000 * 1000000L}, {ms / 1000, ms % 1000 * 1000000L}};
	MUST(timer_settime(t, 0, &s, NULL));
}

static long left(timer_t t) {
	struct itimerspec s;
	MUST(timer_gettime(t, &s));
	return s.it_value.tv_sec * 1000 + s.it_value.tv_nsec / 1000000;
}

static long ileft(int which) {
	struct itimerval v;
	getitimer(which, &v);
	return v.it_value.tv_sec * 1000 + v.it_value.tv_usec / 1000;
}

int main(void) {
	struct sigaction a = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, t = {.sa_flags = SA_SIGINFO | SA_RESTART};
	t.sa_sigaction = on_timer;
	sigaction(SIGALRM, &a, NULL);
	sigaction(SIGRTMIN + 3, &t, NULL);
	pthread_t pt;
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 4);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	pthread_create(&pt, NULL, thread, NULL);
	while (!timer_tid)
		usleep(1000);
	gone = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
	threaded = make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 3, 77, timer_tid);
	value = make(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGRTMIN + 4, 0x1234, 0);
	none = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
	oneshot = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3, 5, 0);
	realtime = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 3, 6, 0);
	cpu = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 3, 8, 0);
	timer_delete(gone);
	set(threaded, 20, 20);
	set(none, 1000000, 5000);
	set(oneshot, 2000000, 0);
	set(realtime, 3000000, 0);
	set(cpu, 4000000, 0);
	struct itimerval iv = {{0, 20000}, {0, 20000}}, vv = {{9, 0}, {500, 0}}, pv = {{0, 0}, {700, 0}};
	setitimer(ITIMER_REAL, &iv, NULL);
	setitimer(ITIMER_VIRTUAL, &vv, NULL);
	setitimer(ITIMER_PROF, &pv, NULL);
	say("ready");
	while (question()) {
		if (is("clock")) {
			say("mono=%ld boot=%ld", (long)(now(CLOCK_MONOTONIC) * 1000), (long)(now(CLOCK_BOOTTIME) * 1000));
		} else if (is("ids")) {
			say("%ld %ld %ld %ld %ld %ld wrong_thread=%d", (long)threaded, (long)value, (long)none, (long)oneshot, (long)realtime, (long)cpu, wrong_thread);
		} else if (is("counts")) {
			say("real=%d fired=%d", real, fired);
		} else if (is("left")) {
			say("none=%ld oneshot=%ld realtime=%ld cpu=%ld virtual=%ld prof=%ld", left(none), left(oneshot), left(realtime), left(cpu),
				ileft(ITIMER_VIRTUAL), ileft(ITIMER_PROF));
		} else if (is("use")) { // the timer that was not armed
			siginfo_t i;
			set(value, 10, 0);
			int n;
			while ((n = sigwaitinfo(&s, &i)) < 0 && errno == EINTR)
				; // by one of the other timers
			say("%d %d %x", n - SIGRTMIN, i.si_code, i.si_value.sival_int);
		}
	}
	return 0;
}
