#include "adi_exact.h"

#include "adi_flow.h"

#include <math.h>
#include <string.h>

// The constant, then for each power from 1 to 4 the coefficients of x, y and z.
static const double coefficients[COMPONENTS][1 + 4 * AXES] = {
    {2, 0, 0, 4, 5, 3, 0.5, 0.02, 0.01, 0.03, 0.5, 0.4, 0.3},
    {1, 0, 0, 0, 1, 2, 3, 0.01, 0.03, 0.02, 0.4, 0.3, 0.5},
    {2, 2, 0, 0, 0, 2, 3, 0.04, 0.03, 0.05, 0.3, 0.5, 0.4},
    {2, 2, 0, 0, 0, 2, 3, 0.03, 0.05, 0.04, 0.2, 0.1, 0.3},
    {5, 4, 3, 2, 0.1, 0.4, 0.3, 0.05, 0.04, 0.03, 0.1, 0.3, 0.2},
};

// Component m of the solution at a position in the unit cube.
static double exact(int m, const double position[AXES])
{
    const double *k = coefficients[m];
    double        sum = k[0];
    for (int axis = X; axis < AXES; axis++) {
        double x = position[axis];
        sum += x * (k[1 + axis] + x * (k[4 + axis] + x * (k[7 + axis] + x * k[10 + axis])));
    }
    return sum;
}

// Blends the values at the feet of the perpendiculars on the six faces. On the
// faces themselves that is not exact.
static double blend(int m, const double position[AXES])
{
    double product = 1;
    for (int axis = X; axis < AXES; axis++) {
        double foot[AXES], x = position[axis];
        memcpy(foot, position, sizeof foot);
        foot[axis] = 0;
        double below = exact(m, foot);
        foot[axis] = 1;
        double above = exact(m, foot);
        product *= 1 - (x * above + (1 - x) * below);
    }
    return 1 - product;
}

static double initial(int m, const double position[AXES])
{
    for (int axis = X; axis < AXES; axis++)
        if (position[axis] == 0 || position[axis] == 1)
            return exact(m, position);
    return blend(m, position);
}

// Gas at rest is what lies beyond the faces. Nothing depends on it, but all that
// is computed from it is a number.
static double rest(int m, const double position[AXES])
{
    (void)position;
    return m == DENSITY || m == ENERGY ? 1 : 0;
}

static void locate(const adi_grid *g, const adi_cell *c, int x, int y, int z, double position[AXES])
{
    const int at[AXES] = {x, y, z};
    for (int axis = X; axis < AXES; axis++)
        position[axis] = (double)(c->first[axis] + at[axis]) / (g->n - 1);
}

// Sets u from a function of the position, in the cells and in that many layers
// of their halos.
static void set(const adi_grid *g, int layers, double (*value)(int m, const double position[AXES]))
{
    for (int k = 0; k < g->cut; k++) {
        const adi_cell *c = &g->cells[k];
        for (int z = -layers; z < c->n[Z] + layers; z++)
            for (int y = -layers; y < c->n[Y] + layers; y++)
                for (int x = -layers; x < c->n[X] + layers; x++) {
                    double position[AXES];
                    locate(g, c, x, y, z, position);
                    for (int m = 0; m < COMPONENTS; m++)
                        c->u[m][adi_row(c, y, z) + x] = value(m, position);
                }
    }
}

void adi_set_initial(const adi_grid *g)
{
    set(g, ADI_HALO, rest);
    set(g, 0, initial);
}

static void balance(const adi_grid *g, const adi_cell *c, int y, int z)
{
    ptrdiff_t row = adi_row(c, y, z);
    for (int m = 0; m < COMPONENTS; m++)
        for (int x = c->from[X]; x < c->to[X]; x++)
            c->forcing[m][row + x] = -c->rhs[m][row + x] / g->dt;
}

void adi_set_forcing(const adi_grid *g)
{
    set(g, ADI_HALO, exact);
    adi_set_rhs(g);
    adi_each_row(g, balance);
}

static double error(const adi_cell *c, int m, ptrdiff_t at, const double position[AXES])
{
    return c->u[m][at] - exact(m, position);
}

static double rhs(const adi_cell *c, int m, ptrdiff_t at, const double position[AXES])
{
    (void)position;
    return c->rhs[m][at];
}

static void find_norms(const adi_grid *g, double norms[COMPONENTS],
                       double (*value)(const adi_cell *c, int m, ptrdiff_t at, const double position[AXES]))
{
    double sums[COMPONENTS] = {0};
    for (int k = 0; k < g->cut; k++) {
        const adi_cell *c = &g->cells[k];
        for (int z = c->from[Z]; z < c->to[Z]; z++)
            for (int y = c->from[Y]; y < c->to[Y]; y++)
                for (int x = c->from[X]; x < c->to[X]; x++) {
                    double position[AXES];
                    locate(g, c, x, y, z, position);
                    for (int m = 0; m < COMPONENTS; m++) {
                        double v = value(c, m, adi_row(c, y, z) + x, position);
                        sums[m] += v * v;
                    }
                }
    }
    MPI_Allreduce(sums, norms, COMPONENTS, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    for (int m = 0; m < COMPONENTS; m++)
        norms[m] = sqrt(norms[m] / pow(g->n - 2, AXES));
}

void adi_error_norms(const adi_grid *g, double norms[COMPONENTS])
{
    find_norms(g, norms, error);
}

void adi_rhs_norms(const adi_grid *g, double norms[COMPONENTS])
{
    find_norms(g, norms, rhs);
}
