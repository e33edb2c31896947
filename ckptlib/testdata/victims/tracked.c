// Memory that changes in every way that page tracking could miss. "sum" reads
// all of it; every other word changes something; "state" says what a checkpoint
// must not leave behind.
#include "victim.h"
#include <sys/uio.h>

enum { PAGE = 4096, PAGES = 8192 }; // 32 MiB
static char *area, *extra;
static size_t extra_size;
static int turn;

static unsigned long sum(const char *p, size_t n) {
	unsigned long h = 14695981039346656037UL;
	for (size_t i = 0; i < n / 8; i++)
		h = (h ^ ((unsigned long *)p)[i]) * 1099511628211UL;
	return h;
}

static char *map(void *at, size_t n) {
	char *p = mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);
	if (p == MAP_FAILED)
		MUST(-1);
	MUST(madvise(p, n, MADV_NOHUGEPAGE));
	return p;
}

static void fill(char *p, size_t n, unsigned long seed) {
	for (size_t i = 0; i < n / 8; i++) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		((unsigned long *)p)[i] = seed;
	}
}

static unsigned long total(void) { return sum(area, (size_t)PAGES * PAGE) * 31 + (extra ? sum(extra, extra_size) : 0); }

// children counts what wait(2) and /proc tell of children.
static void children(void) {
	char b[4096] = "", path[64];
	sprintf(path, "/proc/self/task/%d/children", getpid());
	int f = MUST(open(path, O_RDONLY)), n = read(f, b, sizeof b - 1);
	close(f);
	int r = waitpid(-1, NULL, WNOHANG | __WALL);
	say("wait %d %s, %d bytes of children", r, r < 0 ? strerror(errno) : "", n);
}

int main(int argc, char **argv) {
	area = map(NULL, (size_t)PAGES * PAGE);
	fill(area, (size_t)PAGES * PAGE, argc > 1 ? atoi(argv[1]) : 1);
	say("ready");
	while (question()) {
		turn++;
		char *at = area + (size_t)(turn * 37 % 1000 + 100) * PAGE;
		if (is("sum")) {
			say("%lx", total());
			continue;
		} else if (is("children")) {
			children();
			continue;
		} else if (is("store")) {
			*at = turn;
		} else if (is("read")) { // by the kernel
			int f = MUST(open("/proc/self/cmdline", O_RDONLY));
			MUST(read(f, at + 5, 8));
			close(f);
			*(at + 2) = turn;
		} else if (is("vmwrite")) { // by another process's system call
			char b[3 * PAGE];
			memset(b, turn, sizeof b);
			pid_t parent = getpid(), p = MUST(fork());
			if (!p) {
				struct iovec l = {b, sizeof b}, r = {at + 100, sizeof b};
				_exit(process_vm_writev(parent, &l, 1, &r, 1, 0) != sizeof b);
			}
			int st;
			MUST(waitpid(p, &st, 0));
			if (st)
				wrong("process_vm_writev: status %x", st);
		} else if (is("dontneed")) {
			MUST(madvise(at, 5 * PAGE, MADV_DONTNEED));
		} else if (is("touch-after-dontneed")) {
			MUST(madvise(at, 5 * PAGE, MADV_DONTNEED));
			at[2 * PAGE] = turn;
			(void)*(volatile char *)(at + 3 * PAGE); // the page of zeros
		} else if (is("remap-over")) { // a new mapping in the middle
			map(at, 16 * PAGE);
			fill(at, 3 * PAGE, turn);
		} else if (is("move")) { // pages that trade places
			char *gap = map(NULL, 8 * PAGE);
			if (mremap(at, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, gap) != gap ||
			    mremap(at + 20 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) != at ||
			    mremap(gap, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 20 * PAGE) != at + 20 * PAGE)
				wrong("mremap: %s", strerror(errno));
		} else if (is("protect")) {
			MUST(mprotect(at, 9 * PAGE, PROT_READ));
			MUST(mprotect(at, 9 * PAGE, PROT_READ | PROT_WRITE));
			at[4 * PAGE] = turn;
		} else if (is("hide")) { // written, then unreadable
			at[PAGE] = turn;
			MUST(mprotect(at, 3 * PAGE, PROT_NONE));
			MUST(mprotect(at, 3 * PAGE, PROT_READ | PROT_WRITE));
		} else if (is("new")) {
			if (!extra)
				extra = map(NULL, extra_size = 6 << 20);
			fill(extra, extra_size, turn);
		} else if (is("gone")) {
			if (extra)
				MUST(munmap(extra, extra_size));
			extra = NULL;
		} else if (is("brk")) {
			char *p = sbrk(5 << 20);
			fill(p, 5 << 20, turn);
			memcpy(at, p, 100);
		} else if (is("fork")) { // the child's writes are not the parent's
			pid_t p = MUST(fork());
			if (!p) {
				memset(at, 1, 50 * PAGE);
				_exit(0);
			}
			MUST(waitpid(p, NULL, 0));
			*at = turn;
		} else if (is("alone")) { // no more processes
			MUST(setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}));
		} else if (is("half")) {
			for (int i = 0; i < PAGES; i += 2)
				area[(size_t)i * PAGE + 8] = turn;
		} else if (is("all")) {
			fill(area, (size_t)PAGES * PAGE, turn);
		} else if (is("exec")) {
			char seed[16];
			sprintf(seed, "%d", turn + 100);
			execl("/proc/self/exe", argv[0], seed, NULL);
			wrong("execl: %s", strerror(errno));
		}
		report();
	}
	return 0;
}
