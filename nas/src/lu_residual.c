#include "lu_equations.h"
#include "lu_scheme.h"

void lu_make_scheme(lu_scheme *s, int n, double dt)
{
    static const double fourth[PLACES][LU_WIDTH] = {
        {0, 0, 5, -4, 1}, {0, -4, 6, -4, 1}, {1, -4, 6, -4, 1}, {1, -4, 6, -4, 0}, {1, -4, 5, 0, 0},
    };
    static const double second[LU_WIDTH] = {0, 1, -2, 1, 0};
    const double        dissipation = lu_spread[Z] / 4; // of the largest
    s->dt = dt;
    s->first = 0.5 * (n - 1);
    s->second = (double)(n - 1) * (n - 1);
    for (int axis = X; axis < AXES; axis++)
        for (int place = 0; place < PLACES; place++)
            for (int k = 0; k < LU_WIDTH; k++)
                s->damping[axis][place][k] = lu_spread[axis] * s->second * second[k] - dissipation * fourth[place][k];
}

// The place along an axis of point i of the rank.
static int place_of(const lu_grid *g, int axis, int i)
{
    int before = g->first[axis] + i - 1, after = g->n - 3 - before; // points off the faces
    if (before < REACH)
        return before == 0 ? FIRST : SECOND;
    if (after < REACH)
        return after == 0 ? LAST : LAST_BUT_ONE;
    return MIDDLE;
}

static void find_flow(const lu_grid *g, const double *u, double *flow)
{
    for (int z = 0; z < g->n; z++)
        for (int y = g->begin[Y] - 1; y <= g->end[Y]; y++) {
            const double *restrict from = u + lu_at(g, 0, y, z);
            double *restrict       to = flow + lu_at(g, 0, y, z);
            for (int x = g->begin[X] - 1; x <= g->end[X]; x++) {
                double volume = 1 / from[x];
                to[x] = volume;
                for (int m = MOMENTUM; m < UNKNOWNS; m++)
                    to[x + m * g->line] = volume * from[x + m * g->line];
            }
        }
}

// Adds convection and diffusion along an axis to a line of residuals; step is
// from a point to the next along the axis.
static void add_fluxes(const lu_grid *g, const lu_scheme *s, int axis, ptrdiff_t step, const double *u, const double *w, double *restrict r)
{
    ptrdiff_t offset[UNKNOWNS];
    for (int m = 0; m < UNKNOWNS; m++)
        offset[m] = lu_order[axis][m] * g->line;
    const double convection = s->first, diffusion = s->second * lu_viscosity;
    for (int x = g->begin[X]; x < g->end[X]; x++) {
        double sum[UNKNOWNS] = {0}, state[UNKNOWNS], flow[UNKNOWNS];
        lu_read(state, u + x - step, offset);
        lu_read(flow, w + x - step, offset);
        lu_add_convection(sum, convection, state, flow);
        lu_add_diffusion(sum, diffusion, flow);
        lu_read(state, u + x + step, offset);
        lu_read(flow, w + x + step, offset);
        lu_add_convection(sum, -convection, state, flow);
        lu_add_diffusion(sum, diffusion, flow);
        lu_read(flow, w + x, offset);
        lu_add_diffusion(sum, -2 * diffusion, flow);
        for (int m = 0; m < UNKNOWNS; m++)
            r[x + offset[m]] += sum[m];
    }
}

static void add_damping(const lu_grid *g, const double c[LU_WIDTH], ptrdiff_t step, int begin, int end, const double *u, double *restrict r)
{
    for (int m = 0; m < UNKNOWNS; m++, u += g->line, r += g->line)
        for (int x = begin; x < end; x++)
            r[x] += c[0] * u[x - 2 * step] + c[1] * u[x - step] + c[2] * u[x] + c[3] * u[x + step] + c[4] * u[x + 2 * step];
}

static void add_damping_along_x(const lu_grid *g, const lu_scheme *s, const double *u, double *r)
{
    for (int x = g->begin[X], next; x < g->end[X]; x = next) {
        int place = place_of(g, X, x);
        for (next = x + 1; next < g->end[X] && place_of(g, X, next) == place; next++)
            ;
        add_damping(g, s->damping[X][place], 1, x, next, u, r);
    }
}

void lu_find_residual(const lu_grid *g, const lu_scheme *s, double *u, double *flow, const double *forcing, double *residual)
{
    lu_halo(g, u);
    find_flow(g, u, flow);
    const ptrdiff_t step[AXES] = {1, g->row, g->plane};
    for (int z = g->begin[Z]; z < g->end[Z]; z++)
        for (int y = g->begin[Y]; y < g->end[Y]; y++) {
            const ptrdiff_t at = lu_at(g, 0, y, z);
            for (int m = 0; m < UNKNOWNS; m++)
                for (int x = g->begin[X]; x < g->end[X]; x++)
                    residual[at + m * g->line + x] = -forcing[at + m * g->line + x];
            for (int axis = X; axis < AXES; axis++)
                add_fluxes(g, s, axis, step[axis], u + at, flow + at, residual + at);
            add_damping_along_x(g, s, u + at, residual + at);
            add_damping(g, s->damping[Y][place_of(g, Y, y)], step[Y], g->begin[X], g->end[X], u + at, residual + at);
            add_damping(g, s->damping[Z][place_of(g, Z, z)], step[Z], g->begin[X], g->end[X], u + at, residual + at);
        }
}
