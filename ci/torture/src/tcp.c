// TCP connections that last, with records both ways. One is read so slowly, and
// its buffers are so small, that its window is full.
#include "torture.h"
#include <netinet/in.h>

enum { CHANNEL = 3000, LASTING = 3 };

// last is one end of a connection that lasts: records go both ways.
struct lasting {
	int fd, index, dialer;
};

static void last(void *arg) {
	struct lasting *c = arg;
	unsigned long base = CHANNEL + 10 * c->index;
	int slow = c->index == 0;
	struct channel to = {.fd = c->fd, .number = base + 2 * c->dialer, .nap_us = slow ? 100 : 3000},
		       from = {.fd = c->fd, .number = base + 2 * !c->dialer, .relay = -1, .nap_us = slow ? 20000 : 2000};
	int small = 8192;
	if (slow)
		CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0 && setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
	pthread_t t = thread(send_records, &to);
	receive_records(&from);
	if (rank == 1)
		atomic_store(&shared->end, 1); // the other one has said so
	join(t);
	char b;
	CHECK(shutdown(c->fd, SHUT_WR) == 0 && read(c->fd, &b, 1) == 0);
	close(c->fd);
}

static void all(int dialer, int listener, int port) {
	struct lasting c[LASTING];
	pid_t p[LASTING];
	for (int i = 0; i < LASTING; i++) {
		c[i] = (struct lasting){dialer ? dial(port) : accept_one(listener), i, dialer};
		p[i] = role(last, &c[i]);
		close(c[i].fd);
	}
	for (int i = 0; i < LASTING; i++)
		await(p[i]);
}

static void accepts(int listener) { all(0, listener, 0); }
static void dials(int port) { all(1, -1, port); }

void tcp(void) { meet("torture-port", accepts, dials); }
