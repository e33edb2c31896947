// Processes that cannot be checkpointed, one kind for each argument, and one
// thing that can be undone: "undo".
#include "victim.h"
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

static char stack[1 << 16];
static int other(void *arg) {
	for (;;)
		pause();
	return 0;
}
// waits sees every interruption.
static atomic_int waiting;
static void *waits(void *arg) {
	struct epoll_event e;
	int fd = epoll_create1(EPOLL_CLOEXEC);
	waiting = gettid();
	if (epoll_wait(fd, &e, 1, -1) < 0)
		wrong("epoll_wait: %s", strerror(errno));
	return NULL;
}
static void *unshares(void *arg) {
	MUST(unshare(CLONE_FILES));
	MUST(write(((int *)arg)[1], "x", 1));
	return other(NULL) ? NULL : NULL;
}
static atomic_int vforked;
static void *vforks(void *arg) {
	if (!vfork()) {
		vforked = getpid(); // the memory is shared
		for (;;)
			pause();
	}
	return NULL;
}
// makes makes an object that the kernel may not have or not give to a user.
static long makes(const char *kind) {
	if (!strcmp(kind, "io_uring")) {
		struct io_uring_params p = {0};
		return syscall(SYS_io_uring_setup, 4, &p);
	}
	if (!strcmp(kind, "userfaultfd"))
		return syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC);
	if (!strcmp(kind, "fanotify"))
		return fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
	if (!strcmp(kind, "perf")) {
		struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
		return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
	}
	if (!strcmp(kind, "aio")) {
		unsigned long ctx = 0;
		return syscall(SYS_io_setup, 4, &ctx);
	}
	if (!strcmp(kind, "secret")) {
		int fd = syscall(SYS_memfd_secret, 0);
		return fd < 0 ? fd : ftruncate(fd, 4096);
	}
	if (!strcmp(kind, "raw"))
		return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (!strcmp(kind, "vsock"))
		return socket(AF_VSOCK, SOCK_STREAM, 0);
	if (!strcmp(kind, "alg"))
		return socket(AF_ALG, SOCK_SEQPACKET, 0);
	errno = EINVAL;
	return -1;
}

int main(int argc, char **argv) {
	const char *kind = argv[1];
	pid_t child = 0;
	int undone[2];
	MUST(pipe(undone));
	if (!strcmp(kind, "traced")) {
		child = MUST(fork());
		if (!child)
			other(NULL);
		MUST(ptrace(PTRACE_SEIZE, child, 0, 0));
	} else if (!strcmp(kind, "shares-memory")) {
		child = MUST(clone(other, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
	} else if (!strcmp(kind, "namespace") || !strcmp(kind, "chroot")) {
		child = MUST(fork());
		if (!child) {
			MUST(unshare(*kind == 'n' ? CLONE_NEWUSER | CLONE_NEWUTS : 0));
			if (*kind == 'c') {
				MUST(chroot("/usr"));
				MUST(chdir("/"));
			}
			MUST(write(undone[1], "x", 1));
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
	} else if (!strcmp(kind, "vfork")) {
		pthread_t t;
		pthread_create(&t, NULL, vforks, NULL);
		while (!(child = vforked))
			usleep(1000);
	} else if (!strcmp(kind, "own-descriptors")) {
		child = MUST(fork());
		if (!child) {
			pthread_t t;
			pthread_create(&t, NULL, unshares, undone);
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
	} else if (!strcmp(kind, "sibling")) {
		// The one that made the two ends: they share with each other.
		pid_t made[2] = {0}, maker = MUST(fork());
		if (!maker) {
			setpgid(0, 0);
			for (int i = 0; i < 2; i++)
				if (!(made[i] = MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0))))
					other(NULL);
			_exit(0);
		}
		child = -maker;
		siginfo_t i;
		MUST(prctl(PR_SET_CHILD_SUBREAPER, 1)); // they become its
		MUST(waitid(P_PID, maker, &i, WEXITED));
	} else if (*kind == '+') {
		child = MUST(fork());
		if (!child) {
			char made = makes(kind + 1) < 0 ? errno : 'x';
			MUST(write(undone[1], &made, 1));
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
		if (c != 'x') {
			say("none: %s", strerror(c));
			return 0;
		}
	} else if (!strcmp(kind, "seccomp")) {
		struct sock_filter f = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog p = {1, &f};
		child = MUST(fork());
		if (!child) {
			MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
			MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p));
			MUST(write(undone[1], "x", 1));
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
	}
	pthread_t pt;
	pthread_create(&pt, NULL, waits, NULL);
	while (!waiting || state(waiting) != 'S')
		usleep(1000);
	say("ready");
	while (question()) {
		if (is("count")) {
			static int n;
			say("%d%s", ++n, trouble);
		} else if (is("undo")) {
			kill(child, SIGKILL);
			MUST(waitpid(child, NULL, 0));
			while (child < 0 && waitpid(child, NULL, 0) > 0)
				;
			say("undone");
		}
	}
	return 0;
}
