#include "lu_grid.h"

#include <string.h>

// A part has to have both layers of its neighbour's halo, and one more as in
// NPB.
enum { LEAST_POINTS = 3 };

int lu_most_across(int n)
{
    return n / LEAST_POINTS;
}

// The most square grid of ranks, with not less of them along x than along y.
static bool choose_ranks(lu_grid *g, int ranks)
{
    int across = 1;
    while ((across + 1) * (across + 1) <= ranks)
        across++;
    while (ranks % across != 0)
        across--;
    g->ranks[X] = ranks / across;
    g->ranks[Y] = across;
    return g->ranks[X] <= 2 * across;
}

bool lu_cut(lu_grid *g, int n, int rank, int ranks)
{
    if (!choose_ranks(g, ranks) || g->ranks[X] > lu_most_across(n))
        return false;
    const int far[2] = {1, g->ranks[X]}; // between the numbers of neighbours
    g->n = n;
    g->place[X] = rank % g->ranks[X];
    g->place[Y] = rank / g->ranks[X];
    for (int axis = X; axis <= Y; axis++) {
        int place = g->place[axis], several = g->ranks[axis];
        g->first[axis] = n * place / several;
        g->size[axis] = n * (place + 1) / several - g->first[axis];
        g->neighbour[axis][BELOW] = place > 0 ? rank - far[axis] : MPI_PROC_NULL;
        g->neighbour[axis][ABOVE] = place < several - 1 ? rank + far[axis] : MPI_PROC_NULL;
    }
    g->size[Z] = n;
    for (int axis = X; axis < AXES; axis++) {
        g->begin[axis] = g->first[axis] == 0 ? 1 : 0;
        g->end[axis] = g->first[axis] + g->size[axis] == n ? g->size[axis] - 1 : g->size[axis];
    }
    g->line = g->size[X] + 2 * LU_HALO;
    g->row = g->line * UNKNOWNS;
    g->plane = g->row * (g->size[Y] + 2 * LU_HALO);
    g->length = g->plane * (g->size[Z] + 2 * LU_HALO);
    return true;
}

void lu_make(lu_grid *g)
{
    ptrdiff_t column = g->size[Y] * UNKNOWNS;
    size_t    longest = (size_t)(LU_HALO * g->n * (g->row > column ? g->row : column));
    g->out = nas_alloc(longest, sizeof *g->out);
    g->in = nas_alloc(longest, sizeof *g->in);
}

// Copies column x of plane z to a buffer, and returns where the buffer goes on.
static double *copy_column(const lu_grid *g, const double *a, int x, int z, double *buffer)
{
    for (int y = 0; y < g->size[Y]; y++)
        for (int m = 0; m < UNKNOWNS; m++)
            *buffer++ = a[lu_at(g, x, y, z) + m * g->line];
    return buffer;
}

static const double *copy_column_back(const lu_grid *g, double *a, int x, int z, const double *buffer)
{
    for (int y = 0; y < g->size[Y]; y++)
        for (int m = 0; m < UNKNOWNS; m++)
            a[lu_at(g, x, y, z) + m * g->line] = *buffer++;
    return buffer;
}

// Sends as many layers as the halo has to one side along an axis, and receives
// those of the other side. Lines of x go with their halo, so that edges get
// across too, as x is done first.
static void shift(const lu_grid *g, double *a, int axis, int side)
{
    const int from = g->neighbour[axis][side == ABOVE ? BELOW : ABOVE], to = g->neighbour[axis][side];
    const int leaving = side == ABOVE ? g->size[axis] - LU_HALO : 0, arriving = side == ABOVE ? -LU_HALO : g->size[axis];
    const ptrdiff_t rows = LU_HALO * g->row, columns = LU_HALO * UNKNOWNS * g->size[Y];
    const int       count = (int)(g->n * (axis == X ? columns : rows));
    double         *out = g->out;
    for (int z = 0; z < g->n; z++)
        if (axis == X)
            for (int k = 0; k < LU_HALO; k++)
                out = copy_column(g, a, leaving + k, z, out);
        else
            memcpy(out + rows * z, a + lu_at(g, -LU_HALO, leaving, z), (size_t)rows * sizeof *out);
    MPI_Sendrecv(g->out, count, MPI_DOUBLE, to, 0, g->in, count, MPI_DOUBLE, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if (from == MPI_PROC_NULL)
        return;
    const double *in = g->in;
    for (int z = 0; z < g->n; z++)
        if (axis == X)
            for (int k = 0; k < LU_HALO; k++)
                in = copy_column_back(g, a, arriving + k, z, in);
        else
            memcpy(a + lu_at(g, -LU_HALO, arriving, z), in + rows * z, (size_t)rows * sizeof *in);
}

void lu_halo(const lu_grid *g, double *a)
{
    for (int axis = X; axis <= Y; axis++) {
        shift(g, a, axis, ABOVE);
        shift(g, a, axis, BELOW);
    }
}

void lu_take_over(const lu_grid *g, double *a, int z, int side)
{
    int x = side == BELOW ? -1 : g->size[X], y = side == BELOW ? -1 : g->size[Y];
    if (g->neighbour[X][side] != MPI_PROC_NULL) {
        MPI_Recv(g->in, g->size[Y] * UNKNOWNS, MPI_DOUBLE, g->neighbour[X][side], 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        copy_column_back(g, a, x, z, g->in);
    }
    MPI_Recv(a + lu_at(g, -LU_HALO, y, z), (int)g->row, MPI_DOUBLE, g->neighbour[Y][side], 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

void lu_pass_on(const lu_grid *g, const double *a, int z, int side)
{
    int x = side == BELOW ? 0 : g->size[X] - 1, y = side == BELOW ? 0 : g->size[Y] - 1;
    if (g->neighbour[X][side] != MPI_PROC_NULL) {
        copy_column(g, a, x, z, g->out);
        MPI_Send(g->out, g->size[Y] * UNKNOWNS, MPI_DOUBLE, g->neighbour[X][side], 0, MPI_COMM_WORLD);
    }
    MPI_Send(a + lu_at(g, -LU_HALO, y, z), (int)g->row, MPI_DOUBLE, g->neighbour[Y][side], 0, MPI_COMM_WORLD);
}

void lu_sum(double *v, int count)
{
    double all[UNKNOWNS];
    MPI_Allreduce(v, all, count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    memcpy(v, all, (size_t)count * sizeof *v);
}
