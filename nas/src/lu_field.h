// LU's field as a whole: where it starts, where it should arrive, and how far
// it has come.

#ifndef NAS_LU_FIELD_H
#define NAS_LU_FIELD_H

#include "lu_grid.h"

// Sets u to the exact solution everywhere.
void lu_set_exact(const lu_grid *g, double *u);

// Sets u to the exact solution on the faces of the cube, and to a blend of
// those inside.
void lu_set_initial(const lu_grid *g, double *u);

// These are of all ranks, and collective. Norms are the roots of the mean
// squares, of each of a point's numbers, over all points that are not on a face.
void lu_norms(const lu_grid *g, const double *a, double norms[UNKNOWNS]);
void lu_error_norms(const lu_grid *g, const double *u, double norms[UNKNOWNS]);

// The integral of the pressure over the surface of a box inside the cube.
double lu_surface_integral(const lu_grid *g, const double *u);

#endif
