// Processes that share their memory without being threads (CLONE_VM): a child with
// all in common with its parent, that one's child with the memory alone and no
// signal at its end, and a child of that one that has a copy. The first has a
// thread, until it executes the program again.
#include "victim.h"
#include <sys/sem.h>

enum { ALIKE, QUIET, COPY, THREAD };
static int tell[THREAD + 1][2], hear[THREAD + 1][2], all = THREAD + 1;
static pid_t pids[THREAD];
static char stacks[QUIET + 1][1 << 16] __attribute__((aligned(16)));
static char *volatile word; // what the last store was to
static volatile unsigned char *large;
static size_t large_size;
static int sems;

static void on_usr1(int s) {}
static void on_usr2(int s) {}

static unsigned sum(void) {
	unsigned n = 0;
	for (size_t i = 0; i < large_size; i += 4096)
		n = n * 31 + large[i];
	return n;
}

static void rewrite(void) {
	for (size_t i = 0; i < large_size; i += 64 * 4096)
		large[i]++;
}

// act is what SIGUSR1 does now.
static const char *act(void) {
	struct sigaction a;
	MUST(sigaction(SIGUSR1, NULL, &a));
	return a.sa_handler == on_usr1 ? "usr1" : a.sa_handler == on_usr2 ? "usr2" : "none";
}

static void obey(int me) {
	char c, b[256];
	int fd = -1;
	MUST(write(hear[me][1], "!", 1));
	while (read(tell[me][0], &c, 1) == 1) {
		strcpy(b, "ok");
		if (c == 'm') { // memory that is new
			word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			sprintf(word, "of %d", me);
		} else if (c == 'r')
			sprintf(b, "%s", word ?: "-");
		else if (c == 'f')
			munmap(word, 4096), word = NULL;
		else if (c == 's')
			sprintf(b, "%x", sum());
		else if (c == 'W')
			rewrite();
		else if (c == 'a')
			signal(SIGUSR1, act()[3] == '1' ? on_usr2 : on_usr1);
		else if (c == 'A')
			sprintf(b, "%s", act());
		else if (c == 'o')
			sprintf(b, "%d", fd = open("/dev/zero", O_RDONLY));
		else if (c == 'c')
			close(fd);
		else if (c == 'd')
			MUST(chdir("/proc"));
		else if (c == 'w')
			MUST(getcwd(b, sizeof b) ? 0 : -1);
		else if (c == 'u') { // one more that its end will undo
			struct sembuf up = {0, 1, SEM_UNDO};
			MUST(semop(sems, &up, 1));
		} else if (c == 'q')
			return;
		dprintf(hear[me][1], "%s", b);
	}
}

static char *ask(int who, char c) {
	static char b[256];
	MUST(write(tell[who][1], &c, 1));
	b[MUST(read(hear[who][0], b, sizeof b - 1))] = 0;
	return b;
}

static int quiet(void *arg) {
	if (!(pids[COPY] = MUST(fork()))) {
		obey(COPY);
		_exit(0);
	}
	obey(QUIET);
	_exit(7);
}

static void *thread(void *arg) {
	obey(THREAD);
	return NULL;
}

static int alike(void *arg) {
	pids[QUIET] = MUST(clone(quiet, stacks[QUIET] + sizeof stacks[0], CLONE_VM, NULL));
	obey(ALIKE);
	_exit(0);
}

// begin makes the others.
static void begin(void) {
	for (int i = 0; i < all; i++) {
		MUST(pipe(tell[i]));
		MUST(pipe(hear[i]));
	}
	signal(SIGUSR1, on_usr1);
	signal(SIGTRAP, SIG_IGN);
	MUST(sems = semget(1, 1, 0600 | IPC_CREAT));
	pids[ALIKE] = MUST(clone(alike, stacks[ALIKE] + sizeof stacks[0], CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM | SIGCHLD, NULL));
	pthread_t t;
	char c;
	for (int i = 0; i < THREAD; i++)
		MUST(read(hear[i][0], &c, 1));
	pthread_create(&t, NULL, thread, NULL);
	MUST(read(hear[THREAD][0], &c, 1));
}

int main(int argc, char **argv) {
	large_size = (argc > 1 ? atol(argv[1]) : 1) << 20;
	large = mmap(NULL, large_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise((void *)large, large_size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < large_size; i += 4096)
		*(size_t *)(large + i) = (i >> 12) * 2654435761u;
	if (argc > 2) { // the numbers that the pipes got
		for (int i = 0, fd = 3; i < all; i++, fd += 4)
			tell[i][0] = fd, tell[i][1] = fd + 1, hear[i][0] = fd + 2, hear[i][1] = fd + 3;
		all = THREAD;
	} else
		begin();
	say("ready");
	while (question()) {
		char b[1024] = "";
		if (is("stores")) { // what each stores, seen by all
			for (int i = 0; i < all; i++) {
				ask(i, 'm');
				sprintf(b + strlen(b), "%s:", word ?: "-");
				for (int k = 0; k < all; k++)
					sprintf(b + strlen(b), " %s", ask(k, 'r'));
				ask(i, 'f');
				strcat(b, "; ");
			}
			say("%s", b);
		} else if (is("large")) {
			sprintf(b, "%x", sum());
			for (int i = 0; i < all; i++)
				sprintf(b + strlen(b), " %s", ask(i, 's'));
			say("%s", b);
		} else if (is("write")) { // in every 64th page
			rewrite();
			say("written");
		} else if (is("they-write")) {
			ask(QUIET, 'W');
			say("written");
		} else if (is("actions")) { // as each changes them
			for (int i = 0; i < all; i++) {
				ask(i, 'a');
				strcat(b, act());
				for (int k = 0; k < all; k++)
					sprintf(b + strlen(b), " %s", ask(k, 'A'));
				ask(i, 'a');
				strcat(b, "; ");
			}
			say("%s", b);
		} else if (is("files")) { // opened by each, here
			for (int i = 0; i < all; i++) {
				char r[4];
				sprintf(b + strlen(b), "%d ", (int)read(atoi(ask(i, 'o')), r, 4));
				ask(i, 'c');
			}
			say("%s", b);
		} else if (is("where")) {
			MUST(chdir("/sys"));
			ask(ALIKE, 'd');
			MUST(getcwd(b, sizeof b) ? 0 : -1);
			for (int i = 0; i < all; i++)
				sprintf(b + strlen(b), " %s", ask(i, 'w'));
			MUST(chdir("/"));
			say("%s", b);
		} else if (is("undo")) { // one each, of the two that share their undoing and of one that has its own
			struct sembuf up = {0, 1, SEM_UNDO};
			MUST(semop(sems, &up, 1));
			ask(ALIKE, 'u');
			ask(QUIET, 'u');
			say("%d", semctl(sems, 0, GETVAL));
		} else if (is("ends")) { // the quiet one is ALIKE's, so its parent ends first
			int quiet = pids[QUIET], status;
			MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
			MUST(write(tell[ALIKE][1], "q", 1));
			MUST(waitpid(pids[ALIKE], &status, 0));
			sprintf(b, "%d undone %d", status, semctl(sems, 0, GETVAL));
			strcat(strcat(b, " still "), ask(QUIET, 'm'));
			strcat(strcat(b, " "), word);
			MUST(write(tell[QUIET][1], "q", 1));
			MUST(waitpid(quiet, &status, 0));
			sprintf(b + strlen(b), " %d undone %d", WEXITSTATUS(status), semctl(sems, 0, GETVAL));
			say("%s", b);
		} else if (is("execute"))
			MUST(execl("/proc/self/exe", argv[0], argv[1], "again", NULL));
	}
	return 0;
}
