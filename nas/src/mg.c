// MG, multigrid: V-cycles for Poisson's equation on a periodic cube with twenty
// point charges. Halos of all levels travel, from a few numbers to large faces.

#include "mg_charges.h"
#include "mg_stencil.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const stencil smoother_a = {-3.0 / 8, 1.0 / 32, -1.0 / 64, 0};
static const stencil smoother_b = {-3.0 / 17, 1.0 / 33, -1.0 / 61, 0};

static const struct {
    int            top, iterations;
    const stencil *smoother;
    double         norm;
} classes[NAS_CLASSES] = {
    {5, 4, &smoother_a, 0.5307707005734e-04},   // S
    {7, 4, &smoother_a, 0.6467329375339e-05},   // W
    {8, 4, &smoother_a, 0.2433365309069e-05},   // A
    {8, 20, &smoother_b, 0.1800564401355e-05},  // B
    {9, 20, &smoother_b, 0.5706732285740e-06},  // C
    {10, 50, &smoother_b, 0.1583275060440e-09}, // D
};

static hierarchy grids;
static double   *charges;
static double    first_norm, last_norm;

static const char *refuse(const nas_job *job)
{
    static char why[128];
    if (nas_power_of_two(job->ranks)) {
        mg_cut(&grids, job->rank, job->ranks);
        if (grids.gathered < classes[job->class].top)
            return NULL;
    }
    int most = 1 << 3 * (classes[job->class].top - 1);
    snprintf(why, sizeof why, "class %c needs a power of two of ranks up to %d, not %d", job->letter, most, job->ranks);
    return why;
}

static void describe(const nas_job *job, nas_size *size)
{
    int side = 1 << classes[job->class].top;
    snprintf(size->text, sizeof size->text, "%4dx%4dx%4d", side, side, side);
    size->iterations = classes[job->class].iterations;
    size->operations = 58.0 * size->iterations * side * side * side;
}

static void clear(const level *l)
{
    memset(l->u, 0, l->points * sizeof *l->u);
}

static void find_residual(const level *l, const double *v)
{
    mg_residual(l, v);
    mg_halo(&grids, l, l->r);
}

static void smooth(const level *l, stencil s)
{
    mg_smooth(l, s);
    mg_halo(&grids, l, l->u);
}

// Brings the residual of level k to level k-1.
static void descend(int k)
{
    const level *fine = &grids.levels[k], *coarse = &grids.levels[k - 1];
    if (k - 1 == grids.gathered) {
        mg_restrict(fine, &grids.box);
        mg_gather(&grids);
    } else {
        mg_restrict(fine, coarse);
        mg_halo(&grids, coarse, coarse->r);
    }
}

// Adds the solution of level k-1 to that of level k.
static void ascend(int k)
{
    const level *coarse = &grids.levels[k - 1];
    if (k - 1 == grids.gathered) {
        mg_scatter(&grids);
        coarse = &grids.box;
    }
    mg_interpolate(coarse, &grids.levels[k]);
}

// Improves u of the finest level, whose residual is in r, by a V-cycle.
static void cycle(stencil s)
{
    for (int k = grids.top; k > 1; k--)
        descend(k);
    clear(&grids.levels[1]);
    smooth(&grids.levels[1], s);
    for (int k = 2; k <= grids.top; k++) {
        const level *l = &grids.levels[k];
        if (k < grids.top)
            clear(l);
        ascend(k);
        find_residual(l, k < grids.top ? l->r : charges);
        smooth(l, s);
    }
}

// The root of the mean square of the residual over the whole grid.
static double norm(void)
{
    const level *l = &grids.levels[grids.top];
    double       sum = 0, all;
    for (int z = 1; z <= l->n[Z]; z++)
        for (int y = 1; y <= l->n[Y]; y++) {
            const double *r = l->r + l->line * (size_t)y + l->plane * (size_t)z;
            for (int x = 1; x <= l->n[X]; x++)
                sum += r[x] * r[x];
        }
    MPI_Allreduce(&sum, &all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sqrt(ldexp(all, -3 * grids.top));
}

static void prepare(const nas_job *job)
{
    grids.top = classes[job->class].top;
    mg_make(&grids);
    charges = nas_alloc(grids.levels[grids.top].points, sizeof *charges);
    mg_place_charges(&grids, charges);
    find_residual(&grids.levels[grids.top], charges);
    cycle(*classes[job->class].smoother);
}

static void reset(const nas_job *job)
{
    (void)job;
    clear(&grids.levels[grids.top]);
}

static void run(const nas_job *job)
{
    const level *finest = &grids.levels[grids.top];
    find_residual(finest, charges);
    first_norm = norm();
    for (int k = 1; k <= classes[job->class].iterations; k++) {
        nas_iteration(job, k);
        cycle(*classes[job->class].smoother);
        find_residual(finest, charges);
    }
    last_norm = norm();
}

static bool verify(const nas_job *job)
{
    if (job->rank == 0)
        printf("\n norm before the first cycle: %.13e\n", first_norm);
    return nas_matches(job, "norm", last_norm, classes[job->class].norm, 1e-8);
}

int main(int argc, char **argv)
{
    static const nas_benchmark mg = {
        .name = "MG",
        .operation = "floating point",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&mg, argc, argv);
}
