// Private memory that changes all the time: stored to by two threads, given up,
// moved, protected, forked. Every page has a version that is kept elsewhere.
#include "torture.h"

enum { PAGE = 4096, PAGES = 512, HALF = PAGES / 2 };

static unsigned char *area;
static unsigned version[PAGES]; // 0 is a page of zeros

static unsigned long word(int page, int i) { return version[page] ? (unsigned long)version[page] * 0x9e3779b97f4a7c15 + page * 31 + i : 0; }

static void fill(int page, unsigned to) {
	version[page] = to;
	for (int i = 0; i < PAGE / 8; i++)
		((unsigned long *)(area + (size_t)page * PAGE))[i] = word(page, i);
}

static void verify(int page) {
	for (int i = 0; i < PAGE / 8; i++) {
		unsigned long is = ((unsigned long *)(area + (size_t)page * PAGE))[i];
		if (is != word(page, i))
			broken("word %d of page %d at version %u is %#lx and should be %#lx", i, page, version[page], is, word(page, i));
	}
}

// swap has two pages trade places, through a third.
static void swap(int a, int b) {
	unsigned char *pa = area + (size_t)a * PAGE, *pb = area + (size_t)b * PAGE;
	unsigned char *gap = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(gap != MAP_FAILED);
	CHECK(mremap(pa, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, gap) == gap);
	CHECK(mremap(pb, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pa) == pa);
	CHECK(mremap(gap, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pb) == pb);
	unsigned va = version[a], vb = version[b];
	fill(a, vb); // words know their page
	fill(b, va);
}

// child sees the memory as it was and may do to its own what it likes.
static void child(void *arg) {
	struct sequence s = sequence((unsigned long)arg);
	for (int i = 0; i < HALF; i++)
		verify(i);
	for (int i = 0; i < 20; i++)
		fill(draw(&s, HALF), 1);
	nap(&s, 2000);
}

// store works on the half that no other operation touches.
static void *store(void *unused) {
	(void)unused;
	struct sequence s = sequence(1001);
	for (unsigned n = 1; !ending(); n++) {
		int page = HALF + draw(&s, HALF);
		verify(page);
		fill(page, n);
		step();
		nap(&s, 2000);
	}
	return NULL;
}

void memory(void) {
	struct sequence s = sequence(1000);
	area = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && madvise(area, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE) == 0);
	pthread_t t = thread(store, NULL);
	for (unsigned long n = 1; !ending(); n++) {
		int page = draw(&s, HALF - 8), other = draw(&s, HALF), few = 1 + draw(&s, 8);
		unsigned char *at = area + (size_t)page * PAGE;
		switch (draw(&s, 6)) {
		case 0:
			CHECK(madvise(at, (size_t)few * PAGE, MADV_DONTNEED) == 0);
			memset(version + page, 0, few * sizeof version[0]);
			break;
		case 1:
			if (page != other)
				swap(page, other);
			break;
		case 2:
			CHECK(mprotect(at, (size_t)few * PAGE, PROT_NONE) == 0);
			nap(&s, 1000);
			CHECK(mprotect(at, (size_t)few * PAGE, PROT_READ | PROT_WRITE) == 0);
			break;
		case 3:
			if (draw(&s, 4) == 0)
				await(role(child, (void *)n));
			break;
		case 4:
			CHECK(mmap(at, (size_t)few * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
			memset(version + page, 0, few * sizeof version[0]);
			break;
		default:
			fill(page, n);
		}
		for (int i = 0; i < 10; i++)
			verify(draw(&s, HALF));
		step();
		nap(&s, 3000);
	}
	join(t);
	for (int i = 0; i < PAGES; i++)
		verify(i);
}
