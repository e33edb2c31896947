// The grid of LU: a cube of n points a side, cut along x and y into one column
// for each rank, each with a halo two points thick.

#ifndef NAS_LU_GRID_H
#define NAS_LU_GRID_H

#include "common.h"

enum { X, Y, Z, AXES };

// What each point has: density, momentum along each axis, energy; or as many
// numbers derived from these.
enum { DENSITY, MOMENTUM, ENERGY = MOMENTUM + AXES, UNKNOWNS };

enum { LU_HALO = 2 };

// Longest line of points: class D undivided, with the halo.
enum { LU_LONGEST_LINE = 408 + 2 * LU_HALO };

// Which of two neighbours along an axis; which way a sweep goes.
enum { BELOW, ABOVE };

// Arrays hold, for each line of points along x, a line of the first number of
// each, then of the second, and so on. Number m of point (x, y, z) of the rank
// is at lu_at(g, x, y, z) + m * line. The halo is there along z too, where it
// is never filled, and on the faces of the cube: it is 0 then.
typedef struct lu_grid {
    int       n;
    int       ranks[2], place[2];      // along x and y
    int       neighbour[2][2];         // MPI_PROC_NULL beyond the faces of the cube
    int       size[AXES];              // points of this rank
    int       first[AXES];             // place of point 0 in the cube
    int       begin[AXES], end[AXES];  // of the points that are not on a face
    ptrdiff_t line, row, plane, length;
    double   *out, *in; // messages
} lu_grid;

static inline ptrdiff_t lu_at(const lu_grid *g, int x, int y, int z)
{
    return x + LU_HALO + g->row * (y + LU_HALO) + g->plane * (z + LU_HALO);
}

// The most ranks along an axis in a cube of n points a side.
int lu_most_across(int n);

// Gives the rank its part of the cube. Returns false if there is no product
// n1 * n2 of ranks with n1/2 <= n2 <= n1, or if parts would be too small.
bool lu_cut(lu_grid *g, int n, int rank, int ranks);

// Allocates the messages; lu_cut has been called.
void lu_make(lu_grid *g);

// Fills the halo of a along x and y from the neighbours.
void lu_halo(const lu_grid *g, double *a);

// Fills the innermost layer of the halo of plane z along x and y, on one side,
// from the neighbours there, who have called lu_pass_on for the other side.
void lu_take_over(const lu_grid *g, double *a, int z, int side);
void lu_pass_on(const lu_grid *g, const double *a, int z, int side);

// Adds up the count elements of v over all ranks, count at most UNKNOWNS.
void lu_sum(double *v, int count);

#endif
