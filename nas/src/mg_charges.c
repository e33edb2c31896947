#include "mg_charges.h"

#include <stdlib.h>
#include <string.h>

enum { CHARGES = 10 };

// A point with its random number, as the state of the generator: states are
// all different, so there are no ties.
typedef struct {
    uint64_t state, index; // index: x + side*(y + side*z), from 0
} point;

// The extreme points seen so far, the most extreme first.
typedef struct {
    point largest[CHARGES], smallest[CHARGES];
} extremes;

static void put_largest(extremes *e, point p)
{
    int i = CHARGES - 1;
    if (p.state <= e->largest[i].state)
        return;
    for (; i > 0 && p.state > e->largest[i - 1].state; i--)
        e->largest[i] = e->largest[i - 1];
    e->largest[i] = p;
}

static void put_smallest(extremes *e, point p)
{
    int i = CHARGES - 1;
    if (p.state >= e->smallest[i].state)
        return;
    for (; i > 0 && p.state < e->smallest[i - 1].state; i--)
        e->smallest[i] = e->smallest[i - 1];
    e->smallest[i] = p;
}

static extremes none(void)
{
    extremes e;
    memset(e.largest, 0, sizeof e.largest);
    memset(e.smallest, 0xff, sizeof e.smallest);
    return e;
}

static extremes search_box(const level *l, const uint64_t origin[AXES], uint64_t side)
{
    extremes e = none();
    for (uint64_t z = 0; z < (uint64_t)l->n[Z]; z++)
        for (uint64_t y = 0; y < (uint64_t)l->n[Y]; y++) {
            point p = {.index = origin[X] + side * (origin[Y] + y + side * (origin[Z] + z))};
            p.state = nas_skip(NAS_SEED, p.index);
            for (int x = 0; x < l->n[X]; x++, p.index++) {
                p.state = nas_step(p.state);
                put_largest(&e, p);
                put_smallest(&e, p);
            }
        }
    return e;
}

// The extremes of all ranks, on every rank.
static extremes merge(const extremes *mine)
{
    int ranks;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    extremes *all = nas_alloc((size_t)ranks, sizeof *all);
    int       words = sizeof *mine / sizeof(uint64_t);
    MPI_Allgather(mine, words, MPI_UINT64_T, all, words, MPI_UINT64_T, MPI_COMM_WORLD);
    extremes e = none();
    for (int k = 0; k < ranks; k++)
        for (int i = 0; i < CHARGES; i++) {
            put_largest(&e, all[k].largest[i]);
            put_smallest(&e, all[k].smallest[i]);
        }
    free(all);
    return e;
}

static void place(const level *l, double *v, const uint64_t origin[AXES], uint64_t side, uint64_t index, double charge)
{
    uint64_t coordinate[AXES] = {index % side, index / side % side, index / side / side};
    for (int axis = X; axis < AXES; axis++) {
        if (coordinate[axis] < origin[axis] || coordinate[axis] >= origin[axis] + (uint64_t)l->n[axis])
            return;
        coordinate[axis] += 1 - origin[axis];
    }
    v[coordinate[X] + l->line * coordinate[Y] + l->plane * coordinate[Z]] = charge;
}

void mg_place_charges(const hierarchy *h, double *v)
{
    const level *l = &h->levels[h->top];
    uint64_t     side = UINT64_C(1) << h->top, origin[AXES];
    for (int axis = X; axis < AXES; axis++)
        origin[axis] = (uint64_t)(h->place[axis] * l->n[axis]);
    extremes mine = search_box(l, origin, side), e = merge(&mine);
    for (int i = 0; i < CHARGES; i++) {
        place(l, v, origin, side, e.smallest[i].index, -1);
        place(l, v, origin, side, e.largest[i].index, 1);
    }
    mg_halo(h, l, v);
}
