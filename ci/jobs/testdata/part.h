/* What the programs of a job of several (MPMD) begin with: who each rank is in the
   job, and among those of its own program. */
#ifndef PART_H
#define PART_H

#include <mpi.h>

static int rank, ranks;   /* in the job */
static int part;          /* the number of the program, MPI_APPNUM */
static int place, mine;   /* in own */
static MPI_Comm own;      /* the ranks of this program */

static void enter(int *argc, char ***argv)
{
    int *number, found;
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_APPNUM, &number, &found);
    part = found ? *number : -1;
    MPI_Comm_split(MPI_COMM_WORLD, part, rank, &own);
    MPI_Comm_rank(own, &place);
    MPI_Comm_size(own, &mine);
}

#endif
