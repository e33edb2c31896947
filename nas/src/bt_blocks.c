#include "bt_blocks.h"

#include "adi_flow.h"

// A component of the unknowns in the order of a line: density, momentum along
// the line, across it, energy. So the matrices look alike along all axes.
static double *rhs_of(const adi_bundle *b, int m)
{
    const adi_cell *c = b->cell;
    return m == DENSITY || m == ENERGY ? c->rhs[m] : c->rhs[MOMENTUM + (b->axis + m - MOMENTUM) % AXES];
}

// The blocks in which the flow at point i appears: in the row after it to the
// left of the diagonal, in its own row, and in the row before it to the right.
// They are the derivatives of convection and of diffusion, which enter with
// opposite signs on the two sides.
static void linearise(const adi_bundle *b, int i, bt_block lower, bt_block diagonal, bt_block upper)
{
    const adi_cell *c = b->cell;
    const lanes     inverse = adi_load(b, c->inverse, i), kinetic = adi_load(b, c->kinetic, i);
    const lanes     u = adi_load(b, c->velocity[b->axis], i);
    const lanes     v = adi_load(b, c->velocity[(b->axis + 1) % AXES], i);
    const lanes     w = adi_load(b, c->velocity[(b->axis + 2) % AXES], i);
    const lanes     e = adi_load(b, c->u[ENERGY], i) * inverse;

    const double slope = b->grid->dt * b->grid->slope, curve = b->grid->dt * b->grid->curve;
    const double g = adi_gamma, p = g - 1;
    const lanes  none = {0}, one = none + 1;
    const lanes  convection[COMPONENTS][COMPONENTS] = {
        {none, one, none, none, none},
        {p * kinetic - u * u, (2 - p) * u, -p * v, -p * w, p * one},
        {-u * v, v, u, none, none},
        {-u * w, w, none, u, none},
        {(2 * p * kinetic - g * e) * u, g * e - p * (u * u + kinetic), -p * u * v, -p * u * w, g * u},
    };
    const lanes  shear = adi_viscosity * inverse, stretch = shear * (4.0 / 3), heat = shear * adi_conduction;
    const lanes  diffusion[COMPONENTS][COMPONENTS] = {
        {none, none, none, none, none},
        {-stretch * u, stretch, none, none, none},
        {-shear * v, none, shear, none, none},
        {-shear * w, none, none, shear, none},
        {(heat - stretch) * u * u + (heat - shear) * (v * v + w * w) - heat * e, (stretch - heat) * u, (shear - heat) * v, (shear - heat) * w, heat},
    };
    for (int m = 0; m < COMPONENTS; m++)
        for (int n = 0; n < COMPONENTS; n++) {
            lanes spread = curve * (diffusion[m][n] + (m == n ? adi_diffusion[b->axis] : 0));
            lanes carry = slope * convection[m][n];
            lower[m][n] = -carry - spread;
            diagonal[m][n] = 2 * spread + (m == n ? 1 : 0);
            upper[m][n] = carry - spread;
        }
}

// Subtracts lower times the row before.
static void subtract(const bt_block lower, const bt_record *before, bt_block diagonal, lanes x[COMPONENTS])
{
    for (int m = 0; m < COMPONENTS; m++) {
        const lanes *a = lower[m];
        for (int n = 0; n < COMPONENTS; n++)
            diagonal[m][n] -= a[0] * before->upper[0][n] + a[1] * before->upper[1][n] + a[2] * before->upper[2][n] +
                              a[3] * before->upper[3][n] + a[4] * before->upper[4][n];
        x[m] -= a[0] * before->x[0] + a[1] * before->x[1] + a[2] * before->x[2] + a[3] * before->x[3] + a[4] * before->x[4];
    }
}

// Multiplies upper and x by the inverse of diagonal, by Gauss-Jordan elimination
// without pivoting: time steps are short enough for the diagonal to rule.
static void divide(bt_block diagonal, bt_block upper, lanes x[COMPONENTS])
{
    for (int k = 0; k < COMPONENTS; k++) {
        lanes pivot = 1 / diagonal[k][k];
        for (int n = k + 1; n < COMPONENTS; n++)
            diagonal[k][n] *= pivot;
        for (int n = 0; n < COMPONENTS; n++)
            upper[k][n] *= pivot;
        x[k] *= pivot;
        for (int m = 0; m < COMPONENTS; m++) {
            if (m == k)
                continue;
            lanes factor = diagonal[m][k];
            for (int n = k + 1; n < COMPONENTS; n++)
                diagonal[m][n] -= factor * diagonal[k][n];
            for (int n = 0; n < COMPONENTS; n++)
                upper[m][n] -= factor * upper[k][n];
            x[m] -= factor * x[k];
        }
    }
}

void bt_eliminate(const adi_bundle *b, void *records)
{
    bt_record *record = records;
    bt_block   lower[3], diagonal[3], unused; // of point i at i mod 3
    linearise(b, -1, lower[2], diagonal[2], unused);
    linearise(b, 0, lower[0], diagonal[0], unused);
    for (int i = 0; i < b->rows; i++) {
        bt_record *r = &record[i];
        linearise(b, i + 1, lower[(i + 1) % 3], diagonal[(i + 1) % 3], r->upper);
        for (int m = 0; m < COMPONENTS; m++)
            r->x[m] = adi_load(b, rhs_of(b, m), i);
        subtract(lower[(i + 2) % 3], r - 1, diagonal[i % 3], r->x);
        divide(diagonal[i % 3], r->upper, r->x);
    }
}

void bt_substitute(const adi_bundle *b, void *records)
{
    bt_record *record = records;
    for (int i = b->rows - 1; i >= 0; i--) {
        bt_record *r = &record[i], *next = r + 1;
        for (int m = 0; m < COMPONENTS; m++) {
            for (int n = 0; n < COMPONENTS; n++)
                r->x[m] -= r->upper[m][n] * next->x[n];
            adi_store(b, rhs_of(b, m), i, r->x[m]);
        }
    }
}
