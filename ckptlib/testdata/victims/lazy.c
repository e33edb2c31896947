// Memory that is used while it is read in: by threads that write to it and have
// the kernel write to it, and by a child that has it from its parent.
#include "victim.h"

enum { PAGE = 4096, PAGES = 4096, THREADS = 3, WORDS = PAGE / 8 }; // 16 MiB
static unsigned long (*page)[WORDS];
static unsigned long counts[THREADS][PAGES];
static _Atomic int stop;
static _Atomic unsigned long rounds;
static pthread_t threads[THREADS];
static int to_child[2], from_child[2];

static unsigned long content(int p, int w) { return (unsigned long)p * 1000003 + w * 7919 + 1; }

static unsigned long sum(void) {
	unsigned long h = 14695981039346656037UL;
	for (int p = 0; p < PAGES; p++)
		for (int w = 0; w < WORDS; w++)
			h = (h ^ page[p][w]) * 1099511628211UL;
	return h;
}

// hammer has a word in each page that only one thread writes to, the last thread
// by the kernel.
static void *hammer(void *arg) {
	long me = (long)arg;
	int f = me == THREADS - 1 ? MUST(open("/proc/self/stat", O_RDONLY)) : -1;
	for (unsigned i = me * 977; !stop; i += 61) {
		int p = i % PAGES;
		unsigned long *mine = &page[p][10 + me];
		if (page[p][100] != content(p, 100))
			wrong("page %d has %lx, not %lx", p, page[p][100], content(p, 100));
		if (f < 0) {
			if (*mine != content(p, 10 + me) + counts[me][p])
				wrong("thread %ld: page %d has lost a write", me, p);
			++*mine;
		} else {
			if (pread(f, &page[p][200], 8, 0) != 8)
				wrong("pread: %s", strerror(errno));
			if (page[p][200] == content(p, 200))
				wrong("page %d has not what the kernel wrote", p);
		}
		counts[me][p]++;
		rounds++;
	}
	return NULL;
}

static void verify(void) {
	for (int p = 0; p < PAGES; p++)
		for (int w = 0; w < WORDS; w++) {
			unsigned long want = content(p, w);
			if (w >= 10 && w < 10 + THREADS - 1)
				want += counts[w - 10][p];
			if (w == 200 && counts[THREADS - 1][p])
				continue; // the pid and the name
			if (page[p][w] != want)
				wrong("page %d, word %d: %lx, want %lx", p, w, page[p][w], want);
		}
}

int main(void) {
	page = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int p = 0; p < PAGES; p++)
		for (int w = 0; w < WORDS; w++)
			page[p][w] = content(p, w);
	say("ready");
	while (question()) {
		if (is("sum")) {
			say("%lx", sum());
			continue;
		} else if (is("hello")) {
			say("hello");
			continue;
		} else if (is("hammer")) {
			for (long i = 0; i < THREADS; i++)
				MUST(-pthread_create(&threads[i], NULL, hammer, (void *)i));
			while (rounds < 1000)
				sched_yield();
		} else if (is("verify")) {
			unsigned long before = rounds;
			while (rounds < before + 20000)
				sched_yield();
			stop = 1;
			for (int i = 0; i < THREADS; i++)
				MUST(-pthread_join(threads[i], NULL));
			verify();
		} else if (is("spawn")) {
			MUST(pipe(to_child));
			MUST(pipe(from_child));
			if (!MUST(fork())) {
				unsigned long h;
				char c;
				while (read(to_child[0], &c, 1) == 1) {
					h = sum();
					MUST(write(from_child[1], &h, sizeof h));
				}
				_exit(0);
			}
			close(to_child[0]);
			close(from_child[1]);
		} else if (is("all")) {
			for (int p = 0; p < PAGES; p++)
				page[p][p % WORDS] = 77;
		} else if (is("child")) {
			unsigned long h = 0;
			MUST(write(to_child[1], "x", 1));
			MUST(read(from_child[0], &h, sizeof h));
			say("%lx", h);
			continue;
		} else if (is("shrink")) { // and grow: what was cut off is zeros then
			size_t half = (size_t)PAGES / 2 * PAGE;
			void *p = mremap(page, 2 * half, half, 0);
			if (p != page || mremap(page, half, 2 * half, 0) != page)
				wrong("mremap: %s", strerror(errno));
			for (size_t i = half; i < 2 * half; i += PAGE)
				if (((char *)page)[i + 11])
					wrong("%zx has come back", i);
		} else if (is("lock")) {
			MUST(mlock(page, 8 * PAGE));
			MUST(munlock(page, 8 * PAGE));
		}
		report();
	}
	return 0;
}
