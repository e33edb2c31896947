// Event counters, one of them a semaphore, and a pipe, all in one epoll: what is
// put in comes out.
#include "torture.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int counter, semaphore, edge[2];
static atomic_ulong *put; // into counter, semaphore, edge

static void fill(void *unused) {
	(void)unused;
	struct sequence s = sequence(800);
	while (!ending()) {
		unsigned long n = 1 + draw(&s, 1000);
		atomic_fetch_add(&put[0], n);
		CHECK(write(counter, &n, sizeof n) == sizeof n);
		n = 1 + draw(&s, 3);
		atomic_fetch_add(&put[1], n);
		CHECK(write(semaphore, &n, sizeof n) == sizeof n);
		atomic_fetch_add(&put[2], 1);
		CHECK(write(edge[1], "x", 1) == 1);
		nap(&s, 4000);
	}
	close(edge[1]);
}

static void watch(int ep, int fd, unsigned events, int which) {
	struct epoll_event e = {.events = events, .data.u64 = 0x700000000UL + which};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
}

void events(void) {
	struct sequence s = sequence(801);
	unsigned long got[3] = {0};
	put = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	counter = eventfd(0, 0);
	semaphore = eventfd(0, EFD_SEMAPHORE);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(put != MAP_FAILED && counter >= 0 && semaphore >= 0 && ep >= 0 && pipe2(edge, O_NONBLOCK) == 0);
	watch(ep, counter, EPOLLIN, 0);
	watch(ep, semaphore, EPOLLIN, 1);
	watch(ep, edge[0], EPOLLIN | EPOLLET, 2);
	pid_t p = role(fill, NULL);
	close(edge[1]);
	for (int open = 1; open || got[0] < atomic_load(&put[0]) || got[1] < atomic_load(&put[1]); step()) {
		struct epoll_event e;
		unsigned long n;
		char b[64];
		ssize_t k;
		CHECK(epoll_wait(ep, &e, 1, -1) == 1);
		switch (e.data.u64 - 0x700000000UL) {
		case 0:
			CHECK(read(counter, &n, sizeof n) == sizeof n);
			got[0] += n;
			break;
		case 1:
			CHECK(read(semaphore, &n, sizeof n) == sizeof n && n == 1);
			got[1]++;
			break;
		case 2: // an edge: to the bottom
			while ((k = read(edge[0], b, sizeof b)) > 0)
				got[2] += k;
			CHECK(k == 0 || errno == EAGAIN);
			open = k != 0;
			break;
		default:
			broken("epoll gave %lx", (long)e.data.u64);
		}
		for (int i = 0; i < 3; i++)
			if (got[i] > atomic_load(&put[i]))
				broken("%lu came out of %d and %lu were put in", got[i], i, atomic_load(&put[i]));
		if (draw(&s, 4) == 0)
			nap(&s, 2000);
	}
	await(p);
	for (int i = 0; i < 3; i++)
		CHECK(got[i] == atomic_load(&put[i]));
}
