// The numerical scheme of LU: differences in space, and relaxation (symmetric
// successive over-relaxation) of the linear system that a step of time is.

#ifndef NAS_LU_SCHEME_H
#define NAS_LU_SCHEME_H

#include "lu_grid.h"

// Places along an axis where the damping's fourth difference has different
// weights: the first two points next to a face, the points between, and the
// last two. REACH points on either side take part.
enum { FIRST, SECOND, MIDDLE, LAST_BUT_ONE, LAST, PLACES };
enum { REACH = 2, LU_WIDTH = 2 * REACH + 1 };

typedef struct lu_scheme {
    double dt;
    double first, second; // weights of a central first and a second difference
    double damping[AXES][PLACES][LU_WIDTH];
} lu_scheme;

// The factor of over-relaxation.
static const double lu_omega = 1.2;

// The weight of the damping's second difference.
static const double lu_spread[AXES] = {0.75, 0.75, 1};

void lu_make_scheme(lu_scheme *s, int n, double dt);

// residual = the right-hand side for state u, less forcing, at all points that
// are not on a face. Fills the halo of u, and flow, that the sweeps need.
void lu_find_residual(const lu_grid *g, const lu_scheme *s, double *u, double *flow, const double *forcing, double *residual);

// Turns v from the residual into the correction of u, by a sweep up and one
// down. A rank works on a plane as soon as its neighbours on one side have done
// theirs, so that several planes are on their way through the ranks at a time.
void lu_relax(const lu_grid *g, const lu_scheme *s, const double *flow, double *v);

#endif
