/* An MPI job that idles: every rank sleeps 10 ms at a time. After each tenth of a
   second all meet, and rank 0 says so as the NAS programs tell a repetition.

   usage: NAS_REPEAT=TENTHS hello MIB, where each rank has a table of MIB MiB of
   random numbers, the same in all */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static unsigned long sum_of(const unsigned long *t, size_t n)
{
    unsigned long s = 0;
    for (size_t i = 0; i < n; i++)
        s += t[i];
    return s;
}

int main(int argc, char **argv)
{
    size_t words = (size_t)(argc > 1 ? atoi(argv[1]) : 0) * (1 << 20) / sizeof(unsigned long);
    unsigned long *table = malloc(words * sizeof *table + 1), seed = 88172645463325252UL;
    for (size_t i = 0; i < words; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        table[i] = seed;
    }
    unsigned long before = sum_of(table, words);
    int rank, ranks, sum, n = atoi(getenv("NAS_REPEAT"));
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    printf("hello from rank %d of %d\n", rank, ranks);
    fflush(stdout);
    for (int i = 1; i <= n; i++) {
        double start = now();
        while (now() - start < 0.1)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == 0) {
            printf(" Repetition %d of %d: %.2f seconds\n", i, n, now() - start);
            fflush(stdout);
        }
    }
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0)
        printf(" Verification    = %24s\n", sum == ranks * (ranks - 1) / 2 && sum_of(table, words) == before ? "SUCCESSFUL" : "UNSUCCESSFUL");
    fflush(stdout);
    MPI_Barrier(MPI_COMM_WORLD);
    MPI_Finalize();
    return 0;
}
