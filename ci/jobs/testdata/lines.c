/* Rank 0 reads numbers from its standard input, one in a line, and tells the
   others; all add them up. After 100 lines it waits for a file. With -DPLAIN a
   program without MPI, which also says when nobody can write more to its input.

   usage: lines FILE */
#include "hold.h"
#ifdef PLAIN
#include <stdlib.h>
#else
#include "leave.h"
#endif

#include <poll.h>
#include <stdio.h>

static int rank, ranks = 1;

static void tell(long *number)
{
#ifdef PLAIN
    static int closed;
    struct pollfd in = {.fd = 0, .events = POLLIN};
    (void)number;
    if (!closed && poll(&in, 1, 0) == 1 && in.revents & POLLHUP)
        closed = puts("closed") > 0;
#else
    MPI_Bcast(number, 1, MPI_LONG, 0, MPI_COMM_WORLD);
#endif
}

static long add(long sum)
{
#ifndef PLAIN
    long mine = sum;
    MPI_Reduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
#endif
    return sum;
}

int main(int argc, char **argv)
{
    static char line[10000];
    long count = 0, sum = 0, number = 0;
    setbuf(stdout, NULL);
    if (argc != 2)
        return 2;
#ifndef PLAIN
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#endif
    for (;;) {
        if (rank == 0)
            number = fgets(line, sizeof line, stdin) ? atol(line) : -1;
        tell(&number);
        if (number < 0)
            break;
        sum += number;
        if (++count % 20 == 0 && rank == 0)
            printf("line %ld\n", count);
        if (count == 100 && rank == 0)
            hold(argv[1]);
        usleep(5000);
    }
    long all = add(sum);
    if (rank == 0) {
        printf("%ld lines, of sum %ld\n", count, sum);
        printf(" Verification    = %24s\n", all == ranks * sum ? "SUCCESSFUL" : "UNSUCCESSFUL");
    }
#ifndef PLAIN
    leave();
#endif
    return 0;
}
