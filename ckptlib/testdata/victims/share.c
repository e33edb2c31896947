// Processes that share descriptors and directories without being threads, with
// their parent or with others, and threads that have some of their own.
#include "victim.h"

// Two children, a thread with a directory of its own, two with descriptors that
// are theirs alone, and three children whose common maker has ended.
enum { CHILDREN, OWN_DIR = 2, OWN_FILES, THEIRS, ORPHANS, ALL = ORPHANS + 3 };
static int tell[ALL][2], hear[ALL][2];
static int locked; // a file that the owner of descriptors has locked

static void cwd(char *b, const char *who) {
	char d[256];
	MUST(getcwd(d, sizeof d) ? 0 : -1);
	mode_t m = umask(0);
	umask(m);
	sprintf(b + strlen(b), "%s %s %o ", who, d, m);
}

// lock takes the lock, or tells what another table of descriptors has.
static int lock(int how) {
	struct flock l = {.l_type = F_WRLCK};
	MUST(fcntl(locked, how, &l));
	return l.l_type;
}

// commands of a child or of a thread: a letter and a number.
static void obey(int me) {
	char c[2], b[512];
	MUST(write(hear[me][1], "!", 1));
	while (read(tell[me][0], c, 2) == 2) {
		*b = 0;
		if (*c == 'o')
			sprintf(b, "%ld", must(open("/dev/zero", O_RDONLY), "open"));
		else if (*c == 'r') // reads what another has opened
			sprintf(b, "%zd", read(c[1], b, 4));
		else if (*c == 'c')
			close(c[1]);
		else if (*c == 'l')
			strcpy(b, lock(F_GETLK) == F_UNLCK ? "+" : "-");
		else if (*c == 'd')
			MUST(chdir("/proc"));
		else if (*c == 'u')
			umask(077);
		else
			cwd(b, "child");
		dprintf(hear[me][1], "%s", *b ? b : "ok");
	}
}

static void *thread(void *arg) {
	MUST(unshare(CLONE_FS));
	MUST(chdir("/sys"));
	umask(027);
	obey(OWN_DIR);
	return NULL;
}

static void *theirs(void *arg) {
	obey(THEIRS);
	return NULL;
}

static void *own(void *arg) {
	pthread_t t;
	MUST(unshare(CLONE_FILES));
	lock(F_SETLK);
	pthread_create(&t, NULL, theirs, NULL);
	obey(OWN_FILES);
	return NULL;
}

static char *ask(int who, char c, int n) {
	static char b[512];
	char cmd[2] = {c, n};
	MUST(write(tell[who][1], cmd, 2));
	b[MUST(read(hear[who][0], b, sizeof b - 1))] = 0;
	return b;
}

// opened says who can read what one opens, which is closed again.
static void opened(char *b, int who) {
	int fd = atoi(ask(who, 'o', 0));
	char c[4];
	sprintf(b + strlen(b), "%d:", who);
	for (int i = 0; i < ALL; i++)
		strcat(b, atoi(ask(i, 'r', fd)) == 4 ? "+" : "-");
	strcat(b, read(fd, c, 4) == 4 ? "+ " : "- ");
	ask(who, 'c', fd);
}

static pid_t make(int me, int flags) {
	pid_t pid = MUST(syscall(SYS_clone, flags, 0, 0, 0, 0));
	if (!pid) {
		if (me == ORPHANS + 1)
			make(me + 1, CLONE_PARENT | CLONE_FILES | CLONE_FS);
		obey(me);
		_exit(0);
	}
	return pid;
}

int main(void) {
	for (int i = 0; i < ALL; i++) {
		MUST(pipe(tell[i]));
		MUST(pipe(hear[i]));
	}
	MUST(locked = open("/dev/shm/locked", O_RDWR | O_CREAT, 0600));
	make(CHILDREN, CLONE_FILES | CLONE_FS | SIGCHLD);
	make(CHILDREN + 1, CLONE_FS | SIGCHLD);
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1)); // the orphans become its
	pid_t maker = MUST(fork());
	if (!maker) {
		make(ORPHANS, CLONE_FILES | CLONE_FS | SIGCHLD);
		make(ORPHANS + 1, CLONE_FILES | CLONE_FS | SIGCHLD);
		char c;
		MUST(read(hear[ORPHANS + 2][0], &c, 1)); // or its own would be another parent's
		MUST(write(hear[ORPHANS + 2][1], &c, 1));
		_exit(0);
	}
	MUST(waitpid(maker, NULL, 0));
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_create(&t, NULL, own, NULL);
	char c;
	for (int i = 0; i < ALL; i++)
		MUST(read(hear[i][0], &c, 1));
	say("ready");
	while (question()) {
		char b[1024] = "";
		if (is("where")) {
			cwd(b, "parent");
			for (int i = 0; i < ALL; i++)
				strcat(b, ask(i, 'w', 0));
			say("%s", b);
		} else if (is("move")) {
			ask(CHILDREN + 1, 'd', 0);
			ask(CHILDREN, 'u', 0);
			ask(ORPHANS + 2, 'd', 0);
			ask(ORPHANS, 'u', 0);
			say("moved");
		} else if (is("files")) {
			for (int i = 0; i < ALL; i++)
				opened(b, i);
			say("%s", b);
		} else if (is("locks")) { // who could take it
			for (int i = 0; i < ALL; i++)
				strcat(b, ask(i, 'l', 0));
			say("%s", b);
		}
	}
	return 0;
}
