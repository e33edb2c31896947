#include "ft_grid.h"

static int least(int a, int b)
{
    return a < b ? a : b;
}

int ft_most_ranks(const int n[AXES])
{
    return least(n[X], n[Y]) * least(n[Y], n[Z]);
}

// Few ranks get slabs, which need one exchange instead of two. More get
// pencils: their groups grow with the root of the number of ranks, and
// messages shrink less.
static void choose_groups(ft_grid *g, int ranks)
{
    const int most_xy = least(g->n[X], g->n[Y]), most_yz = least(g->n[Y], g->n[Z]);
    g->ranks[XY] = g->ranks[YZ] = 1;
    for (; ranks > 1; ranks /= 2) {
        bool wide = g->ranks[YZ] >= 4 * g->ranks[XY];
        if (g->ranks[YZ] == most_yz || (wide && g->ranks[XY] < most_xy))
            g->ranks[XY] *= 2;
        else
            g->ranks[YZ] *= 2;
    }
}

void ft_cut(ft_grid *g, const int n[AXES], int rank, int ranks)
{
    for (int axis = X; axis < AXES; axis++)
        g->n[axis] = n[axis];
    choose_groups(g, ranks);
    g->place[XY] = rank / g->ranks[YZ];
    g->place[YZ] = rank % g->ranks[YZ];
    g->points = (size_t)(n[X] / g->ranks[XY]) * (size_t)n[Y] * (size_t)(n[Z] / g->ranks[YZ]);
    for (int group = XY; group < GROUPS; group++) {
        g->size[group][X] = n[X] / g->ranks[XY];
        g->size[group][Y] = n[Y] / g->ranks[group];
        g->size[group][Z] = n[Z] / g->ranks[YZ];
        MPI_Comm_split(MPI_COMM_WORLD, g->place[group == XY ? YZ : XY], g->place[group], &g->groups[group]);
    }
}

ft_lines ft_lines_along(const ft_grid *g, int order, int axis)
{
    size_t nx = (size_t)g->size[order][X], ny = (size_t)g->size[order][Y], nz = (size_t)g->size[order][Z];
    size_t step[AXES] = {1, nx, nx * ny};
    ft_lines l = {
        .length = (size_t)g->n[axis],
        .count = g->points / (size_t)g->n[axis],
        .part = (size_t)g->size[order][axis],
        .block = nx * ny * nz,
        .step = step[axis],
        .near = axis == X ? nx : 1,
    };
    // Only lines along y start at points of more than one plane.
    l.run = axis == Y ? nx : l.count;
    l.far = axis == Y ? nx * ny : 0;
    return l;
}

void ft_exchange(const ft_grid *g, int group, const complex *from, complex *to)
{
    int count = (int)(g->points / (size_t)g->ranks[group]);
    MPI_Alltoall(from, count, MPI_C_DOUBLE_COMPLEX, to, count, MPI_C_DOUBLE_COMPLEX, g->groups[group]);
}
