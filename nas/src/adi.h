// What BT and SP have in common but their methods: the life of a run, from a
// table of classes to verification.

#ifndef NAS_ADI_H
#define NAS_ADI_H

#include "adi_lines.h"

typedef struct adi_class {
    int    n, iterations; // points along each axis; time steps
    double dt;
    double residual[COMPONENTS], error[COMPONENTS]; // norms at the end
} adi_class;

typedef struct adi_program {
    const char *name;
    adi_class   classes[NAS_CLASSES];
    double      operations[AXES + 1]; // of a step: coefficients of n^0 to n^3
    adi_method  method;
    // Takes rhs to the unknowns of the systems, before the sweeps; may be NULL.
    void (*transform)(const adi_grid *g);
    // Adds to u what the sweeps have left in rhs.
    void (*update)(const adi_grid *g);
} adi_program;

// What main has to return.
int adi_main(const adi_program *program, int argc, char **argv);

#endif
