// What every victim begins with: answers to questions, one line each, and a
// note of the first thing that went wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char trouble[512];

__attribute__((unused, format(printf, 1, 2))) static void wrong(const char *fmt, ...) {
	va_list ap;
	char b[sizeof trouble];
	va_start(ap, fmt);
	vsnprintf(b, sizeof b, fmt, ap);
	va_end(ap);
	if (!trouble[0])
		strcpy(trouble, b);
}

__attribute__((unused, format(printf, 1, 2))) static void say(const char *fmt, ...) {
	static char b[1 << 16];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(b, sizeof b - 1, fmt, ap);
	va_end(ap);
	b[n++] = '\n';
	if (write(1, b, n) != n)
		exit(90);
}

// report says "ok", or what went wrong first.
__attribute__((unused)) static void report(void) { say("%s", trouble[0] ? trouble : "ok"); }

// question reads a line; its words are given to is. No read may be interrupted.
static char line[1024];

__attribute__((unused)) static int question(void) {
	int n = 0;
	for (;;) {
		int k = read(0, line + n, 1);
		if (k < 0)
			wrong("read of the question: %s", strerror(errno));
		if (k == 0)
			return 0;
		if (k < 0)
			continue;
		if (line[n] == '\n') {
			line[n] = 0;
			return 1;
		}
		n++;
	}
}

__attribute__((unused)) static int is(const char *q) { return !strcmp(line, q); }

__attribute__((unused)) static long must(long r, const char *what) {
	if (r < 0) {
		say("%s: %s", what, strerror(errno));
		exit(91);
	}
	return r;
}
#define MUST(x) must((long)(x), #x)

// state_in is that of the thread or process of a directory in /proc: R, S, ...
__attribute__((unused)) static char state_in(const char *dir, int id) {
	char path[64], b[256];
	sprintf(path, "%s/%d/stat", dir, id);
	int fd = open(path, O_RDONLY), n = read(fd, b, sizeof b - 1);
	close(fd);
	b[n] = 0;
	return strrchr(b, ')')[2];
}
__attribute__((unused)) static char state(int tid) { return state_in("/proc/self/task", tid); }
__attribute__((unused)) static char state_of(int pid) { return state_in("/proc", pid); }

__attribute__((unused)) static double now(clockid_t c) {
	struct timespec t;
	clock_gettime(c, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}
