#include "mg_grid.h"

#include <string.h>

// Which of two neighbours along an axis.
enum { BELOW, ABOVE };

static int rank_at(const hierarchy *h, const int place[AXES])
{
    return place[X] + h->ranks[X] * (place[Y] + h->ranks[Y] * place[Z]);
}

void mg_cut(hierarchy *h, int rank, int ranks)
{
    for (int axis = X; axis < AXES; axis++)
        h->ranks[axis] = 1;
    // z first: its faces lie in one piece, those of x are the most scattered.
    for (int axis = Z; ranks > 1; ranks /= 2) {
        h->ranks[axis] *= 2;
        axis = axis == X ? Z : axis - 1;
    }
    h->gathered = nas_log2(h->ranks[Z]);

    h->place[X] = rank % h->ranks[X];
    h->place[Y] = rank / h->ranks[X] % h->ranks[Y];
    h->place[Z] = rank / h->ranks[X] / h->ranks[Y];
    for (int axis = X; axis < AXES; axis++)
        for (int side = BELOW; side <= ABOVE; side++) {
            int place[AXES];
            memcpy(place, h->place, sizeof place);
            place[axis] = (place[axis] + (side == ABOVE ? 1 : h->ranks[axis] - 1)) % h->ranks[axis];
            h->neighbour[axis][side] = rank_at(h, place);
        }
}

static level make_level(const hierarchy *h, int k, bool whole)
{
    level l = {.whole = whole};
    for (int axis = X; axis < AXES; axis++)
        l.n[axis] = (1 << k) / (whole ? 1 : h->ranks[axis]);
    l.line = (size_t)l.n[X] + 2;
    l.plane = l.line * ((size_t)l.n[Y] + 2);
    l.points = l.plane * ((size_t)l.n[Z] + 2);
    l.u = nas_alloc(l.points, sizeof *l.u);
    l.r = nas_alloc(l.points, sizeof *l.r);
    return l;
}

void mg_make(hierarchy *h)
{
    for (int k = 1; k <= h->top; k++)
        h->levels[k] = make_level(h, k, k <= h->gathered);
    if (h->gathered > 0) {
        h->box = make_level(h, h->gathered, false);
        h->all = nas_alloc((size_t)1 << 3 * h->gathered, sizeof *h->all);
    }
    // Of a box the layer across z is the largest, because z is cut at least as
    // often as the others. With very many ranks a whole level's is larger.
    size_t largest = h->levels[h->top].plane;
    if (h->levels[h->gathered].plane > largest)
        largest = h->levels[h->gathered].plane;
    for (int side = BELOW; side <= ABOVE; side++) {
        h->out[side] = nas_alloc(largest, sizeof(double));
        h->in[side] = nas_alloc(largest, sizeof(double));
    }
}

// Copies the layer of a at one index of an axis to a buffer, or back, and
// returns how many points that is. Along the axes before this one it takes in
// the halo, which has been filled by then: so edges and corners get across.
static int copy_layer(const level *l, double *a, int axis, int index, double *buffer, bool back)
{
    if (axis == X) {
        double *b = buffer;
        for (int z = 1; z <= l->n[Z]; z++)
            for (int y = 1; y <= l->n[Y]; y++, b++) {
                double *point = a + (size_t)index + l->line * (size_t)y + l->plane * (size_t)z;
                if (back)
                    *point = *b;
                else
                    *b = *point;
            }
        return (int)(b - buffer);
    }
    size_t piece = axis == Y ? l->line : l->plane;
    size_t pieces = axis == Y ? (size_t)l->n[Z] : 1;
    double *from = axis == Y ? a + l->plane + l->line * (size_t)index : a + l->plane * (size_t)index;
    for (size_t i = 0; i < pieces; i++) {
        double *inside = from + i * l->plane, *b = buffer + i * piece;
        memcpy(back ? inside : b, back ? b : inside, piece * sizeof *a);
    }
    return (int)(piece * pieces);
}

static void wrap_around(const hierarchy *h, const level *l, double *a, int axis)
{
    int last = l->n[axis];
    copy_layer(l, a, axis, last, h->out[0], false);
    copy_layer(l, a, axis, 0, h->out[0], true);
    copy_layer(l, a, axis, 1, h->out[0], false);
    copy_layer(l, a, axis, last + 1, h->out[0], true);
}

static void swap_layers(const hierarchy *h, const level *l, double *a, int axis)
{
    const int *with = h->neighbour[axis];
    int last = l->n[axis];
    int count = copy_layer(l, a, axis, 1, h->out[BELOW], false);
    copy_layer(l, a, axis, last, h->out[ABOVE], false);
    // With two ranks along the axis both neighbours are the same rank: the tag
    // tells the way a layer travels.
    MPI_Request receive[2];
    MPI_Irecv(h->in[BELOW], count, MPI_DOUBLE, with[BELOW], ABOVE, MPI_COMM_WORLD, &receive[BELOW]);
    MPI_Irecv(h->in[ABOVE], count, MPI_DOUBLE, with[ABOVE], BELOW, MPI_COMM_WORLD, &receive[ABOVE]);
    MPI_Send(h->out[ABOVE], count, MPI_DOUBLE, with[ABOVE], ABOVE, MPI_COMM_WORLD);
    MPI_Send(h->out[BELOW], count, MPI_DOUBLE, with[BELOW], BELOW, MPI_COMM_WORLD);
    MPI_Status done[2]; // gcc 12 takes MPICH's MPI_STATUSES_IGNORE for an array too short
    MPI_Waitall(2, receive, done);
    copy_layer(l, a, axis, 0, h->in[BELOW], true);
    copy_layer(l, a, axis, last + 1, h->in[ABOVE], true);
}

void mg_halo(const hierarchy *h, const level *l, double *a)
{
    for (int axis = X; axis < AXES; axis++)
        if (l->whole || h->ranks[axis] == 1)
            wrap_around(h, l, a, axis);
        else
            swap_layers(h, l, a, axis);
}

// Copies lines of points between two grids of different shape.
static void copy_box(double *to, size_t to_line, size_t to_plane, const double *from, size_t from_line, size_t from_plane, const int n[AXES])
{
    for (int z = 0; z < n[Z]; z++)
        for (int y = 0; y < n[Y]; y++)
            memcpy(to + to_line * (size_t)y + to_plane * (size_t)z, from + from_line * (size_t)y + from_plane * (size_t)z,
                   (size_t)n[X] * sizeof *to);
}

void mg_gather(hierarchy *h)
{
    const level *box = &h->box, *whole = &h->levels[h->gathered];
    size_t       line = (size_t)box->n[X], plane = line * (size_t)box->n[Y], points = plane * (size_t)box->n[Z];
    size_t       first = 1 + box->line + box->plane;
    copy_box(h->out[0], line, plane, box->r + first, box->line, box->plane, box->n);
    MPI_Allgather(h->out[0], (int)points, MPI_DOUBLE, h->all, (int)points, MPI_DOUBLE, MPI_COMM_WORLD);

    int place[AXES];
    for (place[Z] = 0; place[Z] < h->ranks[Z]; place[Z]++)
        for (place[Y] = 0; place[Y] < h->ranks[Y]; place[Y]++)
            for (place[X] = 0; place[X] < h->ranks[X]; place[X]++) {
                size_t x = (size_t)(1 + place[X] * box->n[X]), y = (size_t)(1 + place[Y] * box->n[Y]), z = (size_t)(1 + place[Z] * box->n[Z]);
                copy_box(whole->r + x + whole->line * y + whole->plane * z, whole->line, whole->plane,
                         h->all + points * (size_t)rank_at(h, place), line, plane, box->n);
            }
    mg_halo(h, whole, whole->r);
}

void mg_scatter(hierarchy *h)
{
    const level *box = &h->box, *whole = &h->levels[h->gathered];
    size_t x = (size_t)(h->place[X] * box->n[X]), y = (size_t)(h->place[Y] * box->n[Y]), z = (size_t)(h->place[Z] * box->n[Z]);
    const int with_halo[AXES] = {box->n[X] + 2, box->n[Y] + 2, box->n[Z] + 2};
    copy_box(box->u, box->line, box->plane, whole->u + x + whole->line * y + whole->plane * z, whole->line, whole->plane, with_halo);
}
