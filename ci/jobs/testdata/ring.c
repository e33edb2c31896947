/* A ring of processes over several hosts that know nothing of MPI: a launcher of
   MPI programs starts them, and they talk over sockets of their own. A token goes
   round; each adds to a sum in it and writes down how often it came by. Every 10th
   time it goes to the next one by a connection that is made for it, to the address
   that the next one published in a file when it began. The last round waits for a
   file.

   usage: ring ROUNDS FILE */
#include "hold.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct token {
    long round, sum;
};

static int rank, size;

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "process %d: %s: %m\n", rank, what);
    exit(9);
}

/* Who of how many this is, as Open MPI's launcher says it or MPICH's. */
static int number(const char *openmpi, const char *mpich)
{
    const char *s = getenv(openmpi);
    if (!s)
        s = getenv(mpich);
    must(s != NULL, openmpi);
    return atoi(s);
}

/* Listens, and says where in a file. */
static int publish(void)
{
    char host[256], name[32], temporary[40];
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t length = sizeof at;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    must(listen(s, 5) == 0 && getsockname(s, (struct sockaddr *)&at, &length) == 0, "listen");
    must(gethostname(host, sizeof host) == 0, "gethostname");
    snprintf(name, sizeof name, "ring-%d", rank);
    snprintf(temporary, sizeof temporary, "%s.new", name);
    FILE *f = fopen(temporary, "w");
    must(f && fprintf(f, "%s %d\n", host, ntohs(at.sin_port)) > 0 && fclose(f) == 0, temporary);
    must(rename(temporary, name) == 0, name);
    return s;
}

static int dial(int whom)
{
    char host[256], port[16], name[32];
    struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *at;
    FILE *f;
    snprintf(name, sizeof name, "ring-%d", whom);
    while (!(f = fopen(name, "r")))
        usleep(10000);
    must(fscanf(f, "%255s %15s", host, port) == 2, name);
    fclose(f);
    must(getaddrinfo(host, port, &want, &at) == 0, host);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(s, at->ai_addr, at->ai_addrlen) == 0, "connect");
    freeaddrinfo(at);
    return s;
}

static void give(int s, const struct token *t) { must(write(s, t, sizeof *t) == sizeof *t, "write"); }

static void take(int s, struct token *t) { must(recv(s, t, sizeof *t, MSG_WAITALL) == sizeof *t, "recv"); }

int main(int argc, char **argv)
{
    struct token t = {0, 0};
    if (argc != 3)
        return 2;
    rank = number("OMPI_COMM_WORLD_RANK", "PMI_RANK");
    size = number("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");
    long rounds = atol(argv[1]);
    int listener = publish(), next = dial((rank + 1) % size), previous = accept(listener, NULL, NULL);
    must(previous >= 0, "accept");
    for (long round = 1; round <= rounds; round++) {
        int out = next, in = previous;
        if (rank == 0) {
            if (round == rounds)
                hold(argv[2]);
            t.round = round;
            t.sum += rank + 1;
        }
        /* The first one dials, and each of the others when it was dialled. */
        if (round % 10 == 0 && rank == 0)
            give(out = dial((rank + 1) % size), &t);
        else if (rank == 0)
            give(out, &t);
        if (round % 10 == 0)
            must((in = accept(listener, NULL, NULL)) >= 0, "accept");
        take(in, &t);
        must(t.round == round, "the token is of another round");
        if (rank > 0) {
            t.sum += rank + 1;
            if (round % 10 == 0)
                out = dial((rank + 1) % size);
            give(out, &t);
        } else if (t.sum != round * size * (size + 1) / 2) {
            printf("round %ld: the sum is %ld\n", round, t.sum);
            return 1;
        } else if (round % 20 == 0) {
            printf("round %ld\n", round);
            fflush(stdout);
        }
        if (round % 10 == 0) {
            close(out);
            close(in);
        }
        if (rank == 0)
            usleep(5000);
    }
    printf("process %d of %d was in %ld rounds, the sum was %ld\n", rank, size, rounds, t.sum);
    return 0;
}
