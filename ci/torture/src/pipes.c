// Records through a pipe and a FIFO, the second fed by a process that relays
// from the first; the readers are slower at times, so that writers wait.
#include "torture.h"
#include <sys/stat.h>

enum { CHANNEL = 1000 };

static int first[2];
static char fifo[PATH_MAX];

static void relay(void *unused) {
	(void)unused;
	close(first[1]);
	int out = open(fifo, O_WRONLY);
	CHECK(out >= 0);
	receive_records(&(struct channel){.fd = first[0], .number = CHANNEL, .relay = out});
}

static void drain(void *unused) {
	(void)unused;
	close(first[1]);
	int in = open(fifo, O_RDONLY);
	CHECK(in >= 0);
	receive_records(&(struct channel){.fd = in, .number = CHANNEL, .relay = -1, .nap_us = 3000});
	char c;
	CHECK(read(in, &c, 1) == 0);
}

void pipes(void) {
	path_in(fifo, private_dir(), "fifo");
	CHECK(mkfifo(fifo, 0600) == 0 && pipe(first) == 0);
	pid_t r = role(relay, NULL), d = role(drain, NULL);
	close(first[0]);
	send_records(&(struct channel){.fd = first[1], .number = CHANNEL, .nap_us = 2500});
	close(first[1]);
	await(r);
	await(d);
	CHECK(unlink(fifo) == 0);
}
