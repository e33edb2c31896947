// Memory that processes share: counters under a lock in anonymous memory, and a
// ring with semaphores in a file of /dev/shm.
#include "torture.h"
#include <semaphore.h>
#include <sys/stat.h>

enum { ADDERS = 3, SLOTS = 64 };

static struct counters {
	pthread_mutex_t lock;
	unsigned long total, own[ADDERS];
} *counters;

static struct ring {
	sem_t full, empty;
	unsigned long slot[SLOTS];
} *ring;

static void add(void *arg) {
	unsigned long me = (unsigned long)arg, added = 0;
	struct sequence s = sequence(400 + me);
	while (!ending()) {
		unsigned long n = draw(&s, 100), sum = 0;
		CHECK((errno = pthread_mutex_lock(&counters->lock)) == 0);
		counters->total += n;
		if (draw(&s, 6) == 0)
			nap(&s, 400); // with the lock
		counters->own[me] += n;
		added += n;
		for (int i = 0; i < ADDERS; i++)
			sum += counters->own[i];
		if (sum != counters->total || added != counters->own[me])
			broken("adder %lu has added %lu, they say %lu, and all %lu of %lu", me, added, counters->own[me], sum, counters->total);
		CHECK((errno = pthread_mutex_unlock(&counters->lock)) == 0);
		step();
		nap(&s, 3000);
	}
}

static void consume(void *unused) {
	(void)unused;
	struct sequence s = sequence(410);
	for (unsigned long n = 1, got = 1; got > 0; n++) {
		CHECK(sem_wait(&ring->full) == 0);
		got = ring->slot[n % SLOTS];
		ring->slot[n % SLOTS] = -1;
		if (got != n && got != 0)
			broken("the ring gave %lu, and it was the turn of %lu", got, n);
		CHECK(sem_post(&ring->empty) == 0);
		step();
		nap(&s, 3000);
	}
}

static void produce(void) {
	struct sequence s = sequence(411);
	for (unsigned long n = 1, end = 0; !end; n++) {
		end = ending();
		CHECK(sem_wait(&ring->empty) == 0);
		ring->slot[n % SLOTS] = end ? 0 : n;
		CHECK(sem_post(&ring->full) == 0);
		nap(&s, 2500);
	}
}

void shared_memory(void) {
	char path[PATH_MAX];
	pid_t p[ADDERS + 1];
	pthread_mutexattr_t a;
	counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(counters != MAP_FAILED);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	CHECK((errno = pthread_mutex_init(&counters->lock, &a)) == 0);

	snprintf(path, sizeof path, "/dev/shm/torture-%d-%d", rank, getpid());
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && ftruncate(fd, sizeof *ring) == 0);
	ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(ring != MAP_FAILED && close(fd) == 0);
	CHECK(sem_init(&ring->full, 1, 0) == 0 && sem_init(&ring->empty, 1, SLOTS) == 0);
	for (unsigned long i = 0; i < ADDERS; i++)
		p[i] = role(add, (void *)i);
	p[ADDERS] = role(consume, NULL);
	produce();
	for (int i = 0; i <= ADDERS; i++)
		await(p[i]);
	CHECK(unlink(path) == 0);
}
