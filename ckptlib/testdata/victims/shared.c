// Memory that parent and child share, of every kind. Either writes, the other
// reads.
#include "victim.h"
#include <sys/sem.h>
#include <sys/shm.h>

enum { PAGE = 4096, SIZE = 64 * PAGE, KINDS = 9 };
#ifndef MFD_ALLOW_SEALING
#include <linux/memfd.h>
#endif

static char *at[KINDS], *second, *tmpfs_private, *pieces;
static const char *kinds[KINDS] = {"anon", "memfd", "named", "deleted", "sysv", "sysv-dest", "memfd-open", "sealed", "anon-writer-gone"};
static int ids[4], sem, memfd, ask[2], answer[2];
static unsigned short sems[3];

static char *shared(int fd, int prot) {
	char *p = mmap(NULL, SIZE, prot, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);
	if (p == MAP_FAILED)
		MUST(-1);
	return p;
}

// check tells what of each kind can be read: a string that was written before
// the fork, one of the parent's and one of the child's.
static void check(char *b) {
	*b = 0;
	for (int i = 0; i < KINDS; i++)
		sprintf(b + strlen(b), "%s=%s/%s/%s ", kinds[i], at[i] + 5 * PAGE, at[i] + 20 * PAGE, at[i] + SIZE - PAGE);
	sprintf(b + strlen(b), "second=%s private=%s/%s ", second + 5 * PAGE, tmpfs_private, tmpfs_private + PAGE);
}

static void write_all(int page, const char *s) {
	for (int i = 0; i < KINDS; i++)
		if (i != 7)
			strcpy(at[i] + page * PAGE, s);
}

int main(void) {
	char b[8192];
	at[0] = shared(-1, PROT_READ | PROT_WRITE);
	int fd = MUST(memfd_create("closed", MFD_CLOEXEC));
	MUST(ftruncate(fd, SIZE));
	at[1] = shared(fd, PROT_READ | PROT_WRITE);
	close(fd);
	fd = MUST(open("/dev/shm/named", O_RDWR | O_CREAT | O_EXCL, 0640));
	MUST(ftruncate(fd, SIZE + 100));
	at[2] = shared(fd, PROT_READ | PROT_WRITE);
	close(fd);
	fd = MUST(open("/dev/shm/deleted", O_RDWR | O_CREAT | O_EXCL, 0600));
	MUST(ftruncate(fd, SIZE));
	at[3] = shared(fd, PROT_READ | PROT_WRITE);
	MUST(unlink("/dev/shm/deleted"));
	close(fd);
	fd = MUST(open("/dev/shm/private", O_RDWR | O_CREAT | O_EXCL, 0600));
	MUST(pwrite(fd, "file", 5, 0));
	MUST(pwrite(fd, "page", 5, PAGE));
	tmpfs_private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(tmpfs_private, "mine"); // the second page stays the file's
	ids[0] = MUST(shmget(IPC_PRIVATE, 100, 0600));
	shmctl(ids[0], IPC_RMID, NULL); // so that ids do not begin with 0
	ids[0] = MUST(shmget(0x1234, SIZE, IPC_CREAT | IPC_EXCL | 0640));
	ids[1] = MUST(shmget(IPC_PRIVATE, SIZE, 0600));
	ids[2] = MUST(shmget(IPC_PRIVATE, SIZE, 0600));
	ids[3] = MUST(shmget(IPC_PRIVATE, SIZE, 0600));
	at[4] = shmat(ids[0], NULL, 0);
	second = shmat(ids[0], NULL, SHM_RDONLY);
	at[5] = shmat(ids[1], NULL, 0);
	MUST(shmctl(ids[1], IPC_RMID, NULL));
	char *p = shmat(ids[2], NULL, 0); // unattached
	strcpy(p + 7 * PAGE, "unattached");
	shmdt(p);
	pieces = shmat(ids[3], NULL, 0); // only parts, with other rights
	strcpy(pieces + 30 * PAGE, "piece");
	MUST(munmap(pieces, 10 * PAGE));
	MUST(mprotect(pieces + 30 * PAGE, PAGE, PROT_READ));
	memfd = MUST(memfd_create("open", MFD_CLOEXEC));
	MUST(ftruncate(memfd, SIZE));
	at[6] = shared(memfd, PROT_READ | PROT_WRITE);
	fd = MUST(memfd_create("sealed", MFD_ALLOW_SEALING));
	MUST(ftruncate(fd, SIZE));
	MUST(pwrite(fd, "before", 7, 5 * PAGE));
	MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE));
	at[7] = shared(fd, PROT_READ);
	at[8] = shared(-1, PROT_READ | PROT_WRITE);
	sem = MUST(semget(77, 3, IPC_CREAT | 0600));
	MUST(semctl(sem, 0, SETVAL, 5));
	MUST(semctl(sem, 2, SETVAL, 9));
	MUST(pipe(ask));
	MUST(pipe(answer));
	write_all(5, "before");
	pid_t writer = MUST(fork());
	if (!writer) { // writes and ends: nobody else has touched these pages
		strcpy(at[8] + SIZE - PAGE, "gone");
		_exit(0);
	}
	waitpid(writer, NULL, 0);
	if (MUST(fork()) == 0) {
		char q;
		while (read(ask[0], &q, 1) == 1) {
			if (q == 'w')
				write_all(SIZE / PAGE - 1, "child"), strcpy(b, "written");
			else
				check(b);
			if (write(answer[1], b, sizeof b) != sizeof b)
				break;
		}
		_exit(0);
	}
	say("ready");
	while (question()) {
		if (is("check")) {
			char c[8192];
			check(c);
			MUST(write(ask[1], "c", 1));
			MUST(read(answer[0], b, sizeof b));
			say("%s| %s", c, b);
		} else if (is("write")) {
			write_all(20, "parent");
			MUST(write(ask[1], "w", 1));
			MUST(read(answer[0], b, sizeof b));
			say("%s", b);
		} else if (is("ipc")) {
			struct shmid_ds d[4];
			char *u = shmat(ids[2], NULL, 0), unattached[20];
			strcpy(unattached, u + 7 * PAGE);
			shmdt(u);
			for (int i = 0; i < 4; i++)
				MUST(shmctl(ids[i], IPC_STAT, &d[i]));
			MUST(semctl(sem, 0, GETALL, sems));
			say("ids %d %d %d %d attached %ld %ld %ld %ld modes %o %o %o key %x size %zu unattached %s piece %s sem %d: %d %d %d", ids[0], ids[1], ids[2],
				ids[3], d[0].shm_nattch, d[1].shm_nattch, d[2].shm_nattch, d[3].shm_nattch, d[0].shm_perm.mode, d[1].shm_perm.mode,
				d[2].shm_perm.mode, d[0].shm_perm.__key, d[0].shm_segsz, unattached, pieces + 30 * PAGE, sem, sems[0], sems[1], sems[2]);
		} else if (is("files")) {
			struct stat s, g, pr;
			MUST(stat("/dev/shm/named", &s));
			MUST(fstat(memfd, &g));
			MUST(stat("/dev/shm/private", &pr));
			say("named %zu %o %ld memfd %zu private %zu seals %x", (size_t)s.st_size, s.st_mode, (long)s.st_nlink, (size_t)g.st_size,
				(size_t)pr.st_size, fcntl(fd, F_GET_SEALS));
		} else if (is("pour")) { // by the file into the mapping, and the other way
			int f = MUST(open("/dev/shm/named", O_RDWR));
			MUST(pwrite(f, "poured", 7, 5 * PAGE));
			int g = MUST(open("/dev/shm/private", O_RDWR));
			MUST(pwrite(g, "NEW", 4, PAGE));
			say("%s %s %s", at[2] + 5 * PAGE, tmpfs_private, tmpfs_private + PAGE);
			close(f);
			close(g);
		}
	}
	return 0;
}
