// Rank 0 obeys what its standard input says, a line at a time:
//
//	say WORD   WORD to standard output and to standard error
//	exit N     all ranks end in order with status N
//	abort N    MPI_Abort(N)
//	crash      SIGSEGV
//
// At the end of the input all end with status 0. With -DPLAIN it is a program
// without MPI, for which abort is exit.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef PLAIN
#include <mpi.h>
#endif

int main(int argc, char **argv) {
	char line[256];
	int rank = 0, status = -1;
#ifndef PLAIN
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
#endif
	(void)argc;
	(void)argv;
	if (rank == 0) {
		printf("out ready\n");
		fflush(stdout);
	}
	while (rank == 0 && status < 0) {
		char word[200] = "";
		int n = 0;
		if (!fgets(line, sizeof line, stdin)) {
			printf("out end of input\n");
			status = 0;
		} else if (sscanf(line, "say %199s", word) == 1) {
			printf("out %s\n", word);
			fprintf(stderr, "err %s\n", word);
		} else if (sscanf(line, "exit %d", &n) == 1) {
			status = n;
		} else if (sscanf(line, "abort %d", &n) == 1) {
#ifdef PLAIN
			exit(n);
#else
			MPI_Abort(MPI_COMM_WORLD, n);
#endif
		} else if (strncmp(line, "crash", 5) == 0) {
			signal(SIGSEGV, SIG_DFL);
			raise(SIGSEGV);
		} else {
			status = 99;
		}
		fflush(stdout);
	}
#ifndef PLAIN
	MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
	MPI_Finalize();
#endif
	return status;
}
