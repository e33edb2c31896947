#include "cg_grid.h"

#include "common.h"

#include <string.h>

// The first of n elements that belongs to block k of several.
static int split(int n, int several, int k)
{
    return (int)((int64_t)n * k / several);
}

static int rank_at(const cg_grid *g, int i, int j)
{
    return i * g->across + j;
}

void cg_lay_out(cg_grid *g, int n, int rank, int ranks)
{
    g->down = 1 << nas_log2(ranks) / 2;
    g->across = ranks / g->down;
    g->wide = g->across / g->down;
    g->i = rank / g->across;
    g->j = rank % g->across;

    g->matrix.row = split(n, g->down, g->i);
    g->matrix.rows = split(n, g->down, g->i + 1) - g->matrix.row;
    g->matrix.column = split(n, g->across, g->j);
    g->matrix.columns = split(n, g->across, g->j + 1) - g->matrix.column;

    int half = g->j % g->wide;
    int part = g->i * g->wide + half;
    g->partner = rank_at(g, g->j / g->wide, part);
    g->share = split(n, g->across, part) - g->matrix.row;
    g->share_length = split(n, g->across, part + 1) - g->matrix.row - g->share;
    g->sibling = rank_at(g, g->i, g->j ^ 1);
    g->other = half == 0 ? g->share_length : 0;
    g->other_length = g->matrix.rows - g->share_length;
    g->w = nas_alloc((size_t)g->matrix.rows, sizeof *g->w);
    g->arriving = nas_alloc((size_t)g->matrix.rows, sizeof *g->arriving);
}

static void swap(const double *out, int out_length, double *in, int in_length, int with)
{
    MPI_Sendrecv(out, out_length, MPI_DOUBLE, with, 0, in, in_length, MPI_DOUBLE, with, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

// Pairs add in either order and get the same bits, so the copies of a vector in
// a column of the grid never drift apart.
void cg_sum(const cg_grid *g, double *v, int count)
{
    double theirs[2];
    for (int bit = 1; bit < g->across; bit <<= 1) {
        swap(v, count, theirs, count, rank_at(g, g->i, g->j ^ bit));
        for (int k = 0; k < count; k++)
            v[k] += theirs[k];
    }
}

static void multiply_block(const cg_grid *g, const double *restrict v)
{
    const int32_t *index = g->matrix.index;
    const double  *value = g->matrix.value;
    for (int i = 0; i < g->matrix.rows; i++) {
        int64_t k = g->matrix.start[i], end = g->matrix.start[i + 1];
        double  even = 0, odd = 0; // two chains of additions, that overlap
        for (; k + 1 < end; k += 2) {
            even += value[k] * v[index[k]];
            odd += value[k + 1] * v[index[k + 1]];
        }
        if (k < end)
            even += value[k] * v[index[k]];
        g->w[i] = even + odd;
    }
}

static void add_arrived(const cg_grid *g, double *share)
{
    for (int k = 0; k < g->share_length; k++)
        share[k] += g->arriving[k];
}

void cg_multiply(const cg_grid *g, const double *v, double *out)
{
    multiply_block(g, v);
    double *share = g->w + g->share;
    if (g->wide == 2) {
        swap(g->w + g->other, g->other_length, g->arriving, g->share_length, g->sibling);
        add_arrived(g, share);
    }
    for (int bit = g->wide; bit < g->across; bit <<= 1) {
        swap(share, g->share_length, g->arriving, g->share_length, rank_at(g, g->i, g->j ^ bit));
        add_arrived(g, share);
    }
    if (g->partner == rank_at(g, g->i, g->j))
        memcpy(out, share, (size_t)g->matrix.columns * sizeof *out);
    else
        swap(share, g->share_length, out, g->matrix.columns, g->partner);
}

