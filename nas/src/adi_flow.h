// The equations of BT and SP: those of Navier and Stokes for a gas in a cube.

#ifndef NAS_ADI_FLOW_H
#define NAS_ADI_FLOW_H

#include "adi_grid.h"

// The gas: ratio of specific heats, viscosity, conduction of heat as against
// viscosity.
static const double adi_gamma = 1.4, adi_viscosity = 0.1, adi_conduction = 1.96;

// What keeps the scheme stable: artificial diffusion along each axis, and
// dissipation by fourth differences.
static const double adi_diffusion[AXES] = {0.75, 0.75, 1}, adi_dissipation = 0.25;

// The weights of the points i-2 to i+2 in the fourth difference at point i of n
// along an axis, 0 < i < n-1. Near the faces of the cube they are one-sided, and
// 0 for what lies beyond.
const double *adi_weights(int i, int n);

// Computes from u, whose halo is filled, the fields that follow from it (but
// sound), and rhs: the change of u in a time step, were it explicit.
void adi_set_rhs(const adi_grid *g);

#endif
