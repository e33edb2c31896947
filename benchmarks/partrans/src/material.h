// What a library of the toolkit offers: one material.
#ifndef PARTRANS_MATERIAL_H
#define PARTRANS_MATERIAL_H

#include <stdint.h>

// What can happen to a particle.
typedef enum process { ABSORPTION, SCATTERING, SPLITTING, PROCESSES } process;

typedef struct material {
    int number;
    // The macroscopic cross-section in 1/cm at an energy in eV, integrated in so
    // many steps; more of them take longer and are hardly better.
    double (*cross_section)(process what, uint64_t energy, int steps);
    // The energy that a particle has after scattering, from a random number.
    uint64_t (*scattered)(uint64_t energy, double u);
} material;

// The one name that a library has, for dlsym.
#define MATERIAL_SYMBOL "partrans_material"

#endif
