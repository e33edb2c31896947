/* One of two programs of a job (MPMD): its ranks ask those of the other, answer.c,
   for squares, and check what they get. They name the job's part that they are by
   PART of the environment and by MPI_APPNUM. The last question waits for a file.

   usage: ask NUMBERS FILE : answer */
#include "hold.h"
#include "leave.h"
#include "part.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    long right = 0, all = 0;
    if (argc != 3)
        return 2;
    enter(&argc, &argv);
    for (long n = 1; n <= atol(argv[1]); n++) {
        long number = n * mine + rank, square;
        int whom = mine + (int)(n % (ranks - mine));
        if (n == atol(argv[1]))
            hold(argv[2]);
        MPI_Sendrecv(&number, 1, MPI_LONG, whom, 1, &square, 1, MPI_LONG, whom, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        right += square == number * number;
        if (rank == 0 && n % 20 == 0) {
            printf("asked %ld\n", n);
            fflush(stdout);
        }
        usleep(4000);
    }
    for (int whom = mine; whom < ranks; whom++)
        MPI_Send(NULL, 0, MPI_LONG, whom, 1, MPI_COMM_WORLD);
    MPI_Reduce(&right, &all, 1, MPI_LONG, MPI_SUM, 0, own);
    if (place == 0) {
        printf("%s, program %d, %d ranks: %ld right squares\n", getenv("PART"), part, mine, all);
        printf(" Verification    = %24s\n", all == mine * atol(argv[1]) ? "SUCCESSFUL" : "UNSUCCESSFUL");
    }
    fflush(stdout);
    leave();
}
