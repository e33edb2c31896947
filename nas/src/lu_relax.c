#include "lu_equations.h"
#include "lu_scheme.h"

// A sweep goes over all points, up or down. v of each becomes
// kept * v + D^-1 (given * v - the sum of A v over the neighbours passed), with
// blocks D of the point itself and A of each neighbour. No block is ever
// formed: of A only the product is needed, and D has only zeros above its
// diagonal.
typedef struct sweep {
    int        ahead; // 1 up, -1 down
    double     given, kept;
    lu_weights weights[AXES];            // in A
    double     own, viscous, conducting; // weights in D
} sweep;

static sweep make_sweep(const lu_scheme *s, int ahead)
{
    const double step = lu_omega * s->dt, twice = 2 * s->dt * s->second;
    sweep        w = {.ahead = ahead, .given = ahead > 0 ? s->dt : 0, .kept = ahead > 0 ? 0 : 1};
    for (int axis = X; axis < AXES; axis++)
        w.weights[axis] = (lu_weights){-ahead * step * s->first, step * s->second * lu_viscosity, step * s->second * lu_spread[axis]};
    w.own = 1 + twice * (lu_spread[X] + lu_spread[Y] + lu_spread[Z]);
    w.viscous = twice * lu_viscosity * (4.0 / 3 + 1 + 1);
    w.conducting = twice * lu_viscosity * lu_conduction * AXES;
    return w;
}

// For each point of a line: what D has to be divided out of, and two reciprocals
// for that.
static double rest[UNKNOWNS][LU_LONGEST_LINE], by_viscous[LU_LONGEST_LINE], by_conducting[LU_LONGEST_LINE];

// Takes the neighbours along an axis off the rest of a line; step is from them.
static void subtract_neighbours(const lu_grid *g, lu_weights weights, int axis, ptrdiff_t step, const double *w, const double *v)
{
    const int *order = lu_order[axis];
    ptrdiff_t  offset[UNKNOWNS];
    for (int m = 0; m < UNKNOWNS; m++)
        offset[m] = order[m] * g->line - step;
    for (int x = g->begin[X]; x < g->end[X]; x++) {
        double sum[UNKNOWNS], flow[UNKNOWNS], change[UNKNOWNS];
        for (int m = 0; m < UNKNOWNS; m++)
            sum[m] = rest[order[m]][x];
        lu_read(flow, w + x, offset);
        lu_read(change, v + x, offset);
        lu_subtract_product(sum, weights, flow, change);
        for (int m = 0; m < UNKNOWNS; m++)
            rest[order[m]][x] = sum[m];
    }
}

// The part of a line's work in which its points do not depend on one another.
static void begin_line(const lu_grid *g, const sweep *s, const double *w, const double *v)
{
    for (int m = 0; m < UNKNOWNS; m++)
        for (int x = g->begin[X]; x < g->end[X]; x++)
            rest[m][x] = s->given * v[x + m * g->line];
    subtract_neighbours(g, s->weights[Z], Z, s->ahead * g->plane, w, v);
    subtract_neighbours(g, s->weights[Y], Y, s->ahead * g->row, w, v);
    for (int x = g->begin[X]; x < g->end[X]; x++) {
        by_viscous[x] = 1 / (s->own + s->viscous * w[x]);
        by_conducting[x] = 1 / (s->own + s->conducting * w[x]);
    }
}

// The other part, in which each needs the one before. In D momenta depend on
// density only, and energy on all.
static void end_line(const lu_grid *g, const sweep *s, const double *w, double *v)
{
    const ptrdiff_t offset[UNKNOWNS] = {0, g->line, 2 * g->line, 3 * g->line, 4 * g->line};
    const int       first = s->ahead > 0 ? g->begin[X] : g->end[X] - 1, after = s->ahead > 0 ? g->end[X] : g->begin[X] - 1;
    const double    by_own = 1 / s->own;
    double          flow[UNKNOWNS], change[UNKNOWNS];
    lu_read(flow, w + first - s->ahead, offset);
    lu_read(change, v + first - s->ahead, offset);
    for (int x = first; x != after; x += s->ahead) {
        double r[UNKNOWNS] = {rest[0][x], rest[1][x], rest[2][x], rest[3][x], rest[4][x]};
        lu_subtract_product(r, s->weights[X], flow, change);
        lu_read(flow, w + x, offset);
        double solution[UNKNOWNS] = {by_own * r[DENSITY]}, work = 0;
        for (int m = MOMENTUM; m < ENERGY; m++) {
            double carried = flow[m] * solution[DENSITY];
            solution[m] = by_viscous[x] * (r[m] + s->viscous * flow[VOLUME] * carried);
            work += flow[m] * (solution[m] - carried);
        }
        double heat = (s->viscous - s->conducting) * work - s->conducting * flow[ENERGY] * solution[DENSITY];
        solution[ENERGY] = by_conducting[x] * (r[ENERGY] - flow[VOLUME] * heat);
        for (int m = 0; m < UNKNOWNS; m++)
            v[x + offset[m]] = change[m] = s->kept * v[x + offset[m]] + solution[m];
    }
}

static void run_sweep(const lu_grid *g, const sweep *s, const double *flow, double *v)
{
    const bool up = s->ahead > 0;
    const int  from = up ? BELOW : ABOVE, to = up ? ABOVE : BELOW;
    for (int k = g->begin[Z]; k < g->end[Z]; k++) {
        int z = up ? k : g->n - 1 - k;
        lu_take_over(g, v, z, from);
        for (int j = g->begin[Y]; j < g->end[Y]; j++) {
            int       y = up ? j : g->begin[Y] + g->end[Y] - 1 - j;
            ptrdiff_t at = lu_at(g, 0, y, z);
            begin_line(g, s, flow + at, v + at);
            end_line(g, s, flow + at, v + at);
        }
        lu_pass_on(g, v, z, to);
    }
}

void lu_relax(const lu_grid *g, const lu_scheme *s, const double *flow, double *v)
{
    sweep up = make_sweep(s, 1), down = make_sweep(s, -1);
    run_sweep(g, &up, flow, v);
    run_sweep(g, &down, flow, v);
}
