// The grid of BT and SP: a cube cut into cells so that a sweep across it, slab
// by slab, keeps every rank busy. Both programs hold the same fields on it.

#ifndef NAS_ADI_GRID_H
#define NAS_ADI_GRID_H

#include "common.h"

#include <stddef.h>

enum { X, Y, Z, AXES };

// Of the flow: density, momentum along the axes, energy.
enum { DENSITY, MOMENTUM, ENERGY = MOMENTUM + AXES, COMPONENTS };

// Layers of points around a cell. Differences reach two points far.
enum { ADI_HALO = 2 };

// A cell is a box of points with a halo. Point (x, y, z), with 0 to n[axis]-1
// inside, is at x*stride[X] + y*stride[Y] + z*stride[Z] of each field.
typedef struct adi_cell {
    int       first[AXES];          // where in the cube point (0, 0, 0) is
    int       n[AXES];
    int       from[AXES], to[AXES]; // from <= i < to leaves out the faces of the cube
    ptrdiff_t stride[AXES];
    double   *u[COMPONENTS], *rhs[COMPONENTS], *forcing[COMPONENTS];
    // What follows from u, up to one point into the halo: 1/density, velocity,
    // kinetic energy per mass, pressure, speed of sound (in SP only).
    double *inverse, *velocity[AXES], *kinetic, *pressure, *sound;
} adi_cell;

// There are cut cells along each axis, and cut^2 ranks, each with one cell in
// every slab of cells, across whichever axis. The neighbours that a rank's cells
// have in one direction all belong to the same rank.
typedef struct adi_grid {
    int       n, cut;
    double    dt;
    double    slope, curve; // 1/2h and 1/h^2, where h is the distance of points
    adi_cell *cells;        // cut of them
    int       column, row;  // along x and y, of this rank's lowest cell
    int       neighbour[AXES][2];
    double   *out[AXES][2], *in[AXES][2];
} adi_grid;

// Which of two neighbours along an axis.
enum { BELOW, ABOVE };

// The most cells along an axis into which n points can be cut.
int adi_most_cells(int n);

// Cuts a cube of n points a side for ranks = cut^2 and allocates all fields.
void adi_cut(adi_grid *g, int n, double dt, int rank, int cut);

// This rank's cell in a slab, 0 to cut-1, across an axis.
adi_cell *adi_cell_in_slab(const adi_grid *g, int axis, int slab);

// Fills the halo of u from the cells around. Corners and edges stay as they are.
// Collective.
void adi_exchange_halos(const adi_grid *g);

// Calls visit for each row of points along x, from[X] to to[X]-1, that is not on
// a face of the cube.
void adi_each_row(const adi_grid *g, void (*visit)(const adi_grid *g, const adi_cell *c, int y, int z));

// Where point (0, y, z) is in a field.
static inline ptrdiff_t adi_row(const adi_cell *c, int y, int z)
{
    return y * c->stride[Y] + z * c->stride[Z];
}

#endif
