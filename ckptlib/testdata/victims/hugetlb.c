// Memory in huge pages of hugetlbfs: private, shared with a child, of a memfd and
// of System V.
#include "victim.h"
#include <sys/ipc.h>
#include <sys/shm.h>

enum { PAGE = 2 << 20 };
static unsigned *mine, *ours, *file, *segment;

static unsigned sum(unsigned *p) {
	unsigned s = 0;
	for (int i = 0; p && i < PAGE / 4; i++)
		s = s * 31 + p[i];
	return s;
}

static void fill(unsigned *p, unsigned seed) {
	for (int i = 0; p && i < PAGE / 4; i++)
		p[i] = seed = seed * 1103515245 + 12345;
}

// pages is how many KiB a page of a mapping has.
static int pages(void *p) {
	char l[512];
	unsigned long start;
	int kb = 0, here = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (p && fgets(l, sizeof l, f)) {
		if (sscanf(l, "%lx-", &start) == 1 && strchr(l, '-') && strchr(l, ':') > strchr(l, '-'))
			here = start == (unsigned long)p;
		if (here)
			sscanf(l, "KernelPageSize: %d", &kb);
	}
	fclose(f);
	return kb;
}

int main(void) {
	mine = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ours = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	int fd = memfd_create("huge", MFD_HUGETLB | MFD_ALLOW_SEALING);
	MUST(ftruncate(fd, PAGE));
	file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mine == MAP_FAILED || ours == MAP_FAILED || file == MAP_FAILED) {
		say("none: %s", strerror(errno));
		return 0;
	}
	// To an ordinary user the kernel may give none.
	int id = shmget(IPC_PRIVATE, 100, SHM_HUGETLB | IPC_CREAT | 0600);
	if (id >= 0)
		segment = shmat(id, NULL, 0);
	fill(mine, 1);
	fill(ours, 2);
	fill(file, 3);
	fill(segment, 4);
	int ask[2], tell[2];
	MUST(pipe(ask));
	MUST(pipe(tell));
	if (!MUST(fork())) {
		unsigned s;
		MUST(madvise(mine, 2 * PAGE, MADV_DONTNEED)); // its own are not wanted
		while (MUST(read(ask[0], &s, sizeof s)) == sizeof s) {
			if (s)
				fill(ours, s);
			s = sum(ours);
			MUST(write(tell[1], &s, sizeof s));
		}
		_exit(0);
	}
	say("ready");
	while (question()) {
		unsigned s = 0;
		if (is("memory")) {
			MUST(write(ask[1], &s, sizeof s));
			MUST(read(tell[0], &s, sizeof s));
			unsigned char back[16];
			MUST(pread(fd, back, sizeof back, 64));
			say("%u %u %u %u %u %d%s", sum(mine), sum(ours), sum(file), sum(segment), s, !memcmp(back, (char *)file + 64, sizeof back), trouble);
		} else if (is("pages")) {
			say("%d %d %d %d", pages(mine), pages(ours), pages(file), segment ? pages(segment) : 2048);
		} else if (is("write")) {
			s = 5;
			MUST(write(ask[1], &s, sizeof s));
			MUST(read(tell[0], &s, sizeof s));
			fill(mine, 6);
			fill(mine + PAGE / 4, 7);
			fill(file, 8);
			fill(segment, 9);
			say("%u %u %u %u %u", sum(mine), sum(ours), sum(file), sum(segment), s);
		}
	}
	return 0;
}
