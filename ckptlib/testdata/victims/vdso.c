// A program that asks for the time by the functions of the vdso: through the C
// library, which has known them since its start, through the table of symbols,
// and in threads that do nothing else.
#include "victim.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/time.h>

typedef int (*clock_fn)(clockid_t, struct timespec *);

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static int64_t kernel(clockid_t c) {
	struct timespec t;
	syscall(SYS_clock_gettime, c, &t);
	return ns(t);
}

// lookup finds a function of the vdso that lies in memory.
static void *lookup(const char *name) {
	char *base = (char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr *e = (void *)base;
	Elf64_Shdr *s = (void *)(base + e->e_shoff);
	for (int i = 0; i < e->e_shnum; i++) {
		if (s[i].sh_type != SHT_DYNSYM)
			continue;
		char *strings = base + s[s[i].sh_link].sh_offset;
		Elf64_Sym *y = (void *)(base + s[i].sh_offset);
		for (unsigned k = 0; k < s[i].sh_size / sizeof *y; k++)
			if (!strcmp(strings + y[k].st_name, name))
				return base + y[k].st_value;
	}
	return NULL;
}

// right tells whether a clock says what the kernel says.
static int right(clock_fn f, clockid_t c) {
	struct timespec t;
	int64_t before = kernel(c);
	return !f(c, &t) && before <= ns(t) && ns(t) <= kernel(c);
}

// leads tells where a function that begins with a jump leads.
static const char *leads(unsigned char *f) {
	uint64_t to, start, end;
	static char l[512];
	if (!f || f[0] != 0x48 || f[1] != 0xb8)
		return "is the kernel's";
	memcpy(&to, f + 2, 8);
	FILE *m = fopen("/proc/self/maps", "r");
	while (fgets(l, sizeof l, m))
		if (sscanf(l, "%lx-%lx", &start, &end) == 2 && to >= start && to < end)
			break;
	fclose(m);
	return strstr(l, "[vdso]") ? "leads to the kernel's" : "leads astray";
}

static atomic_int calls;

static void *spins(void *arg) {
	clockid_t c = (clockid_t)(intptr_t)arg;
	struct timespec t;
	int64_t last = kernel(c);
	for (;;) {
		for (int i = 0; i < 200; i++) {
			if (clock_gettime(c, &t))
				wrong("clock %d: %s", c, strerror(errno));
			if (ns(t) < last)
				wrong("clock %d went from %lld to %lld", c, (long long)last, (long long)ns(t));
			last = ns(t);
		}
		if (last > kernel(c))
			wrong("clock %d is ahead of the kernel", c);
		calls++;
	}
	return NULL;
}

int main(int argc, char **argv) {
	for (int i = 1; i < argc; i++) {
		pthread_t t;
		pthread_create(&t, NULL, spins, (void *)(intptr_t)atoi(argv[i]));
	}
	say("ready");
	while (question()) {
		if (is("clocks")) {
			struct timeval v;
			unsigned cpu = ~0U;
			int ok = 1;
			for (clockid_t c = CLOCK_REALTIME; c <= CLOCK_BOOTTIME; c++)
				ok = ok && (c == CLOCK_PROCESS_CPUTIME_ID || c == CLOCK_THREAD_CPUTIME_ID || right(clock_gettime, c));
			int64_t before = kernel(CLOCK_REALTIME) / 1000;
			gettimeofday(&v, NULL);
			int64_t us = v.tv_sec * 1000000LL + v.tv_usec;
			int64_t first = kernel(CLOCK_REALTIME_COARSE) / 1000000000;
			time_t s = time(NULL);
			say("%d %d %d %d", ok, before <= us && us <= kernel(CLOCK_REALTIME) / 1000, first <= s && s <= kernel(CLOCK_REALTIME) / 1000000000,
				getcpu(&cpu, NULL) == 0 && cpu < 1 << 16);
		} else if (is("symbol")) {
			clock_fn f = (clock_fn)lookup("clock_gettime");
			say("%d %s", f && right(f, CLOCK_MONOTONIC), leads((unsigned char *)f));
		} else if (is("spin")) {
			calls = 0;
			while (calls < 100 && !trouble[0])
				usleep(1000);
			report();
		}
	}
	return 0;
}
