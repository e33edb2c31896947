// Open files of /proc and /sys: of the process itself, of a child, of one that
// has ended, of the system, and devices.
#include "victim.h"
#include <dirent.h>

static char secret[] = "in my memory";

// word reads the rest of a file and returns its n-th word.
static char *word(int fd, int n) {
	static char b[1 << 16];
	int k = read(fd, b, sizeof b - 1);
	if (k < 0)
		return strerror(errno);
	b[k] = 0;
	char *w = strtok(b, " \t\n");
	while (w && n--)
		w = strtok(NULL, " \t\n");
	return w ? w : "(end)";
}

int main(void) {
	char path[64], first[32];
	pid_t child = MUST(fork());
	if (!child)
		for (;;)
			pause();
	pid_t dead = MUST(fork());
	if (!dead)
		for (;;)
			pause();
	sprintf(path, "/proc/%d/status", child);
	int of_child = MUST(open(path, O_RDONLY));
	sprintf(path, "/proc/%d/stat", dead);
	int of_dead = MUST(open(path, O_RDONLY));
	kill(dead, SIGKILL);
	MUST(waitpid(dead, NULL, 0));
	int self = MUST(open("/proc/self/stat", O_RDONLY)), thread = MUST(open("/proc/thread-self/comm", O_RDWR)), maps = MUST(open("/proc/self/maps", O_RDONLY)),
		mem = MUST(open("/proc/self/mem", O_RDWR)), info = MUST(open("/proc/meminfo", O_RDONLY)), cpus = MUST(open("/sys/devices/system/cpu/possible", O_RDONLY)),
		tcp = MUST(open("/proc/self/net/tcp", O_RDONLY)), dev[4], dirs = MUST(open("/proc/self/task", O_RDONLY | O_DIRECTORY)), exe = MUST(open("/proc/self/exe", O_RDONLY));
	const char *devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"};
	for (int i = 0; i < 4; i++)
		dev[i] = MUST(open(devices[i], O_RDWR));
	MUST(read(maps, first, 10)); // it is half read
	say("ready");
	while (question()) {
		static char b[4096], m[1 << 16], z[8];
		if (is("all")) {
			*b = 0;
			MUST(lseek(self, 0, SEEK_SET));
			sprintf(b, "%d:", atoi(word(self, 0)) == getpid());
			MUST(lseek(of_child, 0, SEEK_SET));
			sprintf(b + strlen(b), "%s:", word(of_child, 1));
			sprintf(b + strlen(b), "%s:", pread(of_dead, z, 1, 0) < 0 ? strerror(errno) : "read");
			MUST(lseek(thread, 0, SEEK_SET));
			sprintf(b + strlen(b), "%s:", word(thread, 0));
			MUST(pread(mem, z, sizeof z, (off_t)(uintptr_t)secret));
			sprintf(b + strlen(b), "%.8s:", z);
			MUST(lseek(info, 0, SEEK_SET));
			sprintf(b + strlen(b), "%s:", word(info, 0));
			MUST(lseek(cpus, 0, SEEK_SET));
			sprintf(b + strlen(b), "%d:", *word(cpus, 0) == '0');
			MUST(lseek(tcp, 0, SEEK_SET));
			sprintf(b + strlen(b), "%s:", word(tcp, 0));
			DIR *d = fdopendir(MUST(dup(dirs)));
			int n = 0;
			rewinddir(d);
			for (struct dirent *e; (e = readdir(d));)
				n += atoi(e->d_name) == getpid();
			closedir(d);
			MUST(pread(exe, z, 4, 0));
			sprintf(b + strlen(b), "%d:%.3s:", n, z + 1);
			sprintf(b + strlen(b), "%zd:%zd:%d:%zd", read(dev[0], z, 8), read(dev[1], z, 8), write(dev[2], z, 1) < 0 ? errno : 0, read(dev[3], z, 8));
			say("%s", b);
		} else if (is("maps")) { // goes on behind the ten bytes
			MUST(lseek(maps, 10, SEEK_SET));
			int n = 0, k;
			while ((k = read(maps, m + n, sizeof m - 1 - n)) > 0)
				n += k;
			m[n] = 0;
			say("%d %d", strstr(m, "[stack]") != NULL, strstr(m, "[heap]") != NULL || n > 500);
		} else if (is("write")) {
			MUST(lseek(thread, 0, SEEK_SET));
			MUST(write(thread, "renamed", 7));
			char name[17] = "";
			prctl(PR_GET_NAME, name);
			MUST(pwrite(mem, "IN", 2, (off_t)(uintptr_t)secret));
			say("%s %s", name, secret);
		}
	}
	return 0;
}
