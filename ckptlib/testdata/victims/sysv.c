// System V message queues with messages in them, and semaphores that the ends
// of processes will change (SEM_UNDO).
#include "victim.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { SEMS = 250 };
static struct {
	long type;
	char text[9000];
} m;
static int queue, large, empty, sem, sem2;
static pid_t owner[2];

static void put(int q, long type, int n, int c) {
	m.type = type;
	memset(m.text, c, n);
	MUST(msgsnd(q, &m, n, IPC_NOWAIT));
}

static int step(int set, int num, int op, int flags) {
	struct sembuf b = {num, op, flags};
	return semop(set, &b, 1);
}

// takes lists the messages of a type in a queue, and takes them out.
static void takes(char *b, int q, long type) {
	ssize_t n;
	while ((n = msgrcv(q, &m, sizeof m.text, type, IPC_NOWAIT)) >= 0)
		sprintf(b + strlen(b), "%ld:%zd:%c ", m.type, n, n ? m.text[n - 1] : '-');
}

// waiter waits for a message and for a semaphore, without being interrupted.
static void *waiter(void *arg) {
	struct {
		long type;
		char c;
	} w;
	for (;;) {
		if (msgrcv(empty, &w, 1, 0, 0) != 1 || step(sem, 5, -1, 0))
			wrong("a waiter is interrupted: %s", strerror(errno));
		w.c++;
		w.type = 77;
		MUST(msgsnd(queue, &w, 1, 0));
	}
	return NULL;
}

int main(void) {
	int ready[2];
	MUST(pipe(ready));
	queue = MUST(msgget(0x1234, IPC_CREAT | 0620));
	large = MUST(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
	empty = MUST(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
	put(queue, 3, 5, 'a');
	put(queue, 1, 0, 'b');
	put(queue, 3, 1, 'c');
	put(queue, 2, 3000, 'd'); // more than one of the kernel's segments
	put(queue, 1, 7, 'e');
	put(large, 1L << 40, 8192, 'f'); // the longest, and the queue is full
	put(large, 1, 8192, 'g');
	struct msqid_ds ds;
	MUST(msgctl(empty, IPC_STAT, &ds));
	ds.msg_qbytes = 5000;
	MUST(msgctl(empty, IPC_SET, &ds));

	sem = MUST(semget(0x77, SEMS, IPC_CREAT | 0600));
	sem2 = MUST(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	MUST(step(sem, 0, 1, 0));
	MUST(step(sem, 1, 32767, 0));
	for (int i = 0; i < 2; i++)
		if (!(owner[i] = MUST(fork()))) {
			if (i == 0) {
				MUST(step(sem, 0, -1, SEM_UNDO)); // it holds a lock
				MUST(step(sem, 1, -30000, SEM_UNDO));
				MUST(step(sem, 2, 32767, SEM_UNDO));
				MUST(step(sem, 2, -32767, 0));
				MUST(step(sem, 2, 1, SEM_UNDO)); // the least there can be: -32768
				MUST(step(sem, 2, 32766, 0));
				MUST(step(sem, 3, 4, SEM_UNDO));
				MUST(step(sem, 3, -4, 0)); // less than it owes
				MUST(step(sem, 249, 9, SEM_UNDO));
			} else {
				MUST(step(sem, 1, 5, SEM_UNDO));
				MUST(step(sem2, 0, 2, SEM_UNDO));
			}
			MUST(write(ready[1], "x", 1));
			for (;;)
				pause();
		} else {
			char c;
			MUST(read(ready[0], &c, 1));
		}
	pthread_t t;
	pthread_create(&t, NULL, waiter, NULL);
	say("ready");
	while (question()) {
		char b[4096] = "";
		if (is("queues")) {
			int q[] = {queue, large, empty};
			for (int i = 0; i < 3; i++) {
				MUST(msgctl(q[i], IPC_STAT, &ds));
				sprintf(b + strlen(b), "%x %o %lu/%lu/%lu ", ds.msg_perm.__key, ds.msg_perm.mode, ds.msg_qnum, ds.__msg_cbytes, ds.msg_qbytes);
			}
			say("%s", b);
		} else if (is("values")) {
			for (int i = 0; i < 4; i++)
				sprintf(b + strlen(b), "%d ", semctl(sem, i, GETVAL));
			say("%s%d %d", b, semctl(sem, 249, GETVAL), semctl(sem2, 0, GETVAL));
		} else if (is("take")) {
			takes(b, queue, 1);
			strcat(b, "| ");
			takes(b, queue, 0);
			strcat(b, "| ");
			takes(b, large, 0);
			say("%s", b);
		} else if (is("wake")) { // the waiter answers by a message
			put(empty, 1, 1, 'x');
			usleep(1000);
			MUST(step(sem, 5, 1, 0));
			MUST(msgrcv(queue, &m, sizeof m.text, 77, 0));
			say("%c%s", m.text[0], trouble);
		} else if (line[0] == 'e' && line[1] == 'n' && line[2] == 'd') {
			int i = line[3] - '0';
			kill(owner[i], SIGKILL);
			MUST(waitpid(owner[i], NULL, 0));
			say("ended");
		}
	}
	return 0;
}
