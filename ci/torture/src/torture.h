// A program that does everything at once and notices if anything of it is lost
// or done twice. Each activity is a process of its own, forked by main.c, with
// what processes and threads it needs; torture.c has what they share.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// An activity runs until ending(), and then checks that all has arrived.
struct activity {
	const char *name;
	void (*run)(void);
};
extern const struct activity activities[];
extern const int activity_count;
enum { MAX_ACTIVITIES = 16, PARTS = 9, RANKS = 2 };

// What all processes of a rank share.
struct shared {
	atomic_int end, broken;
	char what[400]; // the first invariant that was broken
	// done counts the steps of the processes of each activity, also of the other
	// rank, as its last record has told them.
	atomic_ulong done[RANKS][MAX_ACTIVITIES][PARTS];
	atomic_uint roles[MAX_ACTIVITIES];
};
extern struct shared *shared;
extern int rank, ranks, self, part; // self is the activity of this process, and part which of its processes
extern unsigned long seed;
extern const char *program; // its path, to be executed again

int ending(void);
void step(void);

// broken ends the program with a sentence; CHECK with the condition.
__attribute__((noreturn, format(printf, 1, 2))) void broken(const char *format, ...);
#define CHECK(x) \
	do { \
		if (!(x)) \
			broken("%s:%d: not so: %s (errno: %s)", __FILE__, __LINE__, #x, strerror(errno)); \
	} while (0)

// A random sequence that the seed and a number determine.
struct sequence {
	unsigned long state;
};
struct sequence sequence(unsigned long number);
unsigned long draw(struct sequence *, unsigned long below);
void nap(struct sequence *, unsigned long most_us); // sleeps a random time

// Roles are processes of an activity; await checks that one ended well.
pid_t role(void (*run)(void *), void *arg);
void await(pid_t);
pthread_t thread(void *(*run)(void *), void *arg);
void join(pthread_t);

// Records: number n of a channel has always the same length and bytes, so that a
// receiver knows what must come. The channel's number is any.
enum { RECORD = 3000 };
size_t record(unsigned long channel, unsigned long n, unsigned char *to); // at most RECORD

struct channel {
	int fd;
	unsigned long number;
	unsigned long nap_us;  // of its sender or receiver, at most, after a record
	int relay;             // for a receiver: where to send records on, or -1
	unsigned long records; // so far
};
void *send_records(void *channel);
void *receive_records(void *channel);
void read_all(int fd, void *to, size_t n);
void write_all(int fd, const void *from, size_t n);

// Ends of TCP connections; meet has an acceptor and a dialer run in this rank or in
// two. A socket belongs to the one that gets it.
void meet(const char *port_file, void (*accept)(int listener), void (*dial)(int port));
int dial(int port);
int accept_one(int listener);

unsigned long now_ns(clockid_t);
void path_in(char to[PATH_MAX], const char *dir, const char *name); // with the rank in it
const char *private_dir(void);                                      // for what the job alone may see

void threads(void), forks(void), pipes(void), unix_sockets(void), tcp(void), calls(void), shared_memory(void), sysv(void), timers(void), signals(void),
	events(void), files(void), memory(void);
