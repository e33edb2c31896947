// Ranks 2k and 2k+1 talk to each other and to nobody else until a file appears.
// Then every pair that has never talked does, one pair after the other. After
// that all go round in a ring until a second file appears.
//
// usage: pairs MEET STOP
#include "leave.h"

#include <stdio.h>

enum { WORDS = 3000 }; // more than any transport sends eagerly in its first packet

static int rank, size;

// exchange sends to and receives from a rank, and checks what came.
static void exchange(int peer, int tag) {
	static int out[WORDS], in[WORDS];
	for (int i = 0; i < WORDS; i++)
		out[i] = rank * 1000003 + tag + i;
	MPI_Sendrecv(out, WORDS, MPI_INT, peer, tag, in, WORDS, MPI_INT, peer, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	for (int i = 0; i < WORDS; i++)
		if (in[i] != peer * 1000003 + tag + i) {
			printf("rank %d got a wrong word %d from %d\n", rank, i, peer);
			fflush(stdout);
			MPI_Abort(MPI_COMM_WORLD, 9);
		}
}

// meet is the first message between a pair: from the one, from the other, or
// from both at the same time.
static void meet(int a, int b) {
	int word = 4711, peer = rank == a ? b : a;
	if (rank != a && rank != b)
		return;
	switch ((a + b) % 3) {
	case 0:
		exchange(peer, 7);
		break;
	case 1:
	case 2:
		if ((rank == a) == ((a + b) % 3 == 1)) {
			MPI_Send(&word, 1, MPI_INT, peer, 7, MPI_COMM_WORLD);
		} else {
			word = 0;
			MPI_Recv(&word, 1, MPI_INT, peer, 7, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		}
		exchange(peer, 8);
	}
	printf("pair %d-%d: rank %d has met %d: %d\n", a, b, rank, peer, word);
	fflush(stdout);
}

int main(int argc, char **argv) {
	int done = 0, seen, round = 0;
	if (argc != 3)
		return 2;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	printf("rank %d waits\n", rank);
	fflush(stdout);
	while (!done) {
		int mine = access(argv[1], F_OK) == 0, its;
		MPI_Sendrecv(&mine, 1, MPI_INT, rank ^ 1, 1, &its, 1, MPI_INT, rank ^ 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		done = mine || its;
		usleep(10000);
	}
	for (int a = 0; a < size; a++)
		for (int b = a + 1; b < size; b++)
			if (b != (a ^ 1))
				meet(a, b);
	do {
		int word = rank, from = (rank + size - 1) % size;
		MPI_Sendrecv_replace(&word, 1, MPI_INT, (rank + 1) % size, 2, from, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		if (word != from)
			MPI_Abort(MPI_COMM_WORLD, 9);
		seen = access(argv[2], F_OK) == 0;
		MPI_Bcast(&seen, 1, MPI_INT, 0, MPI_COMM_WORLD);
		if (rank == 0 && ++round % 20 == 0) {
			printf("round %d\n", round);
			fflush(stdout);
		}
		usleep(5000);
	} while (!seen);
	MPI_Barrier(MPI_COMM_WORLD);
	if (rank == 0)
		printf(" Verification    =               SUCCESSFUL\n"); // as the NAS kernels say it
	fflush(stdout);
	leave();
}
