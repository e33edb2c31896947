// Signals, each counted: real-time ones are queued and come in their order with
// their values, to a process and to a thread; an ordinary one comes once for
// each time that it was sent after the last had been seen.
#include "torture.h"

enum { QUEUED = 40 };

static struct tally {
	atomic_ulong queued, handled, waited, usr1;
	pid_t to;
	atomic_int ready;
} *tally;

static void on_queued(int sig, siginfo_t *i, void *context) {
	(void)sig, (void)context;
	unsigned long n = atomic_fetch_add(&tally->handled, 1);
	if (i->si_code != SI_QUEUE || (unsigned long)i->si_value.sival_ptr != n)
		broken("signal %lu came, of code %d, and it was the turn of %lu", (unsigned long)i->si_value.sival_ptr, i->si_code, n);
}

static void on_usr1(int sig) {
	(void)sig;
	atomic_fetch_add(&tally->usr1, 1);
}

// wait_for takes what is sent to its thread: blocked, one at a time.
static void *wait_for(void *arg) {
	struct sequence s = sequence(702);
	for (unsigned long n = 0, got = 0; got != ULONG_MAX; n++) {
		siginfo_t i;
		CHECK(sigwaitinfo(arg, &i) == SIGRTMIN + 3);
		got = (unsigned long)i.si_value.sival_ptr;
		if (got != n && got != ULONG_MAX)
			broken("the thread's signal %lu came, and it was the turn of %lu", got, n);
		atomic_fetch_add(&tally->waited, 1);
		step();
		nap(&s, 4000);
	}
	return NULL;
}

static void receive(void *unused) {
	(void)unused;
	struct sigaction q = {.sa_flags = SA_SIGINFO | SA_RESTART, .sa_sigaction = on_queued}, u = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
	struct sequence s = sequence(700);
	sigset_t thread_s, all;
	sigemptyset(&thread_s);
	sigaddset(&thread_s, SIGRTMIN + 3);
	all = thread_s;
	sigaddset(&all, SIGRTMIN + 2);
	sigaddset(&all, SIGUSR1);
	CHECK(sigaction(SIGRTMIN + 2, &q, NULL) == 0 && sigaction(SIGUSR1, &u, NULL) == 0 && sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	pthread_t t = thread(wait_for, &thread_s); // it has the handlers' signals blocked
	sigprocmask(SIG_SETMASK, &thread_s, NULL);
	unsigned long sent = 0;
	for (atomic_store(&tally->ready, 1); atomic_load(&tally->ready) == 1; step()) {
		// They gather for a while; then all are delivered at once.
		struct timespec some = {0, draw(&s, 3000000)};
		sigprocmask(SIG_SETMASK, &all, NULL);
		CHECK(nanosleep(&some, NULL) == 0);
		sigprocmask(SIG_SETMASK, &thread_s, NULL);
		while (nanosleep(&(struct timespec){0, 200000}, NULL) != 0)
			CHECK(errno == EINTR);
		unsigned long handled = atomic_load(&tally->handled);
		CHECK(atomic_load(&tally->queued) >= handled);
		// To its other thread, which waits for them.
		if (sent < atomic_load(&tally->waited) + QUEUED) {
			errno = pthread_sigqueue(t, SIGRTMIN + 3, (union sigval){.sival_ptr = (void *)sent++});
			CHECK(errno == 0);
		}
	}
	CHECK((errno = pthread_sigqueue(t, SIGRTMIN + 3, (union sigval){.sival_ptr = (void *)ULONG_MAX})) == 0);
	join(t);
	CHECK(atomic_load(&tally->waited) == sent + 1);
	_exit(0);
}

void signals(void) {
	struct sequence s = sequence(701);
	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(tally != MAP_FAILED);
	pid_t to = role(receive, NULL);
	while (!atomic_load(&tally->ready))
		nap(&s, 1000);
	for (unsigned long usr1 = 0; !ending(); step()) {
		unsigned long n = atomic_load(&tally->queued), seen = atomic_load(&tally->usr1);
		if (n < atomic_load(&tally->handled) + QUEUED) {
			atomic_fetch_add(&tally->queued, 1); // before it can come
			CHECK(sigqueue(to, SIGRTMIN + 2, (union sigval){.sival_ptr = (void *)n}) == 0);
		}
		if (seen > usr1)
			broken("SIGUSR1 was sent %lu times and came %lu times", usr1, seen);
		if (seen == usr1) {
			usr1++;
			CHECK(kill(to, SIGUSR1) == 0);
		}
		nap(&s, 1500);
		if (ending()) // all that were sent must come
			while (atomic_load(&tally->usr1) < usr1 || atomic_load(&tally->handled) < atomic_load(&tally->queued))
				nap(&s, 1000);
	}
	atomic_store(&tally->ready, 2);
	await(to);
}
