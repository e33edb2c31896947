// POSIX message queues: with messages of several priorities, without a name,
// without a descriptor, waited for.
#include "victim.h"
#include <mqueue.h>
#include <poll.h>

static mqd_t queue, reader, gone, empty, full;

static mqd_t make(const char *name, long count, long size) {
	struct mq_attr a = {.mq_maxmsg = count, .mq_msgsize = size};
	mq_unlink(name);
	return MUST(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0640, &a));
}

static void send(mqd_t q, const char *text, int n, unsigned prio) { MUST(mq_send(q, text, n, prio)); }

// takes receives what is in a queue.
static void takes(char *b, mqd_t q) {
	static char m[8192];
	struct timespec past = {0, 0};
	unsigned prio;
	ssize_t n;
	while ((n = mq_timedreceive(q, m, sizeof m, &prio, &past)) >= 0)
		sprintf(b + strlen(b), "%u:%zd:%.*s ", prio, n, n > 3 ? 3 : (int)n, m);
	strcat(b, "| ");
}

static int answer[2];

// waits receives from one queue and sends to another; neither may be interrupted.
static void *waits(void *arg) {
	char m[100];
	for (;;) {
		int n = mq_receive(empty, m, sizeof m, NULL);
		if (n < 0)
			wrong("mq_receive: %s", strerror(errno));
		MUST(write(answer[1], m, 1));
	}
	return NULL;
}

static void *stuck(void *arg) {
	if (mq_send(full, "last", 4, 0))
		wrong("mq_send: %s", strerror(errno));
	MUST(write(answer[1], "S", 1));
	return NULL;
}

int main(int argc, char **argv) {
	MUST(pipe(answer));
	queue = make("/queue", 8, 3000);
	send(queue, "low1", 4, 0);
	send(queue, "high1", 5, 30000);
	send(queue, "", 0, 0);
	send(queue, "mid", 3, 7);
	send(queue, "high2", 5, 30000);
	char big[3000];
	memset(big, 'B', sizeof big);
	send(queue, big, sizeof big, 0);
	reader = MUST(mq_open("/queue", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	MUST(fcntl(reader, F_SETFD, 0));
	gone = make("/gone", 3, 10);
	send(gone, "x", 1, 1);
	MUST(mq_unlink("/gone"));
	empty = make("/empty", 2, 100);
	full = make("/full", 1, 10);
	send(full, "first", 5, 0);
	mqd_t lost = make("/nobody", 2, 20);
	send(lost, "alone", 5, 3);
	mq_close(lost);
	if (argc > 1) {
		struct sigevent e = {.sigev_notify = SIGEV_NONE};
		MUST(mq_notify(empty, &e));
	}
	pthread_t t;
	if (argc == 1)
		pthread_create(&t, NULL, waits, NULL);
	pthread_create(&t, NULL, stuck, NULL);
	say("ready");
	while (question()) {
		char b[8192] = "";
		if (is("state")) {
			mqd_t all[] = {queue, reader, gone, empty, full};
			struct mq_attr a;
			struct stat st;
			for (int i = 0; i < 5; i++) {
				MUST(mq_getattr(all[i], &a));
				MUST(fstat(all[i], &st));
				sprintf(b + strlen(b), "%lx %ld %ld %ld %o|", a.mq_flags, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs, st.st_mode & 0777);
			}
			say("%s again %d", b, mq_open("/gone", O_RDONLY));
		} else if (is("take")) {
			mqd_t nobody = mq_open("/nobody", O_RDWR);
			takes(b, reader);
			takes(b, gone);
			takes(b, nobody);
			mq_close(nobody);
			say("%s", b);
		} else if (is("wake")) {
			char c[3] = "";
			send(empty, "E", 1, 0);
			MUST(read(answer[0], c, 1));
			MUST(mq_receive(full, b, 10, NULL));
			MUST(read(answer[0], c + 1, 1));
			MUST(mq_receive(full, b + 5, 10, NULL));
			say("%s %s%s", c, b, trouble);
		} else if (is("denotify")) {
			MUST(mq_notify(empty, NULL));
			say("ok");
		}
	}
	return 0;
}
