#include "lu_field.h"

#include "lu_equations.h"

#include <math.h>

// The exact solution is a polynomial in x, y and z of [0, 1] for each of a
// point's numbers. Its coefficients are of 1, then of x, y, z, of their squares,
// third and fourth powers.
enum { POWERS = 4 };

static const double coefficients[UNKNOWNS][1 + POWERS * AXES] = {
    {2, 0, 0, 4, 5, 3, 0.5, 0.02, 0.01, 0.03, 0.5, 0.4, 0.3},
    {1, 0, 0, 0, 1, 2, 3, 0.01, 0.03, 0.02, 0.4, 0.3, 0.5},
    {2, 2, 0, 0, 0, 2, 3, 0.04, 0.03, 0.05, 0.3, 0.5, 0.4},
    {2, 2, 0, 0, 0, 2, 3, 0.03, 0.05, 0.04, 0.2, 0.1, 0.3},
    {5, 4, 3, 2, 0.1, 0.4, 0.3, 0.05, 0.04, 0.03, 0.1, 0.3, 0.2},
};

static void find_exact(const double at[AXES], double u[UNKNOWNS])
{
    for (int m = 0; m < UNKNOWNS; m++) {
        const double *c = coefficients[m];
        u[m] = c[0];
        for (int axis = X; axis < AXES; axis++) {
            double t = at[axis];
            u[m] += t * (c[1 + axis] + t * (c[4 + axis] + t * (c[7 + axis] + t * c[10 + axis])));
        }
    }
}

// Along each axis a value is interpolated between the faces; the three are put
// together as are the probabilities of events.
static void blend(const double at[AXES], double u[UNKNOWNS])
{
    double missing[UNKNOWNS] = {1, 1, 1, 1, 1};
    for (int axis = X; axis < AXES; axis++) {
        double low[UNKNOWNS], high[UNKNOWNS], t = at[axis], face[AXES] = {at[X], at[Y], at[Z]};
        face[axis] = 0;
        find_exact(face, low);
        face[axis] = 1;
        find_exact(face, high);
        for (int m = 0; m < UNKNOWNS; m++)
            missing[m] *= 1 - ((1 - t) * low[m] + t * high[m]);
    }
    for (int m = 0; m < UNKNOWNS; m++)
        u[m] = 1 - missing[m];
}

typedef void setter(const double at[AXES], double u[UNKNOWNS]);

static void set(const lu_grid *g, double *u, setter *inside)
{
    for (int z = 0; z < g->size[Z]; z++)
        for (int y = 0; y < g->size[Y]; y++)
            for (int x = 0; x < g->size[X]; x++) {
                const int point[AXES] = {x, y, z};
                double    at[AXES], values[UNKNOWNS];
                bool      face = false;
                for (int axis = X; axis < AXES; axis++) {
                    at[axis] = (double)(g->first[axis] + point[axis]) / (g->n - 1);
                    face = face || point[axis] < g->begin[axis] || point[axis] >= g->end[axis];
                }
                (face ? find_exact : inside)(at, values);
                for (int m = 0; m < UNKNOWNS; m++)
                    u[lu_at(g, x, y, z) + m * g->line] = values[m];
            }
}

void lu_set_exact(const lu_grid *g, double *u)
{
    set(g, u, find_exact);
}

void lu_set_initial(const lu_grid *g, double *u)
{
    set(g, u, blend);
}

static void make_norms(const lu_grid *g, double sums[UNKNOWNS])
{
    lu_sum(sums, UNKNOWNS);
    for (int m = 0; m < UNKNOWNS; m++)
        sums[m] = sqrt(sums[m] / pow(g->n - 2, AXES));
}

void lu_norms(const lu_grid *g, const double *a, double norms[UNKNOWNS])
{
    for (int m = 0; m < UNKNOWNS; m++) {
        norms[m] = 0;
        for (int z = g->begin[Z]; z < g->end[Z]; z++)
            for (int y = g->begin[Y]; y < g->end[Y]; y++) {
                const double *line = a + lu_at(g, 0, y, z) + m * g->line;
                for (int x = g->begin[X]; x < g->end[X]; x++)
                    norms[m] += line[x] * line[x];
            }
    }
    make_norms(g, norms);
}

void lu_error_norms(const lu_grid *g, const double *u, double norms[UNKNOWNS])
{
    for (int m = 0; m < UNKNOWNS; m++)
        norms[m] = 0;
    for (int z = g->begin[Z]; z < g->end[Z]; z++)
        for (int y = g->begin[Y]; y < g->end[Y]; y++)
            for (int x = g->begin[X]; x < g->end[X]; x++) {
                const double by = 1.0 / (g->n - 1), at[AXES] = {by * (g->first[X] + x), by * (g->first[Y] + y), by * z};
                double       exact[UNKNOWNS];
                find_exact(at, exact);
                for (int m = 0; m < UNKNOWNS; m++) {
                    double error = exact[m] - u[lu_at(g, x, y, z) + m * g->line];
                    norms[m] += error * error;
                }
            }
    make_norms(g, norms);
}

static double pressure(const lu_grid *g, const double *u, int x, int y, int z)
{
    const double *p = u + lu_at(g, x, y, z);
    double        squares = 0;
    for (int m = MOMENTUM; m < ENERGY; m++)
        squares += p[m * g->line] * p[m * g->line];
    return (lu_gamma - 1) * (p[ENERGY * g->line] - 0.5 * squares / p[0]);
}

// By the trapezoidal rule: each point of a face counts, and half or a quarter
// on its edges and corners.
double lu_surface_integral(const lu_grid *g, const double *u)
{
    const int lowest[AXES] = {1, 1, 2}, highest[AXES] = {g->n - 2, g->n - 3, g->n - 2};
    double    sum = 0;
    for (int z = 0; z < g->size[Z]; z++)
        for (int y = 0; y < g->size[Y]; y++)
            for (int x = 0; x < g->size[X]; x++) {
                const int point[AXES] = {g->first[X] + x, g->first[Y] + y, g->first[Z] + z};
                bool      inside = true, end[AXES];
                double    weight[AXES], area = 0;
                for (int axis = X; axis < AXES; axis++) {
                    inside = inside && point[axis] >= lowest[axis] && point[axis] <= highest[axis];
                    end[axis] = point[axis] == lowest[axis] || point[axis] == highest[axis];
                    weight[axis] = end[axis] ? 0.5 : 1;
                }
                for (int axis = X; axis < AXES; axis++)
                    if (end[axis])
                        area += weight[(axis + 1) % AXES] * weight[(axis + 2) % AXES];
                if (inside)
                    sum += area * pressure(g, u, x, y, z);
            }
    lu_sum(&sum, 1);
    return sum / ((double)(g->n - 1) * (g->n - 1));
}
