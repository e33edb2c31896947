#ifndef NAS_MG_CHARGES_H
#define NAS_MG_CHARGES_H

#include "mg_grid.h"

// Sets v, a zeroed array of the finest level, to +1 at the ten points where a
// field of random numbers over the whole grid is largest, and to -1 at the ten
// where it is smallest; halo included. Collective.
void mg_place_charges(const hierarchy *h, double *v);

#endif
