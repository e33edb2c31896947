// Private memory of every kind. "sum" reads all of it, "grow" makes the stack,
// the heap and a growing mapping larger.
#include "victim.h"

enum { PAGE = 4096, HOLES = 4000 };
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static unsigned long random_state = 88172645463325252UL;
static unsigned long next(void) {
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}
static unsigned long sum(const void *p, size_t n) {
	unsigned long h = 14695981039346656037UL;
	for (size_t i = 0; i < n / 8; i++)
		h = (h ^ ((unsigned long *)p)[i]) * 1099511628211UL;
	return h;
}

__attribute__((noinline, aligned(4096))) static int patched(void) { return 1; }
__attribute__((noinline, aligned(4096))) static int after_patched(void) { return 2; }

static int data = 5;
static const int rodata[4096] = {1, 2, 3};
static char *big, *hidden, *holes, *reserve, *downs, *locked, *advised[8], *guard, *rx;
static size_t mb;
static const size_t tera = 1UL << 40;

static int readable(const void *p) {
	static int pipes[2] = {-1};
	char c;
	if (pipes[0] < 0)
		MUST(pipe2(pipes, O_CLOEXEC));
	if (write(pipes[1], p, 1) != 1)
		return 0;
	return read(pipes[0], &c, 1) == 1;
}

static char *map(size_t n, int prot, int flags) {
	char *p = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (p == MAP_FAILED)
		MUST(-1);
	return p;
}

static int deep(int n) {
	volatile char b[PAGE];
	b[0] = n;
	return n ? b[0] + deep(n - 1) : 0;
}

int main(int argc, char **argv) {
	mb = argc > 1 ? atoi(argv[1]) : 1;
	big = map(mb << 20, PROT_READ | PROT_WRITE, 0);
	for (size_t i = 0; i < mb << 17; i++)
		((unsigned long *)big)[i] = next();
	hidden = map(4 * PAGE, PROT_READ | PROT_WRITE, 0);
	strcpy(hidden, "hidden");
	strcpy(hidden + 3 * PAGE, "too");
	MUST(mprotect(hidden, 4 * PAGE, PROT_NONE));
	holes = map(HOLES * PAGE, PROT_READ | PROT_WRITE, 0);
	MUST(madvise(holes, HOLES * PAGE, MADV_NOHUGEPAGE));
	for (int i = 0; i < HOLES; i++)
		if (next() % 3 == 0)
			holes[i * PAGE + i % PAGE] = i % 255 + 1;
	(void)*(volatile char *)(holes + 17 * PAGE); // the page of zeros
	reserve = map(tera, PROT_READ | PROT_WRITE, MAP_NORESERVE);
	for (int i = 0; i < 8; i++)
		sprintf(reserve + (tera / 8) * i + i * PAGE, "page %d", i);
	downs = map(1024 * PAGE, PROT_NONE, 0); // room, and the kernel's gap of 256 pages
	MUST(munmap(downs, 1024 * PAGE));
	downs = mmap(downs + 1000 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	if (downs == MAP_FAILED)
		MUST(-1);
	strcpy(downs, "downs");
	locked = map(PAGE, PROT_READ | PROT_WRITE, 0);
	strcpy(locked, "locked");
	MUST(mlock(locked, PAGE));
	static const int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_SEQUENTIAL, MADV_RANDOM};
	for (int i = 0; i < 7; i++) {
		advised[i] = map(3 * PAGE, PROT_READ | PROT_WRITE, 0);
		(void)madvise(advised[i] + PAGE, PAGE, advice[i]); // not every kernel knows all
		sprintf(advised[i], "advice %d", i);
	}
	guard = map(8 * PAGE, PROT_READ | PROT_WRITE, 0);
	memset(guard, 7, 8 * PAGE);
	(void)madvise(guard + 2 * PAGE, 3 * PAGE, MADV_GUARD_INSTALL); // Linux 6.13
	rx = map(PAGE, PROT_READ | PROT_WRITE, 0);
	memcpy(rx, "\xb8\x2a\0\0\0\xc3", 6); // mov eax, 42; ret
	MUST(mprotect(rx, PAGE, PROT_READ | PROT_EXEC));
	MUST(mprotect((void *)patched, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	memcpy((void *)patched, "\xb8\x63\0\0\0\xc3", 6); // 99
	MUST(mprotect((void *)patched, PAGE, PROT_READ | PROT_EXEC));
	data = 6;
	char *heap = sbrk(3 * PAGE);
	memset(heap, 9, 3 * PAGE);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, locked, PAGE, "a name");
	say("ready");
	while (question()) {
		if (is("sum")) {
			unsigned long r = 0;
			for (int i = 0; i < 8; i++)
				r = r * 31 + sum(reserve + (tera / 8) * i, 16 * PAGE);
			int asleep = !readable(hidden) && !readable(hidden + 3 * PAGE);
			MUST(mprotect(hidden, 4 * PAGE, PROT_READ));
			say("%d big %lx hidden %d %s %s holes %lx reserve %lx downs %s locked %s advice %s%s%s guard %d%d%d%d%d rx %d patched %d %d data %d ro %d heap %d",
				getpid(), sum(big, mb << 20), asleep, hidden, hidden + 3 * PAGE, sum(holes, HOLES * PAGE), r, downs, locked,
				advised[0], advised[3], advised[6], readable(guard + PAGE), readable(guard + 2 * PAGE), readable(guard + 4 * PAGE),
				readable(guard + 5 * PAGE), guard[6 * PAGE], ((int (*)(void))rx)(), ((int (*volatile)(void))patched)(), after_patched(),
				data, rodata[2], heap[2 * PAGE]);
			MUST(mprotect(hidden, 4 * PAGE, PROT_NONE));
		} else if (is("grow")) {
			char *top = sbrk(0), *got = sbrk(1 << 20);
			memset(got, 1, 1 << 20);
			downs[-40 * PAGE] = 3;
			say("brk %d, stack %d, down %d", got == top && sbrk(0) == top + (1 << 20), deep(1000) != 0, downs[-40 * PAGE]);
		} else if (is("child")) { // what fork(2) does to advised memory
			int st;
			pid_t p = MUST(fork());
			if (!p)
				_exit(readable(advised[0] + PAGE) << 1 | (advised[2][PAGE] != 0));
			waitpid(p, &st, 0);
			say("%d", WEXITSTATUS(st));
		}
	}
	return 0;
}
