// The steady state of the flow in BT and SP, and what is made from it. It is a
// polynomial in x, in y and in z, kept steady by a forcing.

#ifndef NAS_ADI_EXACT_H
#define NAS_ADI_EXACT_H

#include "adi_grid.h"

// Makes the forcing, from zero; u and rhs are used for that.
void adi_set_forcing(const adi_grid *g);

// Sets u to the exact solution on the faces of the cube, and inside to a blend
// of its values there.
void adi_set_initial(const adi_grid *g);

// Root mean squares by component, of u less the exact solution and of rhs, over
// the points inside. Collective.
void adi_error_norms(const adi_grid *g, double norms[COMPONENTS]);
void adi_rhs_norms(const adi_grid *g, double norms[COMPONENTS]);

#endif
