/* Passes a token round all ranks. Each rank then says who and where it is, the
 * values of the variables A and B, and its arguments; rank 0 prints it all, for
 * launchers may mix what several ranks write at once. */
#include "leave.h"

#include <stdio.h>

#define LINE 1024

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
	leave();
}
