/* The other one of two programs of a job; see ask.c. */
#include "leave.h"
#include "part.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    int ended = 0;
    long number, count[2] = {0, 0}, all[2] = {0, 0};
    enter(&argc, &argv);
    while (ended < ranks - mine) {
        MPI_Status from;
        int n;
        MPI_Recv(&number, 1, MPI_LONG, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &from);
        MPI_Get_count(&from, MPI_LONG, &n);
        if (n == 0) {
            ended++;
            continue;
        }
        count[0]++;
        count[1] += number;
        number *= number;
        MPI_Send(&number, 1, MPI_LONG, from.MPI_SOURCE, 2, MPI_COMM_WORLD);
    }
    MPI_Reduce(count, all, 2, MPI_LONG, MPI_SUM, 0, own);
    if (place == 0)
        printf("%s, program %d, %d ranks: %ld numbers, of sum %ld\n", getenv("PART"), part, mine, all[0], all[1]);
    fflush(stdout);
    leave();
}
