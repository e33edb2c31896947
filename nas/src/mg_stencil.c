// All of these go along lines of x. Points of the cube around (x, y, z) that
// have the same distance from the x axis are added up once a line, in sides
// and diagonals, and then used three times.

#include "mg_stencil.h"

static double sides[LONGEST_LINE], diagonals[LONGEST_LINE];

// sides: the sum of the four lines next to the one at a; diagonals: of the four
// that are one off in both y and z. Both with the halo points.
static void add_lines(const level *l, const double *a)
{
    const double *below = a - l->plane, *above = a + l->plane;
    size_t        line = l->line;
    for (size_t x = 0; x < line; x++) {
        sides[x] = a[x - line] + a[x + line] + below[x] + above[x];
        diagonals[x] = below[x - line] + below[x + line] + above[x - line] + above[x + line];
    }
}

void mg_residual(const level *l, const double *v)
{
    // A has no weight for faces.
    const stencil A = {-8.0 / 3, 0, 1.0 / 6, 1.0 / 12};
    for (int z = 1; z <= l->n[Z]; z++)
        for (int y = 1; y <= l->n[Y]; y++) {
            size_t        at = l->line * (size_t)y + l->plane * (size_t)z;
            const double *u = l->u + at, *right = v + at;
            double       *r = l->r + at;
            add_lines(l, u);
// v and r are different or the same, never shifted.
#pragma GCC ivdep
            for (int x = 1; x <= l->n[X]; x++)
                r[x] = right[x] - A.centre * u[x] - A.edge * (diagonals[x] + sides[x - 1] + sides[x + 1]) -
                       A.corner * (diagonals[x - 1] + diagonals[x + 1]);
        }
}

void mg_smooth(const level *l, stencil s)
{
    for (int z = 1; z <= l->n[Z]; z++)
        for (int y = 1; y <= l->n[Y]; y++) {
            size_t                 at = l->line * (size_t)y + l->plane * (size_t)z;
            double *restrict       u = l->u + at;
            const double *restrict r = l->r + at;
            add_lines(l, r);
            for (int x = 1; x <= l->n[X]; x++)
                u[x] += s.centre * r[x] + s.face * (r[x - 1] + r[x + 1] + sides[x]) + s.edge * (diagonals[x] + sides[x - 1] + sides[x + 1]);
        }
}

void mg_restrict(const level *fine, const level *coarse)
{
    const stencil P = {1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 16};
    for (int z = 1; z <= coarse->n[Z]; z++)
        for (int y = 1; y <= coarse->n[Y]; y++) {
            const double *r = fine->r + fine->line * 2 * (size_t)y + fine->plane * 2 * (size_t)z;
            double       *out = coarse->r + coarse->line * (size_t)y + coarse->plane * (size_t)z;
            add_lines(fine, r);
            for (int x = 1; x <= coarse->n[X]; x++) {
                int i = 2 * x;
                out[x] = P.centre * r[i] + P.face * (r[i - 1] + r[i + 1] + sides[i]) + P.edge * (sides[i - 1] + sides[i + 1] + diagonals[i]) +
                         P.corner * (diagonals[i - 1] + diagonals[i + 1]);
            }
        }
}

// Adds weight times a coarse line to a fine one, with the means between.
static void spread(double *restrict fine, const double *restrict coarse, int n, double weight)
{
    double half = 0.5 * weight;
    for (int x = 0; x <= n; x++) {
        fine[2 * x] += weight * coarse[x];
        fine[2 * x + 1] += half * (coarse[x] + coarse[x + 1]);
    }
}

// Fine point 2i is coarse point i, halo included; a fine point between two, four
// or eight coarse ones gets their mean.
void mg_interpolate(const level *coarse, const level *fine)
{
    static double next_y[LONGEST_LINE], next_z[LONGEST_LINE], next_both[LONGEST_LINE];
    size_t        line = coarse->line;
    int           n = coarse->n[X];
    for (int z = 0; z <= coarse->n[Z]; z++)
        for (int y = 0; y <= coarse->n[Y]; y++) {
            const double *c = coarse->u + line * (size_t)y + coarse->plane * (size_t)z;
            const double *above = c + coarse->plane;
            for (size_t x = 0; x < line; x++) {
                next_y[x] = c[x] + c[x + line];
                next_z[x] = c[x] + above[x];
                next_both[x] = next_y[x] + above[x] + above[x + line];
            }
            double *f = fine->u + fine->line * 2 * (size_t)y + fine->plane * 2 * (size_t)z;
            spread(f, c, n, 1);
            spread(f + fine->line, next_y, n, 0.5);
            spread(f + fine->plane, next_z, n, 0.5);
            spread(f + fine->plane + fine->line, next_both, n, 0.25);
        }
}
