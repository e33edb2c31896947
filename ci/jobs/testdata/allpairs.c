/* An MPI job in which every rank has a connection to every other, and which then
   does nothing until a file appears: what its size alone costs. Then every rank
   sends to every other once more, and checks what came.

   usage: allpairs FILE */
#include "leave.h"

#include <stdio.h>
#include <time.h>

enum { WORDS = 16 };

static int rank, ranks;

/* Sends words to all and returns how many of those that came are wrong. */
static long talk(int round)
{
    int *out = malloc(sizeof(int) * WORDS * ranks), *in = malloc(sizeof(int) * WORDS * ranks);
    MPI_Request *requests = malloc(sizeof *requests * 2 * ranks);
    /* gcc 12 takes MPICH's MPI_STATUSES_IGNORE for an empty array. */
    MPI_Status *statuses = malloc(sizeof *statuses * 2 * ranks);
    long wrong = 0, all;
    for (int i = 0; i < WORDS * ranks; i++)
        out[i] = (rank * 4099 + i / WORDS) * 16 + round;
    /* To all by name, for an MPI_Alltoall of few words goes by way of others; and to all at once, for one after the
       other each of 127 messages waits for a turn of every rank. */
    int n = 0;
    for (int k = 1; k < ranks; k++) {
        int to = (rank + k) % ranks, from = (rank + ranks - k) % ranks;
        MPI_Irecv(in + from * WORDS, WORDS, MPI_INT, from, round, MPI_COMM_WORLD, requests + n++);
        MPI_Isend(out + to * WORDS, WORDS, MPI_INT, to, round, MPI_COMM_WORLD, requests + n++);
    }
    MPI_Waitall(n, requests, statuses);
    for (int i = 0; i < WORDS * ranks; i++)
        wrong += i / WORDS != rank && in[i] != (i / WORDS * 4099 + rank) * 16 + round;
    MPI_Allreduce(&wrong, &all, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    free(statuses);
    free(requests);
    free(in);
    free(out);
    return all;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long wrong = talk(1);
    if (rank == 0) {
        printf("%d ranks are connected\n", ranks);
        fflush(stdout);
    }
    /* Asleep, for a rank that waits in MPI takes a processor from the others. */
    while (access(argv[1], F_OK) != 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    wrong += talk(2);
    if (rank == 0)
        printf(" Verification    = %24s\n", wrong == 0 ? "SUCCESSFUL" : "UNSUCCESSFUL");
    fflush(stdout);
    leave();
}
