#include "adi_lines.h"

#include <string.h>

// How many points of a cell along an axis are not on faces of the cube.
static int inside(const adi_cell *c, int axis)
{
    return c->to[axis] - c->from[axis];
}

// The axes across, first the one along which points are closer in memory.
static const int across[AXES][2] = {{Y, Z}, {X, Z}, {X, Y}};

static int bundles_in(const adi_cell *c, int axis)
{
    int lines = inside(c, across[axis][0]) * inside(c, across[axis][1]);
    return (lines + LANES - 1) / LANES;
}

// The last bundle may hold the last line twice, which is then solved twice alike.
static adi_bundle make_bundle(const adi_grid *g, const adi_cell *c, int axis, int k)
{
    adi_bundle b = {.grid = g, .cell = c, .axis = axis, .rows = inside(c, axis), .stride = c->stride[axis]};
    const int  p = across[axis][0], q = across[axis][1], last = inside(c, p) * inside(c, q) - 1;
    b.first = c->first[axis] + c->from[axis];
    for (int lane = 0; lane < LANES; lane++) {
        int line = k * LANES + lane < last ? k * LANES + lane : last;
        b.at[lane] = c->from[axis] * c->stride[axis] + (c->from[p] + line % inside(c, p)) * c->stride[p] +
                     (c->from[q] + line / inside(c, p)) * c->stride[q];
    }
    return b;
}

// Bytes of the records of a bundle.
static size_t bundle_size(const adi_method *m, int rows)
{
    return ((size_t)rows + 2 * (size_t)m->reach) * m->record;
}

// Bytes that a bundle's neighbour needs: whole records above, below solutions.
static size_t message_size(const adi_method *m, int side)
{
    return (size_t)m->reach * (side == ABOVE ? m->record : COMPONENTS * sizeof(lanes));
}

void adi_make_lines(adi_lines *l, const adi_grid *g, const adi_method *method)
{
    *l = (adi_lines){.grid = g, .method = method};
    l->records = nas_alloc((size_t)g->cut, sizeof *l->records);
    size_t most = 0; // bundles
    for (int k = 0; k < g->cut; k++) {
        size_t size = 0;
        for (int axis = X; axis < AXES; axis++) {
            size_t bundles = (size_t)bundles_in(&g->cells[k], axis), needed = bundles * bundle_size(method, inside(&g->cells[k], axis));
            size = needed > size ? needed : size;
            most = bundles > most ? bundles : most;
        }
        l->records[k] = nas_alloc(size, 1);
    }
    for (int side = BELOW; side <= ABOVE; side++) {
        l->out[side] = nas_alloc(most, message_size(method, side));
        l->in[side] = nas_alloc(most, message_size(method, side));
    }
}

// The records of bundle k of a cell: row 0.
static char *records_of(const adi_lines *l, const adi_cell *c, int axis, int k)
{
    char *records = l->records[c - l->grid->cells] + (size_t)k * bundle_size(l->method, inside(c, axis));
    return records + (size_t)l->method->reach * l->method->record;
}

static void eliminate(const adi_lines *l, const adi_bundle *b, int k, char *records, bool first)
{
    const adi_method *m = l->method;
    const size_t      size = message_size(m, ABOVE), at = (size_t)k * size;
    if (first)
        memset(records - size, 0, size);
    else
        memcpy(records - size, l->in[ABOVE] + at, size);
    m->eliminate(b, records);
    memcpy(l->out[ABOVE] + at, records + (size_t)b->rows * m->record - size, size);
}

static void substitute(const adi_lines *l, const adi_bundle *b, int k, char *records, bool last)
{
    const adi_method *m = l->method;
    const size_t      solution = COMPONENTS * sizeof(lanes), at = (size_t)k * message_size(m, BELOW);
    char             *after = records + (size_t)b->rows * m->record;
    for (int i = 0; i < m->reach; i++)
        if (last)
            memset(after + (size_t)i * m->record, 0, solution);
        else
            memcpy(after + (size_t)i * m->record, l->in[BELOW] + at + (size_t)i * solution, solution);
    m->substitute(b, records);
    for (int i = 0; i < m->reach; i++)
        memcpy(l->out[BELOW] + at + (size_t)i * solution, records + (size_t)i * m->record, solution);
}

// Hands the ends of the lines in slab done to the rank that goes on with them, and
// gets those of the lines in slab next.
static void pass_on(const adi_lines *l, int axis, int done, int next)
{
    const int side = next > done ? ABOVE : BELOW, other = next > done ? BELOW : ABOVE, *with = l->grid->neighbour[axis];
    const int numbers = (int)(message_size(l->method, side) / sizeof(double));
    const int out = numbers * bundles_in(adi_cell_in_slab(l->grid, axis, done), axis);
    const int in = numbers * bundles_in(adi_cell_in_slab(l->grid, axis, next), axis);
    MPI_Sendrecv(l->out[side], out, MPI_DOUBLE, with[side], side, l->in[side], in, MPI_DOUBLE, with[other], side, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
}

void adi_sweep(const adi_lines *l, int axis)
{
    const adi_grid *g = l->grid;
    const int       last = g->cut - 1;
    for (int slab = 0; slab <= last; slab++) {
        const adi_cell *c = adi_cell_in_slab(g, axis, slab);
        if (slab > 0)
            pass_on(l, axis, slab - 1, slab);
        for (int k = 0; k < bundles_in(c, axis); k++) {
            adi_bundle b = make_bundle(g, c, axis, k);
            // In the last slab one bundle's records serve all, and stay in the cache.
            char *records = records_of(l, c, axis, slab == last ? 0 : k);
            eliminate(l, &b, k, records, slab == 0);
            if (slab == last)
                substitute(l, &b, k, records, true);
        }
    }
    for (int slab = last - 1; slab >= 0; slab--) {
        const adi_cell *c = adi_cell_in_slab(g, axis, slab);
        pass_on(l, axis, slab + 1, slab);
        for (int k = 0; k < bundles_in(c, axis); k++) {
            adi_bundle b = make_bundle(g, c, axis, k);
            substitute(l, &b, k, records_of(l, c, axis, k), false);
        }
    }
}
