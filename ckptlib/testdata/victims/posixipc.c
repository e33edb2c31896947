// A named semaphore, a robust mutex and a condition that processes share, with
// a process that waits at each and one that holds the mutex.
#include "victim.h"
#include <semaphore.h>

static struct shared {
	pthread_mutex_t robust, plain;
	pthread_cond_t cond;
	int go;
} *m;
static sem_t *sem;
static int answer[2];
static pid_t holder, child[3];

static void waits(int how) {
	char c = '?';
	if (how == 0 && !sem_wait(sem))
		c = 's';
	if (how == 1) {
		pthread_mutex_lock(&m->plain);
		while (!m->go)
			pthread_cond_wait(&m->cond, &m->plain);
		pthread_mutex_unlock(&m->plain);
		c = 'c';
	}
	if (how == 2) {
		int r = pthread_mutex_lock(&m->robust);
		c = r == EOWNERDEAD ? 'd' : '?';
		pthread_mutex_consistent(&m->robust);
		pthread_mutex_unlock(&m->robust);
	}
	MUST(write(answer[1], &c, 1));
	for (;;)
		pause();
}

int main(void) {
	char name[32];
	sprintf(name, "/victim-%d", getpid());
	MUST(pipe(answer));
	sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	MUST(sem == SEM_FAILED ? -1 : 0);
	int fd = MUST(shm_open("/victim-shared", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, sizeof *m));
	m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	pthread_mutexattr_t a;
	pthread_condattr_t c;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&m->plain, &a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&m->robust, &a);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&m->cond, &c);
	if (!(holder = MUST(fork()))) {
		pthread_mutex_lock(&m->robust);
		MUST(write(answer[1], "h", 1));
		for (;;)
			pause();
	}
	char b[8] = "";
	MUST(read(answer[0], b, 1));
	for (int i = 0; i < 3; i++)
		if (!(child[i] = MUST(fork())))
			waits(i);
	usleep(100000); // each is at its wait
	say("ready");
	while (question()) {
		memset(b, 0, sizeof b);
		if (is("wake")) {
			sem_t *again = sem_open(name, 0);
			MUST(again == SEM_FAILED ? -1 : sem_post(again));
			MUST(read(answer[0], b, 1));
			pthread_mutex_lock(&m->plain);
			m->go = 1;
			pthread_cond_signal(&m->cond);
			pthread_mutex_unlock(&m->plain);
			MUST(read(answer[0], b + 1, 1));
			int held = pthread_mutex_trylock(&m->robust);
			kill(holder, SIGKILL);
			MUST(read(answer[0], b + 2, 1));
			say("%s held %d", b, held == EBUSY);
		}
	}
	return 0;
}
