// All of these go along rows of x, whatever the axis of a difference: so memory
// is read in order. No two fields overlap, which the compiler cannot know.

#include "adi_flow.h"

#include <string.h>

const double *adi_weights(int i, int n)
{
    static const double first[] = {0, 0, 5, -4, 1}, second[] = {0, -4, 6, -4, 1}, inner[] = {1, -4, 6, -4, 1},
                        last_but_one[] = {1, -4, 6, -4, 0}, last[] = {1, -4, 5, 0, 0};
    if (i == 1)
        return first;
    if (i == 2)
        return second;
    if (i == n - 3)
        return last_but_one;
    if (i == n - 2)
        return last;
    return inner;
}

// Differences along lines reach into the halo, where a cell has no more than u.
static void derive(const adi_cell *c)
{
    for (int z = -1; z <= c->n[Z]; z++)
        for (int y = -1; y <= c->n[Y]; y++) {
            ptrdiff_t     row = adi_row(c, y, z);
            const double *density = c->u[DENSITY] + row, *energy = c->u[ENERGY] + row;
            const double *mx = c->u[MOMENTUM + X] + row, *my = c->u[MOMENTUM + Y] + row, *mz = c->u[MOMENTUM + Z] + row;
            double       *vx = c->velocity[X] + row, *vy = c->velocity[Y] + row, *vz = c->velocity[Z] + row;
            double       *inverse = c->inverse + row, *kinetic = c->kinetic + row, *pressure = c->pressure + row;
#pragma GCC ivdep
            for (int x = -1; x <= c->n[X]; x++) {
                inverse[x] = 1 / density[x];
                vx[x] = mx[x] * inverse[x];
                vy[x] = my[x] * inverse[x];
                vz[x] = mz[x] * inverse[x];
                kinetic[x] = 0.5 * (vx[x] * vx[x] + vy[x] * vy[x] + vz[x] * vz[x]);
                pressure[x] = (adi_gamma - 1) * (energy[x] - density[x] * kinetic[x]);
            }
        }
}

// The second difference at f, of f itself and of a product with another field.
static inline double bend(const double *f, ptrdiff_t s)
{
    return f[s] - 2 * f[0] + f[-s];
}

static inline double bend_of_product(const double *f, const double *g, ptrdiff_t s)
{
    return f[s] * g[s] - 2 * f[0] * g[0] + f[-s] * g[-s];
}

// Adds to a row of rhs what flows along an axis by convection, by viscosity and
// by artificial diffusion.
static void add_fluxes(const adi_grid *g, const adi_cell *c, int axis, ptrdiff_t row)
{
    const ptrdiff_t s = c->stride[axis];
    const int       from = c->from[X], to = c->to[X];
    const double    slope = g->slope, diffusion = adi_diffusion[axis] * g->curve, viscosity = adi_viscosity * g->curve;
    const double   *through = c->velocity[axis] + row, *pressure = c->pressure + row;

    const double *density = c->u[DENSITY] + row, *flow = c->u[MOMENTUM + axis] + row;
    double       *rhs = c->rhs[DENSITY] + row;
#pragma GCC ivdep
    for (int x = from; x < to; x++)
        rhs[x] += diffusion * bend(density + x, s) - slope * (flow[x + s] - flow[x - s]);

    for (int component = X; component < AXES; component++) {
        const double *momentum = c->u[MOMENTUM + component] + row, *velocity = c->velocity[component] + row;
        const double  friction = component == axis ? viscosity * 4 / 3 : viscosity;
        rhs = c->rhs[MOMENTUM + component] + row;
#pragma GCC ivdep
        for (int x = from; x < to; x++)
            rhs[x] += diffusion * bend(momentum + x, s) + friction * bend(velocity + x, s) -
                      slope * (momentum[x + s] * through[x + s] - momentum[x - s] * through[x - s]);
    }
    rhs = c->rhs[MOMENTUM + axis] + row;
#pragma GCC ivdep
    for (int x = from; x < to; x++)
        rhs[x] -= slope * (pressure[x + s] - pressure[x - s]);

    const double *energy = c->u[ENERGY] + row, *kinetic = c->kinetic + row, *inverse = c->inverse + row;
    rhs = c->rhs[ENERGY] + row;
#pragma GCC ivdep
    for (int x = from; x < to; x++) {
        double work = (energy[x + s] + pressure[x + s]) * through[x + s] - (energy[x - s] + pressure[x - s]) * through[x - s];
        double friction = (1 - adi_conduction) * bend(kinetic + x, s) + bend_of_product(through + x, through + x, s) / 6;
        double heat = adi_conduction * bend_of_product(energy + x, inverse + x, s);
        rhs[x] += diffusion * bend(energy + x, s) + viscosity * (friction + heat) - slope * work;
    }
}

static void dissipate(double *rhs, const double *u, ptrdiff_t s, int from, int to, const double *weights)
{
    double w[5];
    for (int k = 0; k < 5; k++)
        w[k] = adi_dissipation * weights[k];
#pragma GCC ivdep
    for (int x = from; x < to; x++)
        rhs[x] -= w[0] * u[x - 2 * s] + w[1] * u[x - s] + w[2] * u[x] + w[3] * u[x + s] + w[4] * u[x + 2 * s];
}

static void add_dissipation(const adi_grid *g, const adi_cell *c, int axis, int y, int z)
{
    for (int from = c->from[X], to; from < c->to[X]; from = to) {
        const int     at[AXES] = {from, y, z};
        const double *weights = adi_weights(c->first[axis] + at[axis], g->n);
        // Only along x do they change in a row, near its ends.
        to = axis == X ? from + 1 : c->to[X];
        while (to < c->to[X] && adi_weights(c->first[X] + to, g->n) == weights)
            to++;
        for (int m = 0; m < COMPONENTS; m++)
            dissipate(c->rhs[m] + adi_row(c, y, z), c->u[m] + adi_row(c, y, z), c->stride[axis], from, to, weights);
    }
}

static void set_row(const adi_grid *g, const adi_cell *c, int y, int z)
{
    ptrdiff_t row = adi_row(c, y, z);
    for (int m = 0; m < COMPONENTS; m++)
        memcpy(c->rhs[m] + row, c->forcing[m] + row, (size_t)c->n[X] * sizeof(double));
    for (int axis = X; axis < AXES; axis++) {
        add_fluxes(g, c, axis, row);
        add_dissipation(g, c, axis, y, z);
    }
    for (int m = 0; m < COMPONENTS; m++)
        for (int x = c->from[X]; x < c->to[X]; x++)
            c->rhs[m][row + x] *= g->dt;
}

void adi_set_rhs(const adi_grid *g)
{
    for (int k = 0; k < g->cut; k++)
        derive(&g->cells[k]);
    adi_each_row(g, set_row);
}
