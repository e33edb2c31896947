/* Passes a token round all ranks. Each rank then says who and where it is, the
 * values of the variables A and B, and its arguments; rank 0 prints it all, for
 * launchers may mix what several ranks write at once. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 1024

#ifdef MPICH_VERSION
/* Says a line to the process manager (PMI-1) and waits for its answer. */
static void pmi(const char *line)
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

int main(int argc, char **argv)
{
	int rank, size, token = 0, used;
	char host[128], cwd[256], line[LINE] = "", *all = NULL;
	const char *a = getenv("A"), *b = getenv("B");

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (rank > 0)
		MPI_Recv(&token, 1, MPI_INT, rank - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	token += rank + 1;
	if (rank + 1 < size)
		MPI_Send(&token, 1, MPI_INT, rank + 1, 0, MPI_COMM_WORLD);
	MPI_Bcast(&token, 1, MPI_INT, size - 1, MPI_COMM_WORLD);
	gethostname(host, sizeof host);
	used = snprintf(line, LINE, "rank %d/%d on %s token %d in %s A=<%s> B=<%s>", rank, size, host, token,
			getcwd(cwd, sizeof cwd), a ? a : "unset", b ? b : "unset");
	for (int i = 1; i < argc && used < LINE; i++)
		used += snprintf(line + used, LINE - used, " <%s>", argv[i]);
	if (rank == 0)
		all = malloc((size_t)size * LINE);
	MPI_Gather(line, LINE, MPI_CHAR, all, LINE, MPI_CHAR, 0, MPI_COMM_WORLD);
	if (rank == 0) {
		for (int i = 0; i < size; i++)
			puts(all + i * LINE);
		fflush(stdout);
	}
	MPI_Barrier(MPI_COMM_WORLD);
#ifdef MPICH_VERSION
	/* MPICH 4.0.2 over UCX and TCP hangs in MPI_Finalize now and then (see
	 * the package comment). This is the process manager's half of it: all
	 * ranks have come this far, and this one ends on purpose. */
	pmi("cmd=barrier_in\n");
	pmi("cmd=finalize\n");
	_exit(0);
#endif
	MPI_Finalize();
	return 0;
}
