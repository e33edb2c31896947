// Unix sockets: records both ways through a stream, and datagrams with
// descriptors of pipes that hold a number.
#include "torture.h"

enum { CHANNEL = 2000 };

static int stream[2], packet[2];

static void both_ways(int fd, unsigned long out, unsigned long in) {
	struct channel to = {.fd = fd, .number = out, .nap_us = 3000}, from = {.fd = fd, .number = in, .relay = -1, .nap_us = 2000};
	pthread_t t = thread(send_records, &to);
	receive_records(&from);
	join(t);
}

static void other(void *unused) {
	(void)unused;
	close(stream[0]);
	both_ways(stream[1], CHANNEL + 2, CHANNEL);
}

// pass_on sends or receives a number and a descriptor; -1 is none.
static int pass_on(int fd, unsigned long *n, int give) {
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec v = {n, sizeof *n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (give >= 0) {
		h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &give, sizeof give);
		CHECK(sendmsg(fd, &m, 0) == sizeof *n);
		return -1;
	}
	int got;
	CHECK(recvmsg(fd, &m, 0) == sizeof *n && (h = CMSG_FIRSTHDR(&m)) && h->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&got, CMSG_DATA(h), sizeof got);
	return got;
}

static void take(void *unused) {
	(void)unused;
	close(packet[0]);
	struct sequence s = sequence(CHANNEL + 3);
	for (unsigned long want = 1, n = 1; n > 0; want++) {
		int fd = pass_on(packet[1], &n, -1);
		unsigned long in = 0;
		char c;
		if (n != want && n != 0)
			broken("datagram %lu came, and it was the turn of %lu", n, want);
		read_all(fd, &in, sizeof in);
		CHECK(in == n * 3 && read(fd, &c, 1) == 0);
		close(fd);
		step();
		nap(&s, 8000);
	}
}

static void give(void *unused) {
	(void)unused;
	close(packet[1]);
	struct sequence s = sequence(CHANNEL + 4);
	for (unsigned long n = 1, end = 0; !end; n++) {
		int p[2];
		if ((end = ending()))
			n = 0;
		unsigned long in = n * 3;
		CHECK(pipe(p) == 0);
		write_all(p[1], &in, sizeof in);
		close(p[1]);
		pass_on(packet[0], &n, p[0]);
		close(p[0]);
		nap(&s, 6000);
	}
}

void unix_sockets(void) {
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet) == 0);
	pid_t p[] = {role(other, NULL), role(take, NULL), role(give, NULL)};
	close(stream[1]);
	both_ways(stream[0], CHANNEL, CHANNEL + 2);
	for (int i = 0; i < 3; i++)
		await(p[i]);
}
