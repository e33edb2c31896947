// System V: a segment guarded by a semaphore that is undone, and a queue of
// messages.
#include "torture.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { WRITERS = 2, TYPES = 3 };

static int sem, segment, queue;
static struct guarded {
	unsigned long a, b, inside;
} *guarded;

static void lock(int by) {
	struct sembuf op = {0, by, SEM_UNDO};
	CHECK(semop(sem, &op, 1) == 0);
}

static void write_both(void *arg) {
	struct sequence s = sequence(500 + (unsigned long)arg);
	while (!ending()) {
		lock(-1);
		CHECK(guarded->inside++ == 0 && guarded->a == guarded->b);
		guarded->a++;
		if (draw(&s, 4) == 0)
			nap(&s, 500);
		guarded->b++;
		guarded->inside--;
		lock(1);
		step();
		nap(&s, 4000);
	}
}

struct message {
	long type;
	unsigned long n;
};

static void receive(void *unused) {
	(void)unused;
	struct sequence s = sequence(510);
	for (unsigned long want[TYPES + 1] = {0}, left = TYPES; left > 0;) {
		struct message m;
		long type = draw(&s, 2) ? 0 : -TYPES; // any, or the lowest
		CHECK(msgrcv(queue, &m, sizeof m.n, type, 0) == sizeof m.n && m.type >= 1 && m.type <= TYPES);
		if (m.n == 0)
			left--;
		else if (m.n != ++want[m.type])
			broken("message %lu of type %ld came, and it was the turn of %lu", m.n, m.type, want[m.type]);
		step();
		nap(&s, 3000);
	}
}

static void send_messages(void) {
	struct sequence s = sequence(511);
	unsigned long n[TYPES + 1] = {0};
	while (!ending()) {
		struct message m = {.type = 1 + draw(&s, TYPES)};
		m.n = ++n[m.type];
		CHECK(msgsnd(queue, &m, sizeof m.n, 0) == 0);
		nap(&s, 2500);
	}
	for (long type = 1; type <= TYPES; type++)
		CHECK(msgsnd(queue, &(struct message){type, 0}, sizeof(unsigned long), 0) == 0);
}

void sysv(void) {
	pid_t p[WRITERS + 1];
	sem = semget(IPC_PRIVATE, 1, 0600);
	segment = shmget(IPC_PRIVATE, sizeof *guarded, 0600);
	queue = msgget(IPC_PRIVATE, 0600);
	CHECK(sem >= 0 && segment >= 0 && queue >= 0 && semctl(sem, 0, SETVAL, 1) == 0);
	guarded = shmat(segment, NULL, 0);
	CHECK((long)guarded != -1 && shmctl(segment, IPC_RMID, NULL) == 0); // it stays until the last one lets go
	for (long i = 0; i < WRITERS; i++)
		p[i] = role(write_both, (void *)i);
	p[WRITERS] = role(receive, NULL);
	send_messages();
	for (int i = 0; i <= WRITERS; i++)
		await(p[i]);
	CHECK(semctl(sem, 0, GETVAL) == 1 && semctl(sem, 0, IPC_RMID) == 0 && msgctl(queue, IPC_RMID, NULL) == 0);
}
