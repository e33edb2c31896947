#define _POSIX_C_SOURCE 200809L

#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char letters[NAS_CLASSES + 1] = "SWABCD";

enum { VERIFIED = 0, NOT_VERIFIED = 1, REFUSED = 2 };

// CLOCK_MONOTONIC and not MPI_Wtime: some MPIs read the cycle counter, which
// jumps when a process is moved to another host; this clock is kept going by
// a time namespace.
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Every rank says no to the same thing, so that all of them reach
// MPI_Finalize and no MPI_Abort is needed; rank 0 says why.
static int refuse(const nas_job *job, const nas_benchmark *b, const char *why, const char *detail)
{
    if (job->rank == 0)
        fprintf(stderr, "%s: %s%s\n", b->name, why, detail);
    return REFUSED;
}

static bool read_class(nas_job *job, int argc, char **argv)
{
    if (argc != 2 || strlen(argv[1]) != 1)
        return false;
    const char *at = strchr(letters, toupper((unsigned char)argv[1][0]));
    if (at == NULL)
        return false;
    job->letter = *at;
    job->class = (int)(at - letters);
    return true;
}

// The number of repetitions, 0 where the variable makes no sense. Rank 0 reads
// it for all: Open MPI does not hand the environment to other hosts.
static int read_repeat(const nas_job *job, bool *asked)
{
    int answer[2] = {1, 0};
    const char *text = getenv("NAS_REPEAT");
    if (job->rank == 0 && text != NULL && *text != '\0') {
        char *end;
        errno = 0;
        long n = strtol(text, &end, 10);
        answer[0] = *end == '\0' && errno == 0 && n >= 1 && n <= 1000000 ? (int)n : 0;
        answer[1] = 1;
    }
    MPI_Bcast(answer, 2, MPI_INT, 0, MPI_COMM_WORLD);
    *asked = answer[1] != 0;
    return answer[0];
}

static void print_banner(const nas_job *job, const nas_benchmark *b, const nas_size *size)
{
    if (job->rank != 0)
        return;
    printf("\n\n NAS Parallel Benchmarks (C11, MPI) -- %s Benchmark\n\n", b->name);
    printf(" Size: %s  (class %c)\n", size->text, job->letter);
    printf(" Iterations: %d\n", size->iterations);
    printf(" Total number of processes: %d\n\n", job->ranks);
    fflush(stdout);
}

static void print_results(const nas_job *job, const nas_benchmark *b, const nas_size *size, int repeat, double seconds, bool verified)
{
    double mops = seconds > 0 ? 1e-6 * size->operations * repeat / seconds : 0;
    printf("\n\n %s Benchmark Completed.\n", b->name);
    printf(" Class           = %24c\n", job->letter);
    printf(" Size            = %24s\n", size->text);
    printf(" Iterations      = %24d\n", size->iterations);
    if (repeat > 1)
        printf(" Repetitions     = %24d\n", repeat);
    printf(" Time in seconds = %24.2f\n", seconds);
    printf(" Total processes = %24d\n", job->ranks);
    printf(" Active processes= %24d\n", job->ranks);
    printf(" Mop/s total     = %24.2f\n", mops);
    printf(" Mop/s/process   = %24.2f\n", mops / job->ranks);
    printf(" Operation type  = %24s\n", b->operation);
    printf(" Verification    = %24s\n", verified ? "SUCCESSFUL" : "UNSUCCESSFUL");
    fflush(stdout);
}

// Runs the timed section repeat times and returns the sum of the times of
// the slowest rank.
static double repeat_run(const nas_job *job, const nas_benchmark *b, int repeat, bool announce)
{
    double total = 0;
    for (int i = 1; i <= repeat; i++) {
        b->reset(job);
        MPI_Barrier(MPI_COMM_WORLD);
        double start = now();
        b->run(job);
        double mine = now() - start, slowest;
        MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        total += slowest;
        if (announce && job->rank == 0) {
            printf(" Repetition %d of %d: %.2f seconds\n", i, repeat, slowest);
            fflush(stdout);
        }
    }
    return total;
}

static int run_job(nas_job *job, const nas_benchmark *b, int argc, char **argv)
{
    if (!read_class(job, argc, argv))
        return refuse(job, b, "give the class as the one argument: ", "S, W, A, B, C or D");
    const char *why = b->refuse != NULL ? b->refuse(job) : NULL;
    if (why != NULL)
        return refuse(job, b, why, "");
    bool announce;
    int repeat = read_repeat(job, &announce);
    if (repeat == 0)
        return refuse(job, b, "NAS_REPEAT must be a number from 1 to 1000000", "");

    nas_size size;
    b->describe(job, &size);
    print_banner(job, b, &size);
    b->prepare(job);
    double seconds = repeat_run(job, b, repeat, announce);
    int verified = b->verify(job);
    if (job->rank == 0)
        print_results(job, b, &size, repeat, seconds, verified);
    MPI_Bcast(&verified, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return verified ? VERIFIED : NOT_VERIFIED;
}

int nas_main(const nas_benchmark *b, int argc, char **argv)
{
    nas_job job = {0};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.ranks);
    int status = run_job(&job, b, argc, argv);
    // MPICH 4.0 over UCX can hang in MPI_Finalize on several hosts where ranks
    // reach it at different times, for instance because one of them prints.
    fflush(stdout);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return status;
}

void nas_iteration(const nas_job *job, int k)
{
    if (job->rank != 0)
        return;
    printf(" Iteration %d\n", k);
    fflush(stdout);
    /* Tests of checkpoints act in the middle of a run, however fast the machine is. */
    const char *pace = getenv("NAS_PACE");
    long ms = pace != NULL ? strtol(pace, NULL, 10) : 0;
    if (ms > 0)
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void *nas_alloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (p == NULL) {
        fprintf(stderr, "no memory for %zu times %zu bytes: use a smaller class or more hosts\n", count, size);
        MPI_Abort(MPI_COMM_WORLD, 3);
        abort();
    }
    return p;
}

bool nas_matches(const nas_job *job, const char *what, double value, double reference, double tolerance)
{
    reference += NAS_BREAK;
    double error = fabs((value - reference) / reference);
    bool ok = error <= tolerance;
    if (job->rank == 0)
        printf(" %-6s is %22.13e, reference %22.13e, relative error %.2e: %s\n", what, value, reference, error,
               ok ? "right" : "WRONG");
    return ok;
}

bool nas_power_of_two(int n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

int nas_log2(int n)
{
    int log = 0;
    while (n >>= 1)
        log++;
    return log;
}

uint64_t nas_skip(uint64_t x, uint64_t n)
{
    // factor is 5^13 to the power of 1, 2, 4, ...
    for (uint64_t factor = nas_step(1); n != 0; n >>= 1, factor *= factor)
        if (n & 1)
            x *= factor;
    return x & ((UINT64_C(1) << 46) - 1);
}
