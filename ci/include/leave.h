// How the test programs end an MPI job: as MPI_Finalize would, without the part
// of it that hangs. MPICH 4.0.2 over UCX and TCP often spins for ever in
// MPI_Finalize over several hosts (launcher/mpi/doc.go), so a rank says only the
// process manager's half of it and ends. Ending without saying anything will not
// do: a closed PMI connection is a death to Hydra, which then kills the others
// and may report 1.
#ifndef LEAVE_H
#define LEAVE_H

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef MPICH_VERSION
// Says a line to the process manager (PMI-1) and waits for its answer.
static void leave_pmi(const char *line)
{
    int fd = atoi(getenv("PMI_FD"));
    char c;

    if (write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        _exit(9);
    do {
        if (read(fd, &c, 1) != 1)
            _exit(8);
    } while (c != '\n');
}
#endif

// Ends the rank with status 0, flushed output provided. All ranks call it.
static void leave(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
#ifdef MPICH_VERSION
    leave_pmi("cmd=barrier_in\n");
    leave_pmi("cmd=finalize\n");
#else
    MPI_Finalize();
#endif
    _exit(0);
}

#endif
