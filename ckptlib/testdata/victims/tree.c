// A family with all that can befall one. Every process that is asked answers
// with its name and ids; "reap" waits for those that have ended.
#include "victim.h"

enum { MAX = 32 };
static struct {
	const char *name;
	int ask[2];
	pid_t pid;
} *members;
static int *n; // shared with all
static int answer[2];
static volatile int sigchlds;

static void on_child(int sig) { sigchlds++; }

// member makes a child that does what before says and then answers for ever.
static pid_t member(const char *name, void (*before)(void)) {
	int i = (*n)++;
	members[i].name = name;
	pid_t pid = MUST(fork());
	if (pid) {
		while (!__atomic_load_n(&members[i].pid, __ATOMIC_SEQ_CST))
			usleep(100);
		return pid;
	}
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_NAME, name);
	if (before)
		before();
	__atomic_store_n(&members[i].pid, getpid(), __ATOMIC_SEQ_CST);
	for (;;) {
		char c, b[128];
		if (read(members[i].ask[0], &c, 1) != 1)
			_exit(99);
		int k = sprintf(b, "%s %d %d %d %d;", name, getpid(), getppid(), getpgid(0), getsid(0));
		if (write(answer[1], b, k) != k)
			_exit(98);
	}
}

static void reaped(pid_t pid) { MUST(waitpid(pid, NULL, 0)); }
static void grandchild(void) { member("grandchild", NULL); }
static void leads(void) { MUST(setsid()); }
static void own_group(void) { MUST(setpgid(0, 0)); }
static pid_t group;
static void in_group(void) { MUST(setpgid(0, group)); }
static void session(void) {
	MUST(setsid());
	group = member("s-leader", own_group);
	member("s-member", in_group);
}
static void with_old(void) {
	member("old-session", NULL);
	member("old-leader", leads);
	MUST(setsid());
	member("new-session", NULL);
}
// orphan makes a child whose parent ends at once.
static void orphan(const char *name, int dead_leader) {
	pid_t p = MUST(fork());
	if (!p) {
		if (dead_leader)
			setsid();
		member(name, NULL);
		if (dead_leader)
			member("dead-session-2", own_group);
		_exit(0);
	}
	reaped(p);
}
static void sub_orphans(void) {
	MUST(setsid());
	orphan("sub-orphan", 0);
}
static void subreaper(void) {
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	member("sub-session", sub_orphans);
	orphan("sub-dead", 1);
}
static void dead_group(void) {
	group = MUST(fork());
	if (!group) {
		setpgid(0, 0);
		pause();
	}
	setpgid(group, group);
	member("in-dead-group", in_group);
	member("in-dead-group-2", in_group);
	kill(group, SIGKILL);
	reaped(group);
}

static pid_t zombie(int how) {
	pid_t p = MUST(fork());
	if (!p) {
		struct rlimit no = {0, 0};
		setrlimit(RLIMIT_CORE, &no);
		prctl(PR_SET_NAME, "zom) bie");
		if (how < 0) {
			signal(-how, SIG_DFL);
			raise(-how);
		}
		_exit(how);
	}
	siginfo_t i;
	MUST(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
	return p;
}
static pid_t zombies[7], group_zombie;
static void joins_zombie(void) { MUST(setpgid(0, group_zombie)); }

int main(void) {
	members = mmap(NULL, MAX * sizeof *members, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < MAX; i++)
		MUST(pipe(members[i].ask));
	MUST(pipe(answer));
	struct sigaction sa = {.sa_handler = on_child, .sa_flags = SA_RESTART};
	sigaction(SIGCHLD, &sa, NULL);
	member("child", grandchild);
	member("session", session);
	member("old", with_old);
	orphan("orphan", 0);
	orphan("dead-session", 1);
	member("subreaper", subreaper);
	dead_group();
	zombies[0] = zombie(0);
	zombies[1] = zombie(7);
	zombies[2] = zombie(-SIGKILL);
	zombies[3] = zombie(-SIGTERM);
	zombies[4] = zombie(-SIGSEGV);
	zombies[5] = zombie(-SIGPIPE);
	group_zombie = MUST(fork());
	if (!group_zombie) {
		setpgid(0, 0);
		pause();
		_exit(5);
	}
	setpgid(group_zombie, group_zombie);
	member("in-zombie-group", joins_zombie);
	kill(zombies[6] = group_zombie, SIGKILL);
	siginfo_t si;
	MUST(waitid(P_PID, group_zombie, &si, WEXITED | WNOWAIT));
	say("ready");
	while (question()) {
		if (is("ids")) {
			char b[4096];
			int got = 0, all = 0;
			for (int i = 0; i < *n; i++)
				MUST(write(members[i].ask[1], "x", 1));
			while (all < *n) {
				int k = MUST(read(answer[0], b + got, sizeof b - 1 - got));
				for (int i = 0; i < k; i++)
					all += b[got + i] == ';';
				got += k;
			}
			b[got] = 0;
			say("%d members, %d SIGCHLD: %s", *n, sigchlds, b);
		} else if (is("reap")) {
			char b[512] = "";
			for (int i = 0; i < 7; i++) {
				int st = -1;
				pid_t p = waitpid(zombies[i], &st, WNOHANG);
				sprintf(b + strlen(b), "%d:%#x ", p, st);
			}
			say("%s more:%d SIGCHLD:%d", b, waitpid(-1, NULL, WNOHANG), sigchlds);
		}
	}
	return 0;
}
