// Writes with MPI-IO and to standard output: in each step all ranks write a line
// with write_ordered to the file "ordered", one with write_at to its place in
// the file "placed", and print one. Rests 10 ms in each step.
//
//	write STEPS
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "leave.h"

enum { width = 16 };

static void must(int err, const char *what)
{
    if (err != MPI_SUCCESS) {
        fprintf(stderr, "%s failed\n", what);
        MPI_Abort(MPI_COMM_WORLD, 9);
    }
}

int main(int argc, char **argv)
{
    int rank, size, steps = argc > 1 ? atoi(argv[1]) : 0;
    MPI_File ordered, placed;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    must(MPI_File_open(MPI_COMM_WORLD, "ordered", MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &ordered), "open ordered");
    must(MPI_File_open(MPI_COMM_WORLD, "placed", MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &placed), "open placed");
    for (int step = 0; step < steps; step++) {
        char line[64];
        MPI_Status s;

        snprintf(line, sizeof line, "step %5d %4d\n", step, rank);
        must(MPI_File_write_ordered(ordered, line, width, MPI_CHAR, &s), "write_ordered");
        must(MPI_File_write_at(placed, ((MPI_Offset)step * size + rank) * width, line, width, MPI_CHAR, &s), "write_at");
        fputs(line, stdout);
        fflush(stdout);
        usleep(10000);
    }
    must(MPI_File_close(&ordered), "close ordered");
    must(MPI_File_close(&placed), "close placed");
    leave();
}
