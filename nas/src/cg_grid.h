// The grid of ranks of CG, and what they compute together.

#ifndef NAS_CG_GRID_H
#define NAS_CG_GRID_H

#include "cg_matrix.h"

// The grid has down rows of ranks; across is down, or twice that. Rank (i, j)
// holds row block i and column block j of the matrix, and part j of every
// vector, as all (.., j) do. A row block is as long as wide (1 or 2) parts of
// vectors. After a product, (i, j) takes care of one of those of row block i,
// its share, which is the part that partner needs; and the other way round.
typedef struct cg_grid {
    block  matrix; // of which parts of vectors have matrix.columns elements
    int    down, across, i, j, wide;
    int    share, share_length; // place in the row block
    int    other, other_length; // the half that sibling takes care of
    int    sibling, partner;
    double *w, *arriving; // as long as a row block
} cg_grid;

// Gives the rank its place and the extent of its block of an n by n matrix.
// ranks is a power of two.
void cg_lay_out(cg_grid *g, int n, int rank, int ranks);

// out = matrix * v. Collective, as is cg_sum.
void cg_multiply(const cg_grid *g, const double *v, double *out);

// Adds up each of the count (at most 2) elements of v over a row of the grid,
// which holds every part of a vector once.
void cg_sum(const cg_grid *g, double *v, int count);

#endif
