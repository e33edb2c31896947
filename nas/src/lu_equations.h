// The equations of LU, point by point: the compressible Navier-Stokes
// equations, with an artificial damping. A point's state u is its density,
// momentum and energy. Its flow w is 1/density, velocity, and energy by mass.
//
// Everything is written for one direction, whose component of momentum or
// velocity comes first of the three (MOMENTUM + 0); the other two are alike. An
// array lu_order gives the numbers of a point in that order for each axis.

#ifndef NAS_LU_EQUATIONS_H
#define NAS_LU_EQUATIONS_H

#include "lu_grid.h"

enum { VOLUME = DENSITY, VELOCITY = MOMENTUM };

static const double lu_gamma = 1.4; // ratio of the specific heats
static const double lu_viscosity = 0.1;
static const double lu_conduction = 1.96; // of heat, relative to viscosity: gamma by Prandtl's number

static const int lu_order[AXES][UNKNOWNS] = {
    {DENSITY, MOMENTUM + X, MOMENTUM + Y, MOMENTUM + Z, ENERGY},
    {DENSITY, MOMENTUM + Y, MOMENTUM + Z, MOMENTUM + X, ENERGY},
    {DENSITY, MOMENTUM + Z, MOMENTUM + X, MOMENTUM + Y, ENERGY},
};

// Reads the numbers of a point, of which number m is at[offset[m]].
static inline void lu_read(double a[UNKNOWNS], const double *at, const ptrdiff_t offset[UNKNOWNS])
{
    for (int m = 0; m < UNKNOWNS; m++)
        a[m] = at[offset[m]];
}

// Half the square of the velocity.
static inline double lu_kinetic(const double w[UNKNOWNS])
{
    return 0.5 * (w[1] * w[1] + w[2] * w[2] + w[3] * w[3]);
}

// sum += weight * the flux of what streams along the direction.
static inline void lu_add_convection(double sum[UNKNOWNS], double weight, const double u[UNKNOWNS], const double w[UNKNOWNS])
{
    double pressure = (lu_gamma - 1) * (u[ENERGY] - u[DENSITY] * lu_kinetic(w));
    double stream = weight * w[1];
    sum[0] += weight * u[1];
    sum[1] += stream * u[1] + weight * pressure;
    sum[2] += stream * u[2];
    sum[3] += stream * u[3];
    sum[4] += stream * (u[4] + pressure);
}

// sum += weight * the quantity whose second difference is the effect of
// viscosity and of the conduction of heat.
static inline void lu_add_diffusion(double sum[UNKNOWNS], double weight, const double w[UNKNOWNS])
{
    sum[1] += weight * (4.0 / 3) * w[1];
    sum[2] += weight * w[2];
    sum[3] += weight * w[3];
    sum[4] += weight * ((1 - lu_conduction) * lu_kinetic(w) + w[1] * w[1] / 6 + lu_conduction * w[4]);
}

// Weights of the parts of a block.
typedef struct lu_weights {
    double convection, diffusion, damping;
} lu_weights;

// sum -= A v, where the block A is the derivative of the two above, by u, at
// flow w: convection by its weight, diffusion and damping by minus theirs.
static inline void lu_subtract_product(double sum[UNKNOWNS], lu_weights a, const double w[UNKNOWNS], const double v[UNKNOWNS])
{
    double kinetic = lu_kinetic(w);
    // Density times the change of velocity.
    double x = v[1] - w[1] * v[0], y = v[2] - w[2] * v[0], z = v[3] - w[3] * v[0];
    double pressure = (lu_gamma - 1) * (v[4] - w[1] * v[1] - w[2] * v[2] - w[3] * v[3] + kinetic * v[0]);
    double enthalpy = lu_gamma * w[4] - (lu_gamma - 1) * kinetic;
    double stream = a.convection * w[1] - a.damping, viscous = a.diffusion * w[0];
    sum[0] -= a.convection * v[1] - a.damping * v[0];
    sum[1] -= stream * v[1] + a.convection * (w[1] * x + pressure) - viscous * (4.0 / 3) * x;
    sum[2] -= stream * v[2] + a.convection * w[2] * x - viscous * y;
    sum[3] -= stream * v[3] + a.convection * w[3] * x - viscous * z;
    sum[4] -= stream * v[4] + a.convection * (w[1] * pressure + enthalpy * x) -
              viscous * ((4.0 / 3 - lu_conduction) * w[1] * x + (1 - lu_conduction) * (w[2] * y + w[3] * z) +
                         lu_conduction * (v[4] - w[4] * v[0]));
}

#endif
