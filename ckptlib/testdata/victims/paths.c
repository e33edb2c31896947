// Files whose names have changed since they were opened, and directories that
// are half read. The argument is an empty directory.
#include "victim.h"
#include <dirent.h>
#include <sys/sendfile.h>

enum { RENAMED = 20, LINKED, TMPLINKED, TMPFILE, SPARSE, APPEND, PATH, LISTED, DELETED_DIR };

static int at(int num, int fd) {
	MUST(fd);
	if (fd != num) {
		MUST(dup2(fd, num));
		close(fd);
	}
	return num;
}

static DIR *listing;

// list reads up to n names, sorted into a set of letters.
static void list(char *b, int n) {
	struct dirent *e;
	char seen[128] = "";
	while (n-- > 0 && (e = readdir(listing)))
		if (e->d_name[0] == 'f')
			seen[atoi(e->d_name + 1)]++;
	for (int i = 0; i < 100; i++)
		sprintf(b + strlen(b), "%d", seen[i]);
}

int main(int argc, char **argv) {
	char b[4096] = "";
	MUST(chdir(argv[1]));
	MUST(mkdir("sub", 0700));
	at(RENAMED, open("old", O_RDWR | O_CREAT, 0600));
	MUST(write(RENAMED, "renamed", 7));
	MUST(rename("old", "sub/new"));
	at(LINKED, open("first", O_RDWR | O_CREAT, 0600));
	MUST(write(LINKED, "linked", 6));
	MUST(link("first", "sub/second"));
	MUST(unlink("first"));
	at(TMPLINKED, open(".", O_RDWR | O_TMPFILE, 0600));
	MUST(write(TMPLINKED, "tmplinked", 9));
	sprintf(b, "/proc/self/fd/%d", TMPLINKED);
	MUST(linkat(AT_FDCWD, b, AT_FDCWD, "sub/linked", AT_SYMLINK_FOLLOW));
	at(TMPFILE, open(".", O_RDWR | O_TMPFILE, 0600));
	MUST(write(TMPFILE, "nameless", 8));
	at(SPARSE, open("sparse", O_RDWR | O_CREAT, 0600));
	MUST(pwrite(SPARSE, "middle", 6, (1L << 39) + 5));
	MUST(pwrite(SPARSE, "end", 3, (1L << 40) - 3));
	MUST(unlink("sparse"));
	at(APPEND, open("append", O_WRONLY | O_CREAT | O_APPEND, 0600));
	MUST(write(APPEND, "begin ", 6));
	at(PATH, open("sub", O_PATH));
	MUST(mkdir("gone", 0700));
	at(DELETED_DIR, open("gone", O_RDONLY | O_DIRECTORY));
	MUST(rmdir("gone"));
	MUST(mkdir("many", 0700));
	for (int i = 0; i < 100; i++) {
		sprintf(b, "many/f%d", i);
		close(MUST(open(b, O_CREAT, 0600)));
	}
	at(LISTED, open("many", O_RDONLY | O_DIRECTORY));
	listing = fdopendir(LISTED);
	// A position that libc has no copy of what follows for.
	for (int i = 0; i < 40; i++)
		readdir(listing);
	long pos = telldir(listing);
	*b = 0;
	list(b, 100);
	static char rest[128];
	strcpy(rest, b);
	seekdir(listing, pos);
	say("ready");
	while (question()) {
		char t[3][64] = {"", "", ""};
		*b = 0;
		if (is("check")) {
			MUST(pread(RENAMED, t[0], 60, 0));
			MUST(pread(LINKED, t[1], 60, 0));
			MUST(pread(TMPLINKED, t[2], 60, 0));
			sprintf(b, "%s %s %s ", t[0], t[1], t[2]);
			struct stat st, other;
			memset(t, 0, sizeof t);
			MUST(pread(TMPFILE, t[0], 60, 0));
			MUST(pread(SPARSE, t[1], 20, 1L << 39));
			MUST(pread(SPARSE, t[2], 20, (1L << 40) - 3));
			MUST(fstat(SPARSE, &st));
			sprintf(b + strlen(b), "%s sparse %d%s %s %ld %s ", t[0], t[1][4], t[1] + 5, t[2], st.st_size, st.st_blocks < 100 ? "holes" : "full");
			MUST(fstat(LINKED, &st));
			MUST(stat("sub/second", &other));
			sprintf(b + strlen(b), "same %d ", st.st_ino == other.st_ino);
			MUST(fstatat(PATH, "new", &other, 0));
			MUST(fstat(RENAMED, &st));
			sprintf(b + strlen(b), "path %d ", st.st_ino == other.st_ino);
			MUST(fstat(DELETED_DIR, &st));
			say("%s gone %o links %d", b, st.st_mode, (int)st.st_nlink);
		} else if (is("list")) {
			list(b, 1000);
			say("%s", strcmp(b, rest) ? b : "rest");
		} else if (is("append")) {
			memset(b, 0, sizeof b);
			MUST(lseek(APPEND, 0, SEEK_SET));
			MUST(write(APPEND, "more", 4));
			MUST(pread(open("append", O_RDONLY | O_CLOEXEC), b, 60, 0));
			say("%s", b);
		}
	}
	return 0;
}
