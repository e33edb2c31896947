/* Threads of OpenMP that all send and receive at the same time
   (MPI_THREAD_MULTIPLE). In each round each thread sends a message to a rank and
   takes one that came to its own, whoever sent it and whichever thread gets it;
   now and then the threads of one number add up something over all ranks, each
   number in a communicator of its own.

   Every message says who sent it in which round, and carries words that follow
   from that. At the end all that was sent is compared with all that was taken: by
   the number, the sum and the exclusive or of a hash of each. What is lost, or
   comes twice, or comes in the place of another, tells. The last round waits for a
   file.

   usage: threads THREADS ROUNDS FILE */
#include "hold.h"
#include "leave.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { LONG = 20000, TAG = 7, TOGETHER = 16, PRINT = 20 };

struct tally {
    uint64_t count, sum, xor;
};

static int rank, ranks, threads, rounds;

/* splitmix64 */
static uint64_t hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void note(struct tally *t, uint64_t name)
{
    t->count++;
    t->sum += hash(name);
    t->xor ^= hash(name);
}

static void wrong(const char *what, long got, long want)
{
    printf("rank %d, thread %d: %s is %ld, want %ld\n", rank, omp_get_thread_num(), what, got, want);
    fflush(stdout);
    MPI_Abort(MPI_COMM_WORLD, 9);
}

/* Most messages go at once, some are so long that sender and receiver first have to agree. */
static int length(uint64_t name) { return hash(name) % 8 == 0 ? LONG : 1 + (int)(hash(name) % 50); }

static void send_one(int round, uint64_t *words, MPI_Request *request, struct tally *sent)
{
    int thread = omp_get_thread_num();
    uint64_t name = ((uint64_t)round * ranks + rank) * threads + thread;
    /* Whatever the round, the threads of one number reach each rank once. */
    int to = (rank + 1 + (round + thread) % (ranks - 1)) % ranks;
    words[0] = name;
    for (int i = 1; i < length(name); i++)
        words[i] = hash(name + i);
    MPI_Isend(words, length(name), MPI_UINT64_T, to, TAG, MPI_COMM_WORLD, request);
    note(sent, name);
}

static void take_one(uint64_t *words, struct tally *taken)
{
    MPI_Status status;
    int n;
    MPI_Recv(words, LONG, MPI_UINT64_T, MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &status);
    MPI_Get_count(&status, MPI_UINT64_T, &n);
    uint64_t name = words[0];
    if (status.MPI_SOURCE != (int)(name / threads % ranks))
        wrong("the sender", status.MPI_SOURCE, name / threads % ranks);
    if (n != length(name))
        wrong("the length", n, length(name));
    for (int i = 1; i < n; i++)
        if (words[i] != hash(name + i))
            wrong("a word", words[i], hash(name + i));
    note(taken, name);
}

static void work(const char *file, MPI_Comm own, struct tally *sent, struct tally *taken)
{
    uint64_t *out = malloc(LONG * sizeof *out), *in = malloc(LONG * sizeof *in);
    for (int round = 1; round <= rounds; round++) {
        MPI_Request request;
        if (round == rounds)
            hold(file);
        send_one(round, out, &request, sent);
        take_one(in, taken);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        if (round % TOGETHER == 0) {
            long mine = (long)round * (rank + 1), all;
            MPI_Allreduce(&mine, &all, 1, MPI_LONG, MPI_SUM, own);
            if (all != (long)round * ranks * (ranks + 1) / 2)
                wrong("what all add up to", all, (long)round * ranks * (ranks + 1) / 2);
        }
        if (rank == 0 && omp_get_thread_num() == 0 && round % PRINT == 0) {
            printf("round %d\n", round);
            fflush(stdout);
        }
        nanosleep(&(struct timespec){.tv_nsec = 4000000}, NULL);
    }
    free(out);
    free(in);
}

/* Adds up what threads and ranks have counted. */
static struct tally all_of(const struct tally *list)
{
    struct tally mine = {0, 0, 0}, all;
    for (int t = 0; t < threads; t++) {
        mine.count += list[t].count;
        mine.sum += list[t].sum;
        mine.xor ^= list[t].xor;
    }
    MPI_Allreduce(&mine.count, &all.count, 2, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(&mine.xor, &all.xor, 1, MPI_UINT64_T, MPI_BXOR, MPI_COMM_WORLD);
    return all;
}

int main(int argc, char **argv)
{
    int level;
    if (argc != 4)
        return 2;
    threads = atoi(argv[1]);
    rounds = atoi(argv[2]);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (level != MPI_THREAD_MULTIPLE)
        wrong("the level of threads", level, MPI_THREAD_MULTIPLE);
    MPI_Comm own[threads];
    struct tally sent[threads], taken[threads];
    memset(sent, 0, sizeof sent);
    memset(taken, 0, sizeof taken);
    for (int t = 0; t < threads; t++)
        MPI_Comm_dup(MPI_COMM_WORLD, &own[t]);
#pragma omp parallel num_threads(threads)
    {
        int t = omp_get_thread_num();
        if (omp_get_num_threads() != threads)
            wrong("the number of threads", omp_get_num_threads(), threads);
        work(argv[3], own[t], &sent[t], &taken[t]);
    }
    struct tally out = all_of(sent), in = all_of(taken);
    if (rank == 0) {
        int right = memcmp(&out, &in, sizeof in) == 0 && in.count == (uint64_t)ranks * threads * rounds;
        printf("%d threads of %d ranks sent %lu messages (%016lx %016lx) and took %lu (%016lx %016lx)\n", threads, ranks,
               (unsigned long)out.count, (unsigned long)out.sum, (unsigned long)out.xor,
               (unsigned long)in.count, (unsigned long)in.sum, (unsigned long)in.xor);
        printf(" Verification    = %24s\n", right ? "SUCCESSFUL" : "UNSUCCESSFUL");
    }
    fflush(stdout);
    leave();
}
