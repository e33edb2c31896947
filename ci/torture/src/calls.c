// TCP connections that are made for one question each, also after restarts.
#include "torture.h"

// ask makes a connection for one question after the other; a question of 0 is the end.
static void ask(int port) {
	struct sequence s = sequence(3901);
	for (unsigned long n = 1, end = 0; !end; n++) {
		unsigned long answer;
		if ((end = ending()))
			n = 0;
		int fd = dial(port);
		write_all(fd, &n, sizeof n);
		read_all(fd, &answer, sizeof answer);
		CHECK(answer == n * 7);
		CHECK(read(fd, &answer, 1) == 0);
		close(fd);
		step();
		nap(&s, 20000);
	}
}

static void answer(int listener) {
	for (unsigned long want = 1, n = 1; n > 0; want++) {
		int fd = accept_one(listener);
		read_all(fd, &n, sizeof n);
		if (n != want && n != 0)
			broken("question %lu came, and it was the turn of %lu", n, want);
		unsigned long reply = n * 7;
		write_all(fd, &reply, sizeof reply);
		close(fd);
		step();
	}
}

void calls(void) { meet("torture-calls-port", answer, ask); }
