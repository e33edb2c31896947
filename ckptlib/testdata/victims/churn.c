// A thread that writes to one page after the other, and checks each time that
// the page is as it left it in the round before. "speed N" has it write N pages
// in a millisecond, "check" tells whether every page is as it should be, with the
// number of pages written.
#include "victim.h"

enum { PAGE = 4096, PAGES = 16384, WORDS = PAGE / 8 }; // 64 MiB
static unsigned long *area;
static atomic_ulong turn = PAGES;
static atomic_int speed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// expect checks a page that was written to last at a turn.
static void expect(unsigned long page, unsigned long at) {
	unsigned long *p = area + page * WORDS;
	if (p[0] != at || p[WORDS - 1] != ~at)
		wrong("at turn %lu page %lu is of turn %lu and %lu, want %lu", atomic_load(&turn), page, p[0], ~p[WORDS - 1], at);
}

static void put(unsigned long page, unsigned long at) {
	area[page * WORDS] = at;
	area[page * WORDS + WORDS - 1] = ~at;
}

static void *churns(void *unused) {
	for (;; usleep(1000)) {
		pthread_mutex_lock(&lock);
		for (int i = atomic_load(&speed); i > 0; i--) {
			unsigned long t = atomic_load(&turn);
			expect(t % PAGES, t - PAGES);
			put(t % PAGES, t);
			atomic_store(&turn, t + 1);
		}
		pthread_mutex_unlock(&lock);
	}
	return unused;
}

int main(void) {
	area = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		MUST(-1);
	MUST(madvise(area, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE));
	for (unsigned long p = 0; p < PAGES; p++) {
		for (int i = 0; i < WORDS; i++)
			area[p * WORDS + i] = (p * WORDS + i) * 6364136223846793005UL;
		put(p, p);
	}
	pthread_t t;
	MUST(-pthread_create(&t, NULL, churns, NULL));
	say("ready");
	while (question()) {
		int n;
		pthread_mutex_lock(&lock);
		if (sscanf(line, "speed %d", &n) == 1) {
			atomic_store(&speed, n);
			report();
		} else if (is("check")) {
			unsigned long now = atomic_load(&turn);
			for (unsigned long at = now - PAGES; at < now; at++)
				expect(at % PAGES, at);
			if (trouble[0])
				report();
			else
				say("turn=%lu", now);
		}
		pthread_mutex_unlock(&lock);
	}
	return 0;
}
