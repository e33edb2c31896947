// FT, Fourier transform: solves a diffusion equation on a periodic grid. One
// forward transform of random numbers; then, for each step of time, the
// spectrum decays and is transformed back. Ranks exchange all of an array once
// or twice per transform.

#include "ft_classes.h"
#include "ft_fft.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ft_grid grid;
static complex *spectrum;
static complex *field, *spare;           // what is transformed, and room to move it to
static double   decay[AXES][FT_LONGEST]; // factors for one step, for the rank's part of an axis
static complex  checksums[MAX_ITERATIONS];

static const char *refuse(const nas_job *job)
{
    static char why[128];
    int         most = ft_most_ranks(classes[job->class].n);
    if (nas_power_of_two(job->ranks) && job->ranks <= most)
        return NULL;
    snprintf(why, sizeof why, "class %c needs a power of two of ranks up to %d, not %d", job->letter, most, job->ranks);
    return why;
}

static double count_points(const int n[AXES])
{
    return (double)n[X] * n[Y] * n[Z];
}

static void describe(const nas_job *job, nas_size *size)
{
    const int *n = classes[job->class].n;
    double     points = count_points(n), log_points = log(points);
    snprintf(size->text, sizeof size->text, "%4dx%4dx%4d", n[X], n[Y], n[Z]);
    size->iterations = classes[job->class].iterations;
    size->operations = points * (14.8157 + 7.19641 * log_points + size->iterations * (5.23518 + 7.21113 * log_points));
}

static void swap_arrays(complex **a, complex **b)
{
    complex *was = *a;
    *a = *b;
    *b = was;
}

static void transform(ft_direction direction, int axis, int from, int to)
{
    complex *out = from == to ? field : spare;
    ft_transform(direction, field, ft_lines_along(&grid, from, axis), out, ft_lines_along(&grid, to, axis));
    if (out == spare)
        swap_arrays(&field, &spare);
}

static void exchange(int group)
{
    if (grid.ranks[group] == 1)
        return;
    ft_exchange(&grid, group, field, spare);
    swap_arrays(&field, &spare);
}

static void transform_forward(void)
{
    transform(FORWARD, X, XY, XY);
    exchange(XY);
    transform(FORWARD, Y, XY, YZ);
    exchange(YZ);
    transform(FORWARD, Z, YZ, YZ);
}

static void transform_back(void)
{
    transform(INVERSE, Z, YZ, YZ);
    exchange(YZ);
    transform(INVERSE, Y, YZ, XY);
    exchange(XY);
    transform(INVERSE, X, XY, XY);
}

// Draws the field of the start: numbers in the order of x, y, z, each its
// real part before its imaginary part.
static void draw(void)
{
    const int *size = grid.size[XY];
    ft_lines   lines = ft_lines_along(&grid, XY, X);
    for (size_t l = 0; l < lines.count; l++) {
        uint64_t y = l % (size_t)size[Y] + (uint64_t)(grid.place[XY] * size[Y]);
        uint64_t z = l / (size_t)size[Y] + (uint64_t)(grid.place[YZ] * size[Z]);
        uint64_t state = nas_skip(NAS_SEED, 2 * lines.length * (y + z * (uint64_t)grid.n[Y]));
        for (size_t e = 0; e < lines.length; e++) {
            complex *point = field + l * lines.near + e / lines.part * lines.block + e % lines.part;
            point->re = nas_unit(state = nas_step(state));
            point->im = nas_unit(state = nas_step(state));
        }
    }
}

// A wave decays with the square of its number, which is the sum of the
// squares along the axes: so its factor is the product of one for each.
static void make_decay(void)
{
    const double pi = 3.14159265358979323846, alpha = 1e-6;
    const int    first[AXES] = {
        grid.place[XY] * grid.size[YZ][X],
        grid.place[YZ] * grid.size[YZ][Y],
        0,
    };
    const int count[AXES] = {grid.size[YZ][X], grid.size[YZ][Y], grid.n[Z]};
    for (int axis = X; axis < AXES; axis++)
        for (int i = 0; i < count[axis]; i++) {
            int wave = first[axis] + i;
            if (wave >= grid.n[axis] / 2)
                wave -= grid.n[axis];
            decay[axis][i] = exp(-4 * alpha * pi * pi * wave * wave);
        }
}

// Takes the spectrum one step further, and a copy of it to field.
static void evolve(void)
{
    size_t at = 0;
    for (int z = 0; z < grid.n[Z]; z++)
        for (int y = 0; y < grid.size[YZ][Y]; y++) {
            double factor = decay[Z][z] * decay[Y][y];
            for (int x = 0; x < grid.size[YZ][X]; x++, at++) {
                spectrum[at].re *= factor * decay[X][x];
                spectrum[at].im *= factor * decay[X][x];
                field[at] = spectrum[at];
            }
        }
}

// The sum of 1024 points all over the field, which has yet to be divided by the
// number of points after a transform there and back.
static complex find_checksum(void)
{
    const int *size = grid.size[XY];
    ft_lines   lines = ft_lines_along(&grid, XY, X);
    complex    sum = {0, 0}, all;
    for (int j = 1; j <= 1024; j++) {
        int x = j % grid.n[X];
        int y = 3 * j % grid.n[Y] - grid.place[XY] * size[Y];
        int z = 5 * j % grid.n[Z] - grid.place[YZ] * size[Z];
        if (y < 0 || y >= size[Y] || z < 0 || z >= size[Z])
            continue;
        const complex *point = field + (size_t)(z * size[Y] + y) * lines.near + (size_t)x / lines.part * lines.block + (size_t)x % lines.part;
        sum.re += point->re;
        sum.im += point->im;
    }
    MPI_Reduce(&sum, &all, 2, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    return (complex){all.re / count_points(grid.n), all.im / count_points(grid.n)};
}

static void start(void)
{
    int longest = grid.n[X] > grid.n[Y] ? grid.n[X] : grid.n[Y];
    ft_make_roots(longest > grid.n[Z] ? longest : grid.n[Z]);
    make_decay();
    draw();
    transform_forward();
    swap_arrays(&field, &spectrum);
}

static void reset(const nas_job *job)
{
    (void)job;
    memset(checksums, 0, sizeof checksums);
}

static void prepare(const nas_job *job)
{
    ft_cut(&grid, classes[job->class].n, job->rank, job->ranks);
    complex **arrays[] = {&spectrum, &field, &spare};
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++)
        *arrays[k] = nas_alloc(grid.points, sizeof(complex));
    start();
}

// As specified, the time of the start counts too.
static void run(const nas_job *job)
{
    start();
    for (int k = 1; k <= classes[job->class].iterations; k++) {
        nas_iteration(job, k);
        evolve();
        transform_back();
        checksums[k - 1] = find_checksum();
    }
}

static bool verify(const nas_job *job)
{
    bool ok = true;
    for (int k = 0; k < classes[job->class].iterations; k++) {
        complex is = checksums[k], reference = classes[job->class].checksums[k];
        reference.re += NAS_BREAK;
        double error = hypot(is.re - reference.re, is.im - reference.im) / hypot(reference.re, reference.im);
        bool   right = error <= 1e-12; // not so if it is a NaN
        if (job->rank == 0)
            printf(" checksum %2d is %.10f %.10f, relative error %.2e: %s\n", k + 1, is.re, is.im, error, right ? "right" : "WRONG");
        ok = ok && right;
    }
    return ok;
}

int main(int argc, char **argv)
{
    static const nas_benchmark ft = {
        .name = "FT",
        .operation = "floating point",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&ft, argc, argv);
}
