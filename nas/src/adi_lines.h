// Line sweeps of BT and SP: systems of equations along all lines of the cube
// that are parallel to an axis, solved by elimination from slab to slab and
// substitution on the way back.

#ifndef NAS_ADI_LINES_H
#define NAS_ADI_LINES_H

#include "adi_grid.h"

// Two lines are solved side by side, since each alone is a chain of divisions
// that wait for each other. Two numbers fill a register of every x86-64; gcc and
// clang compute with them as with one.
enum { LANES = 2 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

// Lines in a cell along an axis, without the points on faces of the cube. Row i
// of their systems, 0 to rows-1, belongs to point first + i of the cube.
typedef struct adi_bundle {
    const adi_grid *grid;
    const adi_cell *cell;
    int             axis, rows, first;
    ptrdiff_t       at[LANES], stride; // of row 0, and from row to row
} adi_bundle;

// The values of a field at row i.
static inline lanes adi_load(const adi_bundle *b, const double *field, int i)
{
    lanes value;
    for (int lane = 0; lane < LANES; lane++)
        value[lane] = field[b->at[lane] + i * b->stride];
    return value;
}

static inline void adi_store(const adi_bundle *b, double *field, int i, lanes value)
{
    for (int lane = 0; lane < LANES; lane++)
        field[b->at[lane] + i * b->stride] = value[lane];
}

// A method to solve the systems. Of row i it remembers a record of that size,
// which begins with lanes x[COMPONENTS]: the right-hand side after elimination,
// the solution after substitution. records[-reach] to records[-1] and
// records[rows] to records[rows+reach-1] are there as well: those of the slabs
// before and after, or zeros at the faces of the cube.
typedef struct adi_method {
    size_t record;
    int    reach;
    // Takes rhs into the records and eliminates, from row 0 up.
    void (*eliminate)(const adi_bundle *b, void *records);
    // Finds the solutions, from the last row down, and brings them to rhs.
    void (*substitute)(const adi_bundle *b, void *records);
} adi_method;

// What sweeps need: records and messages.
typedef struct adi_lines {
    const adi_grid   *grid;
    const adi_method *method;
    char            **records;        // of each cell
    char             *out[2], *in[2]; // ABOVE while eliminating, BELOW while substituting
} adi_lines;

void adi_make_lines(adi_lines *l, const adi_grid *g, const adi_method *method);

// Solves the systems of all lines along an axis. Collective.
void adi_sweep(const adi_lines *l, int axis);

#endif
