// Processes that cannot be checkpointed, one kind for each argument, and one
// thing that can be undone: "undo".
#include "victim.h"
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/userfaultfd.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

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
static pid_t born(int flags) { return MUST(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0)); }
static void *unshares(void *arg) {
	MUST(unshare(CLONE_FILES));
	if (!born(CLONE_FILES))
		other(NULL);
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
	if (!strcmp(kind, "fuse"))
		return open("/dev/fuse", O_RDWR);
	if (!strcmp(kind, "ring")) { // memory of the kernel's, with no descriptor left
		int fd = makes("perf");
		if (fd >= 0 && mmap(NULL, 2 * getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
			return -1;
		return fd < 0 ? fd : close(fd);
	}
	if (!strcmp(kind, "pci")) {
		glob_t g;
		if (glob("/sys/bus/pci/devices/*/resource0", 0, NULL, &g))
			errno = ENODEV;
		else
			for (size_t i = 0; i < g.gl_pathc; i++) {
				int fd = open(g.gl_pathv[i], O_RDWR | O_CLOEXEC);
				void *p = fd < 0 ? MAP_FAILED : mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, fd, 0);
				close(fd);
				if (p != MAP_FAILED)
					return 0;
			}
		return -1;
	}
	if (!strcmp(kind, "byte")) {
		int s[2];
		return socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0 ? -1 : send(s[0], "!", 1, MSG_OOB);
	}
	if (!strcmp(kind, "unread")) {
		struct {
			struct nlmsghdr h;
			struct rtgenmsg g;
		} ask = {{.nlmsg_len = sizeof ask, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}, {AF_UNSPEC}};
		struct pollfd p = {socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), POLLIN};
		return p.fd < 0 || send(p.fd, &ask, sizeof ask, 0) < 0 ? -1 : poll(&p, 1, -1);
	}
	if (!strcmp(kind, "huge-file")) {
		char path[512];
		snprintf(path, sizeof path, "%s/file", getenv("HUGE_DIR") ?: "/nowhere");
		int fd = open(path, O_RDWR | O_CREAT, 0600);
		if (fd >= 0 && mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0) == MAP_FAILED)
			return -1;
		return fd < 0 ? fd : close(fd);
	}
	if (!strcmp(kind, "group")) { // which numbers there are differs from host to host
		struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
		int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
		return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof a);
	}
	if (!strcmp(kind, "waiting") || !strcmp(kind, "multipath")) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t n = sizeof a;
		int protocol = *kind == 'm' ? IPPROTO_MPTCP : 0, l = socket(AF_INET, SOCK_STREAM, protocol), c = socket(AF_INET, SOCK_STREAM, protocol);
		if (l < 0 || bind(l, (struct sockaddr *)&a, n) < 0 || listen(l, 5) < 0 || getsockname(l, (struct sockaddr *)&a, &n) < 0 ||
			connect(c, (struct sockaddr *)&a, n) < 0)
			return -1;
		return protocol ? accept(l, NULL, NULL) : 0;
	}
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
	} else if (!strcmp(kind, "of-a-thread")) {
		child = -MUST(fork());
		if (!child) {
			pthread_t t;
			setpgid(0, 0);
			pthread_create(&t, NULL, unshares, undone);
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
	} else if (!strncmp(kind, "distant", 7)) {
		// A child of a child's, and that one's of which the parent has ended.
		int flag = kind[7] ? CLONE_FS : CLONE_FILES;
		MUST(prctl(PR_SET_CHILD_SUBREAPER, 1)); // it becomes this one's
		child = -MUST(fork());
		if (!child) {
			setpgid(0, 0);
			if (fork())
				other(NULL);
			siginfo_t i;
			pid_t between = born(flag);
			if (!between) {
				if (!born(flag))
					other(NULL);
				_exit(0);
			}
			MUST(waitid(P_PID, between, &i, WEXITED));
			MUST(write(undone[1], "x", 1));
			other(NULL);
		}
		char c;
		MUST(read(undone[0], &c, 1));
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
