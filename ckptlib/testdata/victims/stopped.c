// A job of several processes with several threads each, which is stopped and
// continued as a shell does it. Every thread answers bytes of its own pipe.
#include "victim.h"

enum { PROCESSES = 3, THREADS = 4 };
static int tell[PROCESSES][THREADS][2], hear[PROCESSES][THREADS][2];
static pid_t child[PROCESSES];
static int me;
static pid_t sender;

// sending stops and continues the children over and over.
static void sending(void) {
	for (unsigned n = 0;; n++) {
		for (int p = 0; p < PROCESSES; p++)
			kill(child[p], n % 2 ? SIGCONT : SIGSTOP);
		for (volatile int i = 0; i < (int)(n % 7) * 20000; i++)
			;
	}
}

static void *echo(void *arg) {
	int i = (long)arg;
	unsigned char c;
	for (;;) {
		int n = read(tell[me][i][0], &c, 1);
		if (n != 1)
			c = n < 0 ? errno : 0;
		else
			c++;
		if (write(hear[me][i][1], &c, 1) != 1)
			exit(1);
	}
}

int main(void) {
	for (int p = 0; p < PROCESSES; p++)
		for (int t = 0; t < THREADS; t++) {
			MUST(pipe(tell[p][t]));
			MUST(pipe(hear[p][t]));
		}
	for (me = 0; me < PROCESSES; me++)
		if (!(child[me] = MUST(fork()))) {
			setpgid(0, 0); // SIGTSTP stops no orphaned group
			pthread_t t;
			for (long i = 1; i < THREADS; i++)
				pthread_create(&t, NULL, echo, (void *)i);
			echo(NULL);
		}
	say("ready");
	while (question()) {
		siginfo_t i;
		const int sigs[] = {SIGSTOP, SIGTSTP, SIGTTIN};
		if (is("stop")) {
			for (int p = 0; p < PROCESSES; p++) {
				kill(child[p], sigs[p]);
				MUST(waitid(P_PID, child[p], &i, WSTOPPED));
			}
			say("stopped");
		} else if (is("continue")) {
			for (int p = 0; p < PROCESSES; p++) {
				kill(child[p], SIGCONT);
				memset(&i, 0, sizeof i);
				MUST(waitid(P_PID, child[p], &i, WCONTINUED));
				if (i.si_code != CLD_CONTINUED)
					wrong("process %d: waitid tells code %d", p, i.si_code);
			}
			say("continued%s", trouble);
		} else if (is("storm")) {
			if (!(sender = MUST(fork())))
				sending();
			say("storm");
		} else if (is("calm")) {
			kill(sender, SIGKILL);
			MUST(waitpid(sender, NULL, 0));
			for (int p = 0; p < PROCESSES; p++)
				kill(child[p], SIGCONT);
			say("calm");
		} else if (is("ask")) {
			for (int p = 0; p < PROCESSES; p++)
				for (int t = 0; t < THREADS; t++) {
					unsigned char c = 'a' + p * THREADS + t, d = 0;
					MUST(write(tell[p][t][1], &c, 1));
					MUST(read(hear[p][t][0], &d, 1));
					if (d != c + 1)
						wrong("process %d thread %d: %d", p, t, d);
				}
			report();
		} else if (is("states")) {
			char b[256] = "", path[64], s[256];
			for (int p = 0; p < PROCESSES; p++) {
				char c;
				sprintf(path, "/proc/%d/stat", child[p]);
				do { // a process that is let go is on its way to its stop for a moment
					int fd = MUST(open(path, O_RDONLY | O_CLOEXEC)), n = MUST(read(fd, s, sizeof s - 1));
					close(fd);
					s[n] = 0;
					c = strrchr(s, ')')[2];
				} while (c == 'R');
				sprintf(b + strlen(b), "%c", c);
			}
			say("%s", b);
		}
	}
	return 0;
}
