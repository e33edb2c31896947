// What a process is besides: directory, masks, limits, names, personality.
#include "victim.h"
#include <linux/membarrier.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/utsname.h>

static int initialised = 42;
static char zeroed[10000];

int main(int argc, char **argv) {
	MUST(chdir(getenv("VICTIM_DIR"))); // on the host's disk, and the test's to remove
	umask(0137);
	struct rlimit nofile = {77, 88}, core = {0, 0}, stack = {1 << 20, 16 << 20}, as = {1UL << 40, 1UL << 41};
	MUST(setrlimit(RLIMIT_NOFILE, &nofile));
	MUST(setrlimit(RLIMIT_CORE, &core));
	MUST(setrlimit(RLIMIT_STACK, &stack));
	MUST(setrlimit(RLIMIT_AS, &as));
	int oom = MUST(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
	MUST(write(oom, "321", 3));
	close(oom);
	MUST(prctl(PR_SET_NAME, "a (name) x"));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(prctl(PR_SET_TIMERSLACK, 123456));
	MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1));
	if (!strcmp(argv[argc - 1], "hidden"))
		MUST(prctl(PR_SET_DUMPABLE, 0));
	MUST(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
	MUST(setpriority(PRIO_PROCESS, 0, 7));
	MUST(personality(ADDR_NO_RANDOMIZE));
	initialised = 43;
	zeroed[9999] = 1;
	say("ready");
	while (question()) {
		if (is("all")) {
			char cwd[256], name[17] = "", exe[256] = "";
			int death = 0;
			struct rlimit l[4];
			struct utsname u;
			getcwd(cwd, sizeof cwd);
			prctl(PR_GET_NAME, name);
			prctl(PR_GET_PDEATHSIG, &death);
			getrlimit(RLIMIT_NOFILE, &l[0]);
			getrlimit(RLIMIT_CORE, &l[1]);
			getrlimit(RLIMIT_STACK, &l[2]);
			getrlimit(RLIMIT_AS, &l[3]);
			(void)!readlink("/proc/self/exe", exe, sizeof exe - 1);
			uname(&u);
			mode_t m = umask(0);
			umask(m);
			say("%d %d %d cwd %s mask %o limits %lu %lu %lu %lu %lu name %s %d slack %d death %d dump %d thp %d nice %d pers %x data %d %d main %p "
				"args %d %s exe %s host %s vdso %lx uid %d barrier %ld %ld", getpid(), getppid(), getsid(0), cwd, m, l[0].rlim_cur, l[0].rlim_max, l[1].rlim_cur,
				l[2].rlim_cur, l[3].rlim_max, name, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_TIMERSLACK), death,
				prctl(PR_GET_DUMPABLE), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), getpriority(PRIO_PROCESS, 0), personality(0xffffffff), initialised,
				zeroed[9999], (void *)main, argc, argv[argc - 1], exe, u.nodename, getauxval(AT_SYSINFO_EHDR), getuid(),
				syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), syscall(SYS_membarrier, 1 << 9, 0, 0));
		} else if (is("time")) { // by way of the vdso, which must be where libc believes
			struct timespec a, b;
			clock_gettime(CLOCK_MONOTONIC, &a);
			clock_gettime(CLOCK_REALTIME, &b);
			say("%d", a.tv_sec > 0 && labs(b.tv_sec - time(NULL)) < 2);
		}
	}
	return 0;
}
