// LU: solves the compressible Navier-Stokes equations in a cube by symmetric
// successive over-relaxation. Each step sweeps through the cube from one corner
// to the opposite and back: a wave of many small messages, plane by plane.

#include "lu_classes.h"
#include "lu_field.h"
#include "lu_scheme.h"

#include <stdio.h>

static lu_grid   grid;
static lu_scheme scheme;
static double   *state, *forcing;
static double   *flow;       // derived from state, see lu_equations.h
static double   *correction; // the residual, before it is relaxed
static double    residual[UNKNOWNS];

static const char *refuse(const nas_job *job)
{
    static char why[128];
    int n = classes[job->class].n;
    if (lu_cut(&grid, n, job->rank, job->ranks))
        return NULL;
    snprintf(why, sizeof why, "class %c needs n1*n2 ranks with n1/2 <= n2 <= n1 <= %d, not %d", job->letter, lu_most_across(n), job->ranks);
    return why;
}

static void describe(const nas_job *job, nas_size *size)
{
    int    side = classes[job->class].n;
    double n = side;
    snprintf(size->text, sizeof size->text, "%4dx%4dx%4d", side, side, side);
    size->iterations = classes[job->class].iterations;
    size->operations = size->iterations * (1984.77 * n * n * n - 10923.3 * n * n + 27770.9 * n - 144010);
}

static void find_residual(void)
{
    lu_find_residual(&grid, &scheme, state, flow, forcing, correction);
}

static void correct(void)
{
    const double by = 1 / (lu_omega * (2 - lu_omega));
    for (int z = grid.begin[Z]; z < grid.end[Z]; z++)
        for (int y = grid.begin[Y]; y < grid.end[Y]; y++)
            for (int m = 0; m < UNKNOWNS; m++) {
                ptrdiff_t at = lu_at(&grid, 0, y, z) + m * grid.line;
                for (int x = grid.begin[X]; x < grid.end[X]; x++)
                    state[at + x] += by * correction[at + x];
            }
}

static void iterate(void)
{
    lu_relax(&grid, &scheme, flow, correction);
    correct();
    find_residual();
}

static void reset(const nas_job *job)
{
    (void)job;
    lu_set_initial(&grid, state);
    find_residual();
}

static void prepare(const nas_job *job)
{
    lu_make(&grid);
    lu_make_scheme(&scheme, grid.n, classes[job->class].dt);
    double **arrays[] = {&state, &forcing, &flow, &correction};
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        *arrays[k] = nas_alloc((size_t)grid.length, sizeof(double));
    // With the residual of the exact solution as forcing, that solves the
    // equations.
    lu_set_exact(&grid, state);
    lu_find_residual(&grid, &scheme, state, flow, correction, forcing);
    reset(job);
    iterate();
}

static void run(const nas_job *job)
{
    for (int k = 1; k <= classes[job->class].iterations; k++) {
        nas_iteration(job, k);
        iterate();
    }
    lu_norms(&grid, correction, residual);
}

static bool match(const nas_job *job, const char *what, const double values[UNKNOWNS], const double references[UNKNOWNS])
{
    bool ok = true;
    for (int m = 0; m < UNKNOWNS; m++) {
        char name[32];
        snprintf(name, sizeof name, "%s %d", what, m + 1);
        ok = nas_matches(job, name, values[m], references[m], 1e-8) && ok;
    }
    return ok;
}

static bool verify(const nas_job *job)
{
    double error[UNKNOWNS], integral = lu_surface_integral(&grid, state);
    lu_error_norms(&grid, state, error);
    bool residuals_match = match(job, "residual", residual, classes[job->class].residual);
    bool errors_match = match(job, "error", error, classes[job->class].error);
    bool integral_matches = nas_matches(job, "integral", integral, classes[job->class].integral, 1e-8);
    return residuals_match && errors_match && integral_matches;
}

int main(int argc, char **argv)
{
    static const nas_benchmark lu = {
        .name = "LU",
        .operation = "floating point",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&lu, argc, argv);
}
