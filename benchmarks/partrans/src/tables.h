// Geometry and cross-sections, which every rank computes for itself when it
// starts. They are the same on all of them, and never change.
#ifndef PARTRANS_TABLES_H
#define PARTRANS_TABLES_H

#include "material.h"

#include <stdint.h>

enum { MEV = 1000000, ENERGY_MOST = 10 * MEV }; // in eV

typedef struct tables {
    const material **materials;
    int              count; // of materials
    int              side;  // of the cube, in voxels
    int              bins;  // of energy
    uint16_t        *voxels; // the number of the material in each
    double         (*sections)[PROCESSES]; // of each material in each bin: up to and including a process
    double          *most;   // the largest section of any material in each bin
} tables;

// Computes tables of so many MiB, half of them geometry, in so many steps for
// each cross-section.
void tables_compute(tables *t, int mib, int steps);

// A number that depends on every entry.
uint64_t tables_hash(const tables *t);

static inline int tables_bin(const tables *t, uint64_t energy)
{
    return (int)(energy * (uint64_t)t->bins / (ENERGY_MOST + 1));
}

static inline const double *tables_sections(const tables *t, int material, int bin)
{
    return t->sections[(int64_t)material * t->bins + bin];
}

#endif
