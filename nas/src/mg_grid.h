// The grids of MG: a cube of 2^k points a side for each level k, cut into equal
// boxes for the ranks, each with a halo one point thick.

#ifndef NAS_MG_GRID_H
#define NAS_MG_GRID_H

#include "common.h"

enum { X, Y, Z, AXES };

// Longest line of a grid, halo included: class D undivided along x.
enum { LONGEST_LINE = 1024 + 2 };

// A level is a rank's box of one grid. Point (x, y, z), with 1 to n[axis] inside
// the box and 0 and n[axis]+1 in the halo, is at x + line*y + plane*z.
typedef struct level {
    int     n[AXES];
    size_t  line, plane, points;
    bool    whole; // every rank holds all of the grid, and no halo is sent
    double *u, *r; // solution and residual
} level;

// Levels 1 up to top. Down to level gathered + 1 every rank has at least two
// points along each axis. Below that, every rank holds whole grids and computes
// the same: they are so small that sharing the work would only cost messages.
// Level gathered exists twice: whole, and as a box of at least one point, which
// is how it borders on the level above. gathered is 0 on one rank: there
// all grids are whole anyway.
typedef struct hierarchy {
    int    top, gathered;
    int    ranks[AXES]; // how many along each axis
    int    place[AXES]; // of this rank among them
    int    neighbour[AXES][2];
    level  levels[16];
    level  box; // of level gathered
    double *out[2], *in[2], *all; // messages
} hierarchy;

// Sets the extent of the ranks along the axes, z first to be cut, and gathered.
void mg_cut(hierarchy *h, int rank, int ranks);

// Makes the levels; mg_cut has been called and top is set and above gathered.
void mg_make(hierarchy *h);

// Fills the halo of a (u or r of level l) from the boxes around, periodically.
void mg_halo(const hierarchy *h, const level *l, double *a);

// From box.r to r of level gathered, on every rank.
void mg_gather(hierarchy *h);

// From u of level gathered to box.u; no rank needs another for that.
void mg_scatter(hierarchy *h);

#endif
