// Processes that share descriptors and directories without being threads, and
// a thread that has a directory of its own.
#include "victim.h"

static int tell[3][2], hear[3][2]; // two children and the thread

static void cwd(char *b, const char *who) {
	char d[256];
	MUST(getcwd(d, sizeof d) ? 0 : -1);
	mode_t m = umask(0);
	umask(m);
	sprintf(b + strlen(b), "%s %s %o ", who, d, m);
}

// commands of a child or of the thread: one letter each.
static void obey(int me) {
	char c, b[512];
	while (read(tell[me][0], &c, 1) == 1) {
		*b = 0;
		if (c == 'o')
			sprintf(b, "%ld", must(open("/dev/zero", O_RDONLY), "open"));
		else if (c == 'r') // reads what the parent has opened
			sprintf(b, "%zd", read(50, b, 4));
		else if (c == 'd')
			MUST(chdir("/proc"));
		else if (c == 'u')
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
	MUST(write(hear[2][1], "!", 1));
	obey(2);
	return NULL;
}

static char *ask(int who, char c) {
	static char b[512];
	MUST(write(tell[who][1], &c, 1));
	b[MUST(read(hear[who][0], b, sizeof b - 1))] = 0;
	return b;
}

int main(void) {
	const int flags[] = {CLONE_FILES | CLONE_FS | SIGCHLD, CLONE_FS | SIGCHLD};
	for (int i = 0; i < 3; i++) {
		MUST(pipe(tell[i]));
		MUST(pipe(hear[i]));
	}
	for (int i = 0; i < 2; i++)
		if (!MUST(syscall(SYS_clone, flags[i], 0, 0, 0, 0))) {
			obey(i);
			_exit(0);
		}
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	char c;
	MUST(read(hear[2][0], &c, 1));
	say("ready");
	while (question()) {
		char b[1024] = "";
		if (is("where")) {
			cwd(b, "parent");
			for (int i = 0; i < 3; i++)
				strcat(b, ask(i, 'w'));
			say("%s", b);
		} else if (is("move")) {
			ask(1, 'd');
			ask(0, 'u');
			say("moved");
		} else if (is("files")) {
			int fd = atoi(ask(0, 'o'));
			int mine = read(fd, b, 4);
			MUST(dup2(fd, 50));
			int first = atoi(ask(0, 'r')), second = atoi(ask(1, 'r'));
			close(fd);
			close(50);
			say("child's in parent %d, parent's in children %d %d", mine, first, second);
		}
	}
	return 0;
}
