// Files: a log to which two processes append, read while it grows; a file that is
// written anew and renamed all the time; one without a name; and a counter under
// a lock.
#include "torture.h"
#include <sys/file.h>
#include <sys/stat.h>

enum { WRITERS = 2, BLOCKS = 32, BLOCK = 1024 };

static char log_path[PATH_MAX], state[PATH_MAX], state_new[PATH_MAX], counter[PATH_MAX];

// A line of the log: writer, number, a sum, and as much as makes the length vary.
static int line(char *to, size_t room, unsigned long writer, unsigned long n) {
	struct sequence s = sequence(writer << 32 ^ n);
	unsigned long sum = draw(&s, 1000000);
	return snprintf(to, room, "%lu %lu %lu %.*s\n", writer, n, sum, (int)draw(&s, 30), "..............................");
}

static void append(void *arg) {
	unsigned long me = (unsigned long)arg;
	struct sequence s = sequence(900 + me);
	int fd = open(log_path, O_WRONLY | O_APPEND);
	CHECK(fd >= 0);
	for (unsigned long n = 0; !ending(); n++) {
		char b[200];
		int k = line(b, sizeof b, me, n);
		CHECK(write(fd, b, k) == k);
		step();
		nap(&s, 8000);
	}
	close(fd);
}

// read_log reads what has been appended since: every line must be the next of its writer. Of
// one that is being written across pages a part may be there.
static void read_log(FILE *f, unsigned long next[WRITERS]) {
	char got[200], want[200];
	long at = ftell(f);
	for (; fgets(got, sizeof got, f) && strchr(got, '\n'); at = ftell(f)) {
		unsigned long writer = strtoul(got, NULL, 10);
		if (writer < WRITERS)
			line(want, sizeof want, writer, next[writer]++);
		if (writer >= WRITERS || strcmp(got, want) != 0)
			broken("the log has at %ld the line %.60s and should have %.60s", at, got, want);
	}
	CHECK(feof(f) && !ferror(f) && fseek(f, at, SEEK_SET) == 0);
}

static void replace(void *unused) {
	(void)unused;
	struct sequence s = sequence(910);
	unsigned char b[RECORD], got[RECORD];
	for (unsigned long n = 0; !ending(); n++) {
		size_t k = record(911, n, b);
		int fd = open(state_new, O_WRONLY | O_CREAT | O_EXCL, 0600);
		CHECK(fd >= 0);
		write_all(fd, &n, sizeof n);
		nap(&s, 1000);
		write_all(fd, b, k);
		CHECK(fsync(fd) == 0 && close(fd) == 0 && rename(state_new, state) == 0);
		fd = open(state, O_RDONLY);
		unsigned long is;
		CHECK(fd >= 0);
		read_all(fd, &is, sizeof is);
		CHECK(is == n);
		read_all(fd, got, k);
		CHECK(memcmp(got, b, k) == 0 && read(fd, got, 1) == 0 && close(fd) == 0);
		step();
		nap(&s, 5000);
	}
}

// nameless writes and reads blocks of a file that nobody else can find.
static void nameless(void *arg) {
	struct sequence s = sequence((unsigned long)arg);
	unsigned long version[BLOCKS] = {0};
	unsigned char b[RECORD], got[RECORD];
	char path[PATH_MAX];
	path_in(path, (unsigned long)arg == 920 ? private_dir() : ".", "nameless");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && unlink(path) == 0);
	for (unsigned long n = 1; !ending(); n++) {
		int i = draw(&s, BLOCKS), k = draw(&s, BLOCKS);
		version[i] = n;
		record(921, n, b);
		CHECK(pwrite(fd, b, BLOCK, (off_t)i * BLOCK) == BLOCK);
		if (version[k] > 0) {
			record(921, version[k], b + 0);
			CHECK(pread(fd, got, BLOCK, (off_t)k * BLOCK) == BLOCK);
			size_t length = record(921, version[k], b);
			CHECK(memcmp(got, b, length < BLOCK ? length : BLOCK) == 0);
		}
		step();
		nap(&s, 6000);
	}
}

static void count_locked(void *arg) {
	struct sequence s = sequence(930 + (unsigned long)arg);
	int fd = open(counter, O_RDWR);
	CHECK(fd >= 0);
	while (!ending()) {
		unsigned long n[2];
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		CHECK(fcntl(fd, F_SETLKW, &l) == 0);
		CHECK(pread(fd, n, sizeof n, 0) == sizeof n && n[0] == n[1]);
		n[0]++;
		CHECK(pwrite(fd, n, sizeof n, 0) == sizeof n);
		nap(&s, 500); // the two differ while it is locked
		n[1]++;
		CHECK(pwrite(fd, n, sizeof n, 0) == sizeof n);
		l.l_type = F_UNLCK;
		CHECK(fcntl(fd, F_SETLK, &l) == 0);
		step();
		nap(&s, 6000);
	}
}

void files(void) {
	unsigned long zero[2] = {0}, next[WRITERS] = {0};
	path_in(log_path, ".", "log");
	path_in(state, private_dir(), "state");
	path_in(state_new, private_dir(), "state.new");
	path_in(counter, private_dir(), "counter");
	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), k = open(counter, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && close(fd) == 0 && k >= 0 && write(k, zero, sizeof zero) == sizeof zero && close(k) == 0);
	pid_t p[] = {
		role(append, (void *)0), role(append, (void *)1), role(replace, NULL), role(nameless, (void *)920), role(nameless, (void *)922),
		role(count_locked, (void *)0), role(count_locked, (void *)1),
	};
	FILE *f = fopen(log_path, "r");
	CHECK(f);
	struct sequence s = sequence(940);
	for (; !ending(); nap(&s, 50000))
		read_log(f, next);
	for (unsigned i = 0; i < sizeof p / sizeof p[0]; i++)
		await(p[i]);
	read_log(f, next);
	fclose(f);
}
