// Files of a disk that have no name any more and are mapped shared: one with a
// descriptor, one that a child has mapped, too, and nobody else has, and one that
// never had a name.
#include "victim.h"

enum { SIZE = 3 << 20 };
static char *open_one, *both, *unnamed;
static int fd;

static char *map(int fd, int size) {
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		MUST(-1);
	return p;
}

static int make(const char *name) {
	char path[512];
	snprintf(path, sizeof path, "%s/%s", getenv("VICTIM_DIR"), name);
	int f = MUST(open(path, O_RDWR | O_CREAT | O_EXCL, 0640));
	MUST(ftruncate(f, SIZE));
	MUST(unlink(path));
	return f;
}

static unsigned sum(const char *p, int n) {
	unsigned s = 0;
	for (int i = 0; i < n; i++)
		s = s * 31 + (unsigned char)p[i];
	return s;
}

int main(void) {
	fd = make("open");
	MUST(ftruncate(fd, 100000)); // no whole pages
	open_one = map(fd, 100000);
	int other = make("both"), tmp = MUST(open(getenv("VICTIM_DIR"), O_RDWR | O_TMPFILE, 0600));
	both = map(other, SIZE);
	close(other);
	MUST(ftruncate(tmp, 5000));
	unnamed = map(tmp, 5000);
	for (int i = 0; i < 100000; i++)
		open_one[i] = i * 7;
	for (int i = 0; i < 1 << 20; i++)
		both[i + (1 << 20)] = i * 3; // holes before and after
	strcpy(unnamed + 4990, "the end");
	MUST(lseek(fd, 12345, SEEK_SET));
	int ask[2], tell[2];
	MUST(pipe(ask));
	MUST(pipe(tell));
	if (!MUST(fork())) {
		char c;
		while (MUST(read(ask[0], &c, 1)) == 1) {
			both[77] = c;
			MUST(write(tell[1], both + 78, 1));
		}
		_exit(0);
	}
	say("ready");
	while (question()) {
		if (is("content")) {
			struct stat st, t;
			char b[8];
			MUST(fstat(fd, &st));
			MUST(fstat(tmp, &t));
			MUST(pread(fd, b, 8, 777));
			say("%u %u %s size %ld %ld at %ld links %ld %d%s", sum(open_one, 100000), sum(both, SIZE), unnamed + 4990, (long)st.st_size, (long)t.st_size,
				(long)lseek(fd, 0, SEEK_CUR), (long)st.st_nlink, !memcmp(b, open_one + 777, 8), trouble);
		} else if (is("one file")) {
			// What is written by a descriptor is in the mapping, and the other way round.
			MUST(pwrite(fd, "written", 7, 50000));
			memcpy(open_one + 60000, "mapped", 6);
			char b[7] = "", c = 'c';
			MUST(pread(fd, b, 6, 60000));
			both[78] = 'p';
			MUST(write(ask[1], &c, 1));
			MUST(read(tell[0], &c, 1));
			say("%.7s %s %c%c", open_one + 50000, b, both[77], c);
		}
	}
	return 0;
}
