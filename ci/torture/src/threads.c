// Threads that move coins between accounts, a token that goes round, and threads
// that live for a moment.
#include "torture.h"

enum { MOVERS = 3, ACCOUNTS = 16, COINS = 1000, RING = 3 };

static struct account {
	pthread_mutex_t lock;
	long coins;
} account[ACCOUNTS];

static void *move(void *arg) {
	struct sequence s = sequence((unsigned long)arg);
	while (!ending()) {
		int from = draw(&s, ACCOUNTS), to = draw(&s, ACCOUNTS);
		if (from == to)
			continue;
		pthread_mutex_lock(&account[from < to ? from : to].lock); // in one order
		pthread_mutex_lock(&account[from < to ? to : from].lock);
		long n = draw(&s, 50);
		account[from].coins -= n;
		if (draw(&s, 8) == 0)
			nap(&s, 300); // in the midst of it
		account[to].coins += n;
		pthread_mutex_unlock(&account[from].lock);
		pthread_mutex_unlock(&account[to].lock);
		nap(&s, 1000);
	}
	return NULL;
}

static void *count(void *arg) {
	struct sequence s = sequence((unsigned long)arg);
	for (int last = 0; !last;) {
		long sum = 0;
		last = ending();
		for (int i = 0; i < ACCOUNTS; i++)
			pthread_mutex_lock(&account[i].lock);
		for (int i = 0; i < ACCOUNTS; i++)
			sum += account[i].coins;
		for (int i = 0; i < ACCOUNTS; i++)
			pthread_mutex_unlock(&account[i].lock);
		if (sum != ACCOUNTS * COINS)
			broken("there are %ld coins and must be %d", sum, ACCOUNTS * COINS);
		step();
		nap(&s, 3000);
	}
	return NULL;
}

// The token: its holder is the turn, modulo the ring.
static pthread_mutex_t token_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t token_moved = PTHREAD_COND_INITIALIZER;
static unsigned long turn;
static int over;
static __thread unsigned long mine;

static void *pass(void *arg) {
	unsigned long me = (unsigned long)arg;
	struct sequence s = sequence(100 + me);
	mine = me;
	for (unsigned long round = 0;; round++) {
		pthread_mutex_lock(&token_lock);
		while (turn % RING != me && !over)
			CHECK((errno = pthread_cond_wait(&token_moved, &token_lock)) == 0);
		if (!over && turn != round * RING + me)
			broken("thread %lu is in round %lu and has token %lu", me, round, turn);
		CHECK(mine == me);
		int end = over;
		turn++;
		over = over || ending();
		pthread_cond_broadcast(&token_moved);
		pthread_mutex_unlock(&token_lock);
		if (end)
			return NULL;
		nap(&s, 1500);
	}
}

static void *twice(void *arg) { return (void *)(2 * (unsigned long)arg); }

void threads(void) {
	pthread_t t[MOVERS + 1 + RING];
	int n = 0;
	for (int i = 0; i < ACCOUNTS; i++) {
		pthread_mutex_init(&account[i].lock, NULL);
		account[i].coins = COINS;
	}
	for (long i = 0; i < MOVERS; i++)
		t[n++] = thread(move, (void *)(10 + i));
	t[n++] = thread(count, (void *)20);
	for (long i = 0; i < RING; i++)
		t[n++] = thread(pass, (void *)i);
	struct sequence s = sequence(30);
	while (!ending()) {
		void *got;
		unsigned long x = draw(&s, 1000000);
		pthread_t p = thread(twice, (void *)x);
		nap(&s, 500);
		CHECK((errno = pthread_join(p, &got)) == 0 && (unsigned long)got == 2 * x);
		step();
		nap(&s, 3000);
	}
	for (int i = 0; i < n; i++)
		join(t[i]);
}
