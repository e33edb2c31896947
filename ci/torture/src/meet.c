// How ends of TCP connections find each other: rank 0 accepts and rank 1 dials, or
// two processes of the only rank do. The acceptor's port is in a file.
#include "torture.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

// address is where rank 0 is, its port in the machine's order.
static struct sockaddr_in address(int port) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	const char *at = getenv("TORTURE_ADDRESS");
	CHECK(inet_pton(AF_INET, at ? at : "127.0.0.1", &a.sin_addr) == 1);
	return a;
}

static int announce(const char *port_file) {
	struct sockaddr_in a = address(0);
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(l >= 0 && bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 8) == 0 && getsockname(l, (struct sockaddr *)&a, &n) == 0);
	char new[100];
	snprintf(new, sizeof new, "%s.new", port_file);
	FILE *f = fopen(new, "w");
	CHECK(f && fprintf(f, "%d\n", ntohs(a.sin_port)) > 0 && fclose(f) == 0 && rename(new, port_file) == 0);
	return l;
}

static int announced(const char *port_file) {
	struct sequence s = sequence(3900);
	for (;; nap(&s, 20000)) {
		int port = 0;
		FILE *f = fopen(port_file, "r");
		if (!f)
			continue;
		int n = fscanf(f, "%d", &port);
		fclose(f);
		if (n == 1)
			return port;
	}
}

int dial(int port) {
	struct sockaddr_in a = address(port), peer;
	socklen_t n = sizeof peer;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
	// The peer's name stays what it was, wherever it is now.
	CHECK(getpeername(fd, (struct sockaddr *)&peer, &n) == 0 && peer.sin_port == a.sin_port && peer.sin_addr.s_addr == a.sin_addr.s_addr);
	return fd;
}

int accept_one(int listener) {
	int fd = accept(listener, NULL, NULL);
	CHECK(fd >= 0);
	return fd;
}

struct ends {
	const char *port_file;
	void (*accepting)(int listener), (*dialing)(int port);
};

static void accepting(void *arg) {
	struct ends *e = arg;
	e->accepting(announce(e->port_file));
}

void meet(const char *port_file, void (*accept)(int listener), void (*dial)(int port)) {
	struct ends e = {port_file, accept, dial};
	if (ranks > 1 && rank == 0) {
		accepting(&e);
	} else if (ranks > 1) {
		dial(announced(port_file));
	} else {
		CHECK(unlink(port_file) == 0 || errno == ENOENT);
		pid_t p = role(accepting, &e);
		dial(announced(port_file));
		await(p);
	}
}
