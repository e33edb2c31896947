#include "adi_grid.h"

// NPB has no smaller cells, which sets the largest number of ranks.
enum { LEAST_POINTS = 3 };

int adi_most_cells(int n)
{
    return n / LEAST_POINTS;
}

static int wrap(int i, int cut)
{
    return (i % cut + cut) % cut;
}

// Going up one cell along z leads from (column, row) to (column+1, row-1): so
// the cells of a rank lie on a diagonal of the cube, and no two in one slab.
static int rank_at(const adi_grid *g, const int place[AXES])
{
    return wrap(place[X] - place[Z], g->cut) + g->cut * wrap(place[Y] + place[Z], g->cut);
}

static int *place_of(const adi_grid *g, int k, int place[AXES])
{
    place[X] = wrap(g->column + k, g->cut);
    place[Y] = wrap(g->row - k, g->cut);
    place[Z] = k;
    return place;
}

adi_cell *adi_cell_in_slab(const adi_grid *g, int axis, int slab)
{
    switch (axis) {
    case X: return &g->cells[wrap(slab - g->column, g->cut)];
    case Y: return &g->cells[wrap(g->row - slab, g->cut)];
    default: return &g->cells[slab];
    }
}

// Fields follow each other in memory: each on pages of its own, they would all
// fall on the same lines of the cache.
static double *take(double **memory, size_t points)
{
    double *field = *memory;
    *memory += points;
    return field;
}

static void make_fields(adi_cell *c)
{
    enum { FIELDS = 3 * COMPONENTS + AXES + 4 };
    size_t  points = (size_t)c->stride[Z] * ((size_t)c->n[Z] + 2 * ADI_HALO);
    double *memory = nas_alloc(points, FIELDS * sizeof(double));
    memory += ADI_HALO * (c->stride[X] + c->stride[Y] + c->stride[Z]); // where point (0, 0, 0) is
    for (int m = 0; m < COMPONENTS; m++) {
        c->u[m] = take(&memory, points);
        c->rhs[m] = take(&memory, points);
        c->forcing[m] = take(&memory, points);
    }
    for (int axis = X; axis < AXES; axis++)
        c->velocity[axis] = take(&memory, points);
    c->inverse = take(&memory, points);
    c->kinetic = take(&memory, points);
    c->pressure = take(&memory, points);
    c->sound = take(&memory, points);
}

static void make_cell(const adi_grid *g, adi_cell *c, const int place[AXES])
{
    int shortest = g->n / g->cut, longer = g->n % g->cut;
    for (int axis = X; axis < AXES; axis++) {
        int at = place[axis];
        c->n[axis] = shortest + (at < longer);
        c->first[axis] = at * shortest + (at < longer ? at : longer);
        c->from[axis] = at == 0 ? 1 : 0;
        c->to[axis] = at == g->cut - 1 ? c->n[axis] - 1 : c->n[axis];
        c->stride[axis] = axis == X ? 1 : c->stride[axis - 1] * (c->n[axis - 1] + 2 * ADI_HALO);
    }
    make_fields(c);
}

// Points of a face of the cell across the axis.
static size_t face(const adi_cell *c, int axis)
{
    return (size_t)c->n[(axis + 1) % AXES] * (size_t)c->n[(axis + 2) % AXES];
}

static void make_messages(adi_grid *g)
{
    for (int axis = X; axis < AXES; axis++) {
        size_t points = 0;
        for (int k = 0; k < g->cut; k++)
            points += ADI_HALO * face(&g->cells[k], axis);
        for (int side = BELOW; side <= ABOVE; side++) {
            int place[AXES];
            place_of(g, 0, place)[axis] += side == ABOVE ? 1 : -1;
            g->neighbour[axis][side] = rank_at(g, place);
            g->out[axis][side] = nas_alloc(points, COMPONENTS * sizeof(double));
            g->in[axis][side] = nas_alloc(points, COMPONENTS * sizeof(double));
        }
    }
}

void adi_cut(adi_grid *g, int n, double dt, int rank, int cut)
{
    double h = 1.0 / (n - 1);
    *g = (adi_grid){.n = n, .cut = cut, .dt = dt, .slope = 1 / (2 * h), .curve = 1 / (h * h), .column = rank % cut, .row = rank / cut};
    g->cells = nas_alloc((size_t)cut, sizeof *g->cells);
    int place[AXES];
    for (int k = 0; k < cut; k++)
        make_cell(g, &g->cells[k], place_of(g, k, place));
    make_messages(g);
}

// Copies the layers of u that start at one index of an axis to a buffer, or
// back, and returns how many numbers that is.
static int copy_layers(const adi_cell *c, int axis, int index, double *buffer, bool back)
{
    int from[AXES] = {0, 0, 0}, to[AXES] = {c->n[X], c->n[Y], c->n[Z]};
    from[axis] = index;
    to[axis] = index + ADI_HALO;
    double *b = buffer;
    for (int m = 0; m < COMPONENTS; m++)
        for (int z = from[Z]; z < to[Z]; z++)
            for (int y = from[Y]; y < to[Y]; y++) {
                double *u = c->u[m] + adi_row(c, y, z);
                for (int x = from[X]; x < to[X]; x++, b++)
                    if (back)
                        u[x] = *b;
                    else
                        *b = u[x];
            }
    return (int)(b - buffer);
}

// Copies the layers that are sent to a neighbour, of all cells that have one
// there, or those that come from it. The order of cells is that of slabs, since
// sender and receiver number their cells differently.
static int copy_side(const adi_grid *g, int axis, int side, double *buffer, bool back)
{
    int count = 0;
    for (int slab = side == BELOW ? 1 : 0; slab < g->cut - (side == ABOVE ? 1 : 0); slab++) {
        const adi_cell *c = adi_cell_in_slab(g, axis, slab);
        int edge = side == BELOW ? 0 : c->n[axis] - ADI_HALO;
        int beyond = side == BELOW ? -ADI_HALO : c->n[axis];
        count += copy_layers(c, axis, back ? beyond : edge, buffer + count, back);
    }
    return count;
}

void adi_exchange_halos(const adi_grid *g)
{
    if (g->cut == 1)
        return;
    enum { MESSAGES = AXES * 2 };
    MPI_Request request[2 * MESSAGES];
    MPI_Status  done[2 * MESSAGES]; // gcc 12 takes MPICH's MPI_STATUSES_IGNORE for an array too short
    int k = 0;
    for (int axis = X; axis < AXES; axis++)
        for (int side = BELOW; side <= ABOVE; side++, k++) {
            // Two neighbours can be one rank: the tag tells the way of travel.
            int other = side == BELOW ? ABOVE : BELOW, with = g->neighbour[axis][side];
            int count = copy_side(g, axis, side, g->out[axis][side], false);
            MPI_Irecv(g->in[axis][side], count, MPI_DOUBLE, with, axis * 2 + other, MPI_COMM_WORLD, &request[k]);
            MPI_Isend(g->out[axis][side], count, MPI_DOUBLE, with, axis * 2 + side, MPI_COMM_WORLD, &request[MESSAGES + k]);
        }
    MPI_Waitall(2 * MESSAGES, request, done);
    for (int axis = X; axis < AXES; axis++)
        for (int side = BELOW; side <= ABOVE; side++)
            copy_side(g, axis, side, g->in[axis][side], true);
}

void adi_each_row(const adi_grid *g, void (*visit)(const adi_grid *g, const adi_cell *c, int y, int z))
{
    for (int k = 0; k < g->cut; k++) {
        const adi_cell *c = &g->cells[k];
        for (int z = c->from[Z]; z < c->to[Z]; z++)
            for (int y = c->from[Y]; y < c->to[Y]; y++)
                visit(g, c, y, z);
    }
}
