// The four operators of MG's V-cycle, each on one box. They read the halo of
// what they are given; only mg_interpolate leaves a right halo behind.

#ifndef NAS_MG_STENCIL_H
#define NAS_MG_STENCIL_H

#include "mg_grid.h"

// A weight for each distance in a cube of 27 points: the point itself, the
// centres of faces, of edges, and the corners.
typedef struct stencil {
    double centre, face, edge, corner;
} stencil;

// l->r = v - A u, for u of l; v may be l->r itself.
void mg_residual(const level *l, const double *v);

// u = u + s r, for u and r of l; the corner weight of s is taken to be 0.
void mg_smooth(const level *l, stencil s);

// coarse->r = the weighted means of fine->r around every second point.
void mg_restrict(const level *fine, const level *coarse);

// fine->u = fine->u + coarse->u, linear between the points of coarse.
void mg_interpolate(const level *coarse, const level *fine);

#endif
