// CG, conjugate gradient: estimates the eigenvalue of a sparse symmetric matrix
// that is closest to a shift, by inverse iteration with 25 steps of the
// conjugate gradient method each. Ranks form a grid, each with a block of the
// matrix; they speak in many short messages between two ranks.

#include "common.h"

#include "cg_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 25 };

static const struct {
    int    n, nonzeros, iterations;
    double shift, zeta;
} classes[NAS_CLASSES] = {
    {1400, 7, 15, 10, 8.5971775078648},        // S
    {7000, 8, 15, 12, 10.362595087124},        // W
    {14000, 11, 15, 20, 17.130235054029},      // A
    {75000, 13, 75, 60, 22.712745482631},      // B
    {150000, 15, 75, 110, 28.973605592845},    // C
    {1500000, 21, 100, 500, 52.514532105794},  // D
};

static cg_grid grid;
static double *x, *z, *p, *q, *r; // vectors, as far as they are this rank's
static double  zeta, residual;

static const char *refuse(const nas_job *job)
{
    static char why[128];
    if (nas_power_of_two(job->ranks) && job->ranks <= classes[job->class].n)
        return NULL;
    snprintf(why, sizeof why, "class %c needs a power of two of ranks up to %d, not %d", job->letter, classes[job->class].n, job->ranks);
    return why;
}

static void describe(const nas_job *job, nas_size *size)
{
    int    n = classes[job->class].n, iterations = classes[job->class].iterations;
    double row = classes[job->class].nonzeros * (classes[job->class].nonzeros + 1.0);
    snprintf(size->text, sizeof size->text, "%d", n);
    size->iterations = iterations;
    size->operations = 2.0 * iterations * n * (3 + row + STEPS * (5 + row) + 3);
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < grid.matrix.columns; k++)
        sum += a[k] * b[k];
    cg_sum(&grid, &sum, 1);
    return sum;
}

// Solves matrix * z = x, and puts the norm of what is left into residual.
static void solve(void)
{
    int    n = grid.matrix.columns;
    size_t bytes = (size_t)n * sizeof *x;
    memset(z, 0, bytes);
    memcpy(r, x, bytes);
    memcpy(p, x, bytes);
    double rho = dot(r, r);
    for (int step = 0; step < STEPS; step++) {
        cg_multiply(&grid, p, q);
        double alpha = rho / dot(p, q);
        for (int k = 0; k < n; k++) {
            z[k] += alpha * p[k];
            r[k] -= alpha * q[k];
        }
        double before = rho;
        rho = dot(r, r);
        double beta = rho / before;
        for (int k = 0; k < n; k++)
            p[k] = r[k] + beta * p[k];
    }
    cg_multiply(&grid, z, q);
    for (int k = 0; k < n; k++)
        q[k] -= x[k];
    residual = sqrt(dot(q, q));
}

// One step of inverse iteration: the next x is the solution, normalised.
static void iterate(double shift)
{
    solve();
    double products[2] = {0, 0};
    for (int k = 0; k < grid.matrix.columns; k++) {
        products[0] += x[k] * z[k];
        products[1] += z[k] * z[k];
    }
    cg_sum(&grid, products, 2);
    zeta = shift + 1 / products[0];
    double scale = 1 / sqrt(products[1]);
    for (int k = 0; k < grid.matrix.columns; k++)
        x[k] = scale * z[k];
}

static void reset(const nas_job *job)
{
    (void)job;
    for (int k = 0; k < grid.matrix.columns; k++)
        x[k] = 1;
    zeta = 0;
}

static void prepare(const nas_job *job)
{
    cg_lay_out(&grid, classes[job->class].n, job->rank, job->ranks);
    cg_make_block(&grid.matrix, classes[job->class].n, classes[job->class].nonzeros, classes[job->class].shift);
    double **parts[] = {&x, &z, &p, &q, &r};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        *parts[k] = nas_alloc((size_t)grid.matrix.columns, sizeof(double));
    reset(job);
    iterate(classes[job->class].shift);
}

static void run(const nas_job *job)
{
    for (int k = 1; k <= classes[job->class].iterations; k++) {
        nas_iteration(job, k);
        iterate(classes[job->class].shift);
    }
}

static bool verify(const nas_job *job)
{
    if (job->rank == 0)
        printf("\n norm of the last residual: %.2e\n", residual);
    return nas_matches(job, "zeta", zeta, classes[job->class].zeta, 1e-10);
}

int main(int argc, char **argv)
{
    static const nas_benchmark cg = {
        .name = "CG",
        .operation = "floating point",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&cg, argc, argv);
}
