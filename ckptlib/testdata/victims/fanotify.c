// A directory that is watched by fanotify, as an ordinary user may.
#include "victim.h"
#include <sys/fanotify.h>

static int fd;

// events lists the names in the events that are there.
static void events(char *b) {
	char e[4096] __attribute__((aligned(8)));
	int n = read(fd, e, sizeof e);
	if (n < 0) {
		strcpy(b, strerror(errno));
		return;
	}
	for (struct fanotify_event_metadata *m = (void *)e; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
		struct fanotify_event_info_fid *i = (void *)(m + 1);
		struct file_handle *h = (void *)i->handle;
		if (m->mask & FAN_Q_OVERFLOW)
			strcat(b, "lost ");
		else
			sprintf(b + strlen(b), "%s:%s ", m->mask & FAN_CREATE ? "create" : "modify", (char *)h->f_handle + h->handle_bytes);
	}
}

static void make(const char *dir, const char *name) {
	char path[256];
	sprintf(path, "%s/%s", dir, name);
	int f = MUST(open(path, O_CREAT | O_RDWR, 0600));
	MUST(write(f, "x", 1));
	close(f);
}

int main(int argc, char **argv) {
	const char *dir = argv[1];
	fd = MUST(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_NONBLOCK, O_RDONLY));
	MUST(fanotify_mark(fd, FAN_MARK_ADD, FAN_CREATE | FAN_MODIFY | FAN_EVENT_ON_CHILD, AT_FDCWD, dir));
	say("ready");
	while (question()) {
		char b[1024] = "", first[512] = "";
		if (is("watch")) {
			make(dir, "new");
			events(b);
			make(dir, "new");
			events(first);
			unlink(strcat(strcpy(line, dir), "/new"));
			say("%s%s", b, first);
		} else if (is("make")) {
			make(dir, "unread");
			unlink(strcat(strcpy(line, dir), "/unread"));
			say("made");
		} else if (is("events")) {
			events(b);
			say("%s", b);
		}
	}
	return 0;
}
