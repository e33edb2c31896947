// How the three-dimensional arrays of FT lie on the ranks, and how they change
// hands.

#ifndef NAS_FT_GRID_H
#define NAS_FT_GRID_H

#include "common.h"

enum { X, Y, Z, AXES };

typedef struct complex {
    double re, im;
} complex;

// Every rank is in two groups: XY and YZ. A group's exchange takes one axis of
// its name apart over the group and puts the other together.
enum { XY, YZ, GROUPS };

// ranks[XY] * ranks[YZ] ranks. Transforms need whole lines, so an array is
// held in one of two orders, named like the groups. In order XY the rank has
// one part in ranks[XY] of y (or of x, as below) and one in ranks[YZ] of z; in
// order YZ one part in ranks[XY] of x, and one in ranks[YZ] of y (or of z).
//
// An array of order g consists of ranks[g] blocks of size[g][Z] planes of
// size[g][Y] lines of size[g][X] points. Before the exchange of group g the
// blocks are the parts of one axis of g, all of which the rank has, and after
// it they are those of the other: block b has changed places with this rank's
// block on the group's rank b. Nothing else has to be moved.
typedef struct ft_grid {
    int      n[AXES];
    int      ranks[GROUPS], place[GROUPS]; // of this rank in each
    int      size[GROUPS][AXES];
    size_t   points; // of an array, on this rank
    MPI_Comm groups[GROUPS];
} ft_grid;

// Lines are all of a rank's lines along one axis: element e of line l is at
// (e / part) * block + (e % part) * step + (l / run) * far + (l % run) * near.
typedef struct ft_lines {
    size_t length, count;
    size_t part, block, step;
    size_t run, far, near;
} ft_lines;

// The most ranks that an n[X] by n[Y] by n[Z] grid can be cut for, if they are
// a power of two.
int ft_most_ranks(const int n[AXES]);

// Gives the rank its place in the grid; ranks is a power of two.
void ft_cut(ft_grid *g, const int n[AXES], int rank, int ranks);

// The lines along an axis in an array of an order that has them whole.
ft_lines ft_lines_along(const ft_grid *g, int order, int axis);

// Exchanges the blocks of from, and gives them back in to; collective in the
// group.
void ft_exchange(const ft_grid *g, int group, const complex *from, complex *to);

#endif
