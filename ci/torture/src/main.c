#include "torture.h"
#include <poll.h>

// The order is the order in which counts are told.
const struct activity activities[] = {
	{"threads", threads}, {"forks", forks}, {"pipes", pipes}, {"unix", unix_sockets}, {"tcp", tcp}, {"calls", calls}, {"shared", shared_memory},
	{"sysv", sysv}, {"timers", timers}, {"signals", signals}, {"events", events}, {"files", files}, {"memory", memory},
};
const int activity_count = sizeof activities / sizeof activities[0];
_Static_assert(sizeof activities / sizeof activities[0] <= MAX_ACTIVITIES, "the counters have too few places");

static pid_t leader[MAX_ACTIVITIES];

// number is the first of some environment variables that there is.
static int number(const char *const names[], int otherwise) {
	for (; *names; names++)
		if (getenv(*names))
			return atoi(getenv(*names));
	return otherwise;
}

// tell prints one line, in one call: of each process that has done something how
// often, as activity.rank.part.
static void tell(const char *word) {
	static char b[1 << 14];
	int n = snprintf(b, sizeof b, "%s seed=%lu mono=%lu", word, seed, now_ns(CLOCK_MONOTONIC));
	for (int i = 0; i < ranks * activity_count * PARTS; i++) {
		int r = i / PARTS / activity_count, a = i / PARTS % activity_count, p = i % PARTS;
		unsigned long done = atomic_load(&shared->done[r][a][p]);
		if (done)
			n += snprintf(b + n, sizeof b - n, " %s.%d.%d=%lu", activities[a].name, r, p, done);
	}
	b[n++] = '\n';
	if (write(1, b, n) != n)
		_exit(3);
}

static void question(const char *line) {
	if (!strcmp(line, "check"))
		tell("check");
	else if (!strcmp(line, "stop"))
		atomic_store(&shared->end, 1);
}

// listen_to reads questions, if there are any, for some milliseconds.
static void listen_to(struct pollfd *in) {
	static char line[100];
	static size_t have;
	if (poll(in, 1, 5) <= 0)
		return;
	ssize_t n = read(in->fd, line + have, 1);
	if (n <= 0) {
		in->fd = -1; // poll passes it over
	} else if (line[have] == '\n') {
		line[have] = 0;
		have = 0;
		question(line);
	} else if (++have == sizeof line) {
		have = 0;
	}
}

// stop_all ends everything and says why.
static int stop_all(const char *why) {
	printf("broken seed=%lu: %s\n", seed, why);
	fflush(stdout);
	for (int i = 0; i < activity_count; i++)
		if (leader[i])
			kill(-leader[i], SIGKILL);
	return 1;
}

int main(int argc, char **argv) {
	if (argc > 2 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]); // see forks.c
	program = argv[0];
	seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	rank = number((const char *const[]){"PMI_RANK", "OMPI_COMM_WORLD_RANK", NULL}, 0);
	ranks = number((const char *const[]){"PMI_SIZE", "OMPI_COMM_WORLD_SIZE", NULL}, 1);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || ranks > RANKS) {
		fprintf(stderr, "torture: it has %d ranks at most, and needs memory\n", RANKS);
		return 2;
	}
	int left = 0;
	for (self = 0; self < activity_count; self++) {
		int wanted = argc < 3;
		for (int i = 2; i < argc; i++)
			wanted |= !strcmp(argv[i], activities[self].name);
		if (!wanted)
			continue;
		pid_t p = fork();
		if (p == 0) {
			setpgid(0, 0);
			activities[self].run();
			_exit(0);
		}
		if (p < 0)
			return stop_all("fork");
		leader[self] = p;
		left++;
	}
	self = 0;
	tell("ready");
	for (struct pollfd in = {.fd = 0, .events = POLLIN}; left > 0;) {
		int status;
		listen_to(&in);
		if (atomic_load(&shared->broken) == 2)
			return stop_all(shared->what);
		for (pid_t p; (p = waitpid(-1, &status, WNOHANG)) > 0; left--)
			if (status != 0 && !atomic_load(&shared->broken)) {
				char why[100];
				snprintf(why, sizeof why, "rank %d: process %d ended with status %#x", rank, p, status);
				return stop_all(why);
			}
	}
	tell("end");
	return 0;
}
