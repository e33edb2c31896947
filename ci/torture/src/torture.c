#include "torture.h"
#include <stdarg.h>

struct shared *shared;
int rank, ranks = 1, self, part;
unsigned long seed;
const char *program;

int ending(void) { return atomic_load(&shared->end); }

void step(void) { atomic_fetch_add(&shared->done[rank][self][part], 1); }

void broken(const char *format, ...) {
	int none = 0;
	if (atomic_compare_exchange_strong(&shared->broken, &none, 1)) {
		va_list ap;
		int n = snprintf(shared->what, sizeof shared->what, "rank %d, %s, process %d: ", rank, activities[self].name, getpid());
		va_start(ap, format);
		vsnprintf(shared->what + n, sizeof shared->what - n, format, ap);
		va_end(ap);
		atomic_store(&shared->broken, 2);
	}
	_exit(1);
}

// This is splitmix64: small, and any seed will do.
static unsigned long next(unsigned long *state) {
	unsigned long z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

struct sequence sequence(unsigned long number) {
	unsigned long s = seed ^ number * 0xd6e8feb86659fd93;
	next(&s);
	return (struct sequence){s};
}

unsigned long draw(struct sequence *s, unsigned long below) { return next(&s->state) % below; }

void nap(struct sequence *s, unsigned long most_us) {
	unsigned long us = draw(s, most_us + 1);
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	CHECK(nanosleep(&t, &t) == 0);
}

pid_t role(void (*run)(void *), void *arg) {
	pid_t p = fork();
	CHECK(p >= 0);
	if (p == 0) {
		part = atomic_fetch_add(&shared->roles[self], 1) % (PARTS - 1) + 1;
		run(arg);
		_exit(0);
	}
	return p;
}

void await(pid_t p) {
	int status;
	CHECK(waitpid(p, &status, 0) == p);
	if (status != 0)
		broken("process %d ended with status %#x", p, status);
}

pthread_t thread(void *(*run)(void *), void *arg) {
	pthread_t t;
	errno = pthread_create(&t, NULL, run, arg);
	CHECK(errno == 0);
	return t;
}

void join(pthread_t t) {
	errno = pthread_join(t, NULL);
	CHECK(errno == 0);
}

void read_all(int fd, void *to, size_t n) {
	for (size_t have = 0; have < n;) {
		ssize_t k = read(fd, (char *)to + have, n - have);
		if (k == 0)
			broken("the end of descriptor %d came in the midst of it", fd);
		CHECK(k > 0); // no activity that calls this has signals: it may not be interrupted
		have += k;
	}
}

void write_all(int fd, const void *from, size_t n) {
	for (size_t done = 0; done < n;) {
		ssize_t k = write(fd, (const char *)from + done, n - done);
		CHECK(k > 0);
		done += k;
	}
}

unsigned long now_ns(clockid_t c) {
	struct timespec t;
	CHECK(clock_gettime(c, &t) == 0);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

void path_in(char to[PATH_MAX], const char *dir, const char *name) {
	CHECK(snprintf(to, PATH_MAX, "%s/torture-%d-%s", dir, rank, name) < PATH_MAX);
}

const char *private_dir(void) { return getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp"; }
