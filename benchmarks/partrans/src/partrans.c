// Transport of particles by Monte Carlo over MPI: a master hands out events, one
// at a time to whoever is free, and workers return what came of them. The
// tally is the same bit for bit however many workers there are and in
// whatever order they answer.
//
// usage: partrans [EVENTS [MIB [STEPS [PRIMARIES]]]]
#define _POSIX_C_SOURCE 200809L

#include "event.h"
#include "job.h"
#include "tables.h"

#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TASK = 1, STOP };

typedef struct options {
    int events, mib, steps, primaries;
} options;

static int rank, ranks;

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "partrans, rank %d: ", rank);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    MPI_Abort(MPI_COMM_WORLD, 2);
    abort();
}

void *need(size_t bytes)
{
    void *p = malloc(bytes);
    if (p == NULL)
        fail("no memory for %zu bytes: ask for smaller tables", bytes);
    return p;
}

// As in nas: CLOCK_MONOTONIC goes on across a restart on another host.
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static options read_options(int argc, char **argv)
{
    options o = {1000, 64, 500, 400};
    int    *values[] = {&o.events, &o.mib, &o.steps, &o.primaries};
    for (int i = 1; i < argc; i++) {
        char *end = "no";
        long  v = i <= 4 ? strtol(argv[i], &end, 10) : 0;
        if (*end != '\0' || v < 1 || v > 1000000)
            fail("usage: partrans [EVENTS [MIB [STEPS [PRIMARIES]]]], numbers from 1 to 1000000");
        *values[i - 1] = (int)v;
    }
    return o;
}

// generate_task is the next event, or -1 when all are handed out.
static int64_t generate_task(const options *o, int64_t *handed_out)
{
    return *handed_out < o->events ? (*handed_out)++ : -1;
}

static void do_task(const tables *t, const options *o, int64_t event, tally *result)
{
    *result = (tally){0};
    event_run(t, (uint64_t)event, o->primaries, result);
}

static void check_task_result(const options *o, tally *total, const tally *result)
{
    tally_add(total, result);
    printf(" Event %llu of %d\n", (unsigned long long)total->events, o->events);
    fflush(stdout);
    // Tests of checkpoints act in the middle of a run, however fast the machine is.
    const char *pace = getenv("PARTRANS_PACE");
    long        ms = pace != NULL ? strtol(pace, NULL, 10) : 0;
    if (ms > 0)
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

// hand_out sends a worker an event, or that there are no more.
static int hand_out(const options *o, int64_t *handed_out, int worker)
{
    int64_t task = generate_task(o, handed_out);
    MPI_Send(&task, 1, MPI_INT64_T, worker, task >= 0 ? TASK : STOP, MPI_COMM_WORLD);
    return task >= 0;
}

static void master(const options *o, tally *total)
{
    int64_t handed_out = 0;
    int     busy = 0;
    for (int worker = 1; worker < ranks; worker++)
        busy += hand_out(o, &handed_out, worker);
    while (busy > 0) {
        tally      result;
        MPI_Status from;
        MPI_Recv(&result, TALLY_WORDS, MPI_UINT64_T, MPI_ANY_SOURCE, TASK, MPI_COMM_WORLD, &from);
        check_task_result(o, total, &result);
        busy -= !hand_out(o, &handed_out, from.MPI_SOURCE);
    }
}

static void worker(const tables *t, const options *o)
{
    for (;;) {
        int64_t    task;
        MPI_Status what;
        tally      result;
        MPI_Recv(&task, 1, MPI_INT64_T, 0, MPI_ANY_TAG, MPI_COMM_WORLD, &what);
        if (what.MPI_TAG == STOP)
            return;
        do_task(t, o, task, &result);
        MPI_Send(&result, TALLY_WORDS, MPI_UINT64_T, 0, TASK, MPI_COMM_WORLD);
    }
}

static void alone(const tables *t, const options *o, tally *total)
{
    int64_t handed_out = 0, task;
    while ((task = generate_task(o, &handed_out)) >= 0) {
        tally result;
        do_task(t, o, task, &result);
        check_task_result(o, total, &result);
    }
}

// same_tables tells whether the tables of all ranks are what rank 0 computed when
// it started.
static int same_tables(const tables *t, uint64_t hash)
{
    MPI_Bcast(&hash, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    int mine = tables_hash(t) == hash, all;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all;
}

static int report(const options *o, const tally *total, int same, double seconds)
{
    int complete = total->events == (uint64_t)o->events, balanced = tally_balanced(total);
    int right = complete && balanced && same;
    printf("\n Collisions      = %24llu\n", (unsigned long long)total->collisions);
    printf(" Events          = %24s\n", complete ? "complete" : "LOST");
    printf(" Energy          = %24s\n", balanced ? "conserved" : "NOT CONSERVED");
    printf(" Tables          = %24s\n", same ? "unchanged" : "CHANGED");
    printf(" Time in seconds = %24.2f\n", seconds);
    printf(" Tally           =         %016llx\n", (unsigned long long)tally_hash(total));
    printf(" Verification    = %24s\n", right ? "SUCCESSFUL" : "UNSUCCESSFUL");
    fflush(stdout);
    return right;
}

int main(int argc, char **argv)
{
    tables t;
    tally  total = {0};
    int    right = 1;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    options o = read_options(argc, argv);
    double  start = now();
    tables_compute(&t, o.mib, o.steps);
    uint64_t hash = tables_hash(&t);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        printf(" Particle transport: %d events of %d primaries, %d materials, %d MiB of tables on each of %d ranks\n",
               o.events, o.primaries, t.count, o.mib, ranks);
        printf(" Tables computed in %.2f seconds\n", now() - start);
        fflush(stdout);
    }
    start = now();
    if (ranks == 1)
        alone(&t, &o, &total);
    else if (rank == 0)
        master(&o, &total);
    else
        worker(&t, &o);
    int same = same_tables(&t, hash);
    if (rank == 0)
        right = report(&o, &total, same, now() - start);
    MPI_Bcast(&right, 1, MPI_INT, 0, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return right ? 0 : 1;
}
