// File locks of every kind, held by one process and waited for by others, and
// leases. The argument is a directory; with a second one there is no lease.
#include "victim.h"
#include <sys/file.h>

static int posix, shared, ofd, lease, got[2];

static int lock(int fd, int cmd, int type, off_t start, off_t len) {
	struct flock l = {.l_type = type, .l_start = start, .l_len = len};
	return fcntl(fd, cmd, &l);
}

static int file(const char *dir, const char *name) {
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

// waiting makes a process that waits for a lock of a kind and says when it has it.
static pid_t waiting(int kind, const char *dir) {
	pid_t p = MUST(fork());
	if (p)
		return p;
	int r, fd = file(dir, kind == 'f' ? "flock" : kind == 'o' ? "ofd" : "posix");
	if (kind == 'p')
		r = lock(fd, F_SETLKW, F_WRLCK, 100, 10);
	else if (kind == 'o')
		r = lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 0);
	else
		r = flock(fd, LOCK_EX);
	char c = r ? '!' : kind;
	MUST(write(got[1], &c, 1));
	for (;;)
		pause();
}

static atomic_int broken;
static void breaks(int sig, siginfo_t *i, void *u) { broken = i->si_fd; }

int main(int argc, char **argv) {
	const char *dir = argv[1];
	struct sigaction a = {.sa_sigaction = breaks, .sa_flags = SA_SIGINFO | SA_RESTART};
	MUST(sigaction(SIGRTMIN, &a, NULL));
	MUST(pipe(got));
	posix = file(dir, "posix");
	MUST(lock(posix, F_SETLK, F_WRLCK, 100, 10));
	MUST(lock(posix, F_SETLK, F_RDLCK, 1L << 30, 512)); // as SQLite does
	MUST(dup2(file(dir, "flock"), 60));
	shared = 60;
	MUST(flock(shared, LOCK_EX));
	ofd = file(dir, "ofd");
	MUST(lock(ofd, F_OFD_SETLK, F_WRLCK, 0, 0));
	close(file(dir, "lease"));
	char path[256];
	snprintf(path, sizeof path, "%s/lease", dir);
	int opened = MUST(open(path, O_RDONLY));
	lease = MUST(dup2(opened, 61));
	close(opened);
	MUST(fcntl(lease, F_SETSIG, SIGRTMIN));
	if (argc == 2)
		MUST(fcntl(lease, F_SETLEASE, F_WRLCK));
	pid_t p[] = {waiting('p', dir), waiting('o', dir), waiting('f', dir)};
	for (int i = 0; i < 3; i++)
		while (1) { // until it sleeps in its call
			char b[256];
			sprintf(path, "/proc/%d/stat", p[i]);
			int fd = MUST(open(path, O_RDONLY)), n = MUST(read(fd, b, sizeof b - 1));
			close(fd);
			b[n] = 0;
			if (strrchr(b, ')')[2] == 'S')
				break;
		}
	snprintf(path, sizeof path, "%s/lease", dir);
	say("ready");
	while (question()) {
		if (is("held")) { // as another process sees them
			static char b[256];
			int told[2];
			MUST(pipe(told));
			pid_t c = MUST(fork());
			if (!c) {
				struct flock l[3] = {{.l_type = F_WRLCK, .l_start = 105, .l_len = 1}, {.l_type = F_WRLCK, .l_start = (1L << 30) + 5, .l_len = 1}, {.l_type = F_WRLCK}};
				for (int i = 0; i < 2; i++)
					MUST(fcntl(posix, F_GETLK, &l[i]));
				int fd = file(dir, "ofd"), e;
				MUST(fcntl(fd, F_OFD_GETLK, &l[2]));
				fd = file(dir, "flock");
				e = flock(fd, LOCK_SH | LOCK_NB) ? errno : 0;
				dprintf(told[1], "%d by %d, %d %ld+%ld, %d, flock %s, lease %d", l[0].l_type, l[0].l_pid == getppid(), l[1].l_type, (long)l[1].l_start, (long)l[1].l_len, l[2].l_type,
					e == EWOULDBLOCK ? "held" : "free", fcntl(lease, F_GETLEASE));
				_exit(0);
			}
			MUST(waitpid(c, NULL, 0));
			b[MUST(read(told[0], b, sizeof b - 1))] = 0;
			close(told[0]);
			close(told[1]);
			say("%s", b);
		} else if (is("break")) {
			int fd = open(path, O_RDONLY | O_NONBLOCK);
			for (int i = 0; i < 1000 && !broken; i++)
				usleep(1000);
			say("%s, told of %d", fd < 0 && errno == EWOULDBLOCK ? "kept out" : "let in", broken);
			MUST(fcntl(lease, F_SETLEASE, F_UNLCK));
			broken = 0;
		} else if (is("release")) {
			char b[4] = "";
			MUST(lock(posix, F_SETLK, F_UNLCK, 0, 0));
			MUST(read(got[0], b, 1));
			MUST(lock(ofd, F_OFD_SETLK, F_UNLCK, 0, 0));
			MUST(read(got[0], b + 1, 1));
			MUST(flock(shared, LOCK_UN));
			MUST(read(got[0], b + 2, 1));
			say("%s", b);
		}
	}
	return 0;
}
