#include "sp_lines.h"

#include "adi_flow.h"

#include <math.h>

static const int speed_of[COMPONENTS] = {WITH_FLOW, WITH_FLOW, WITH_FLOW, FORTH, BACK};

// What a row of the systems needs of a point.
typedef struct point {
    lanes convection[SPEEDS], diffusion;
} point;

static point look_at(const adi_bundle *b, int i)
{
    const double slope = b->grid->dt * b->grid->slope, curve = b->grid->dt * b->grid->curve;
    const lanes  inverse = adi_load(b, b->cell->inverse, i), sound = adi_load(b, b->cell->sound, i);
    const lanes  velocity = adi_load(b, b->cell->velocity[b->axis], i);
    return (point){
        .convection = {[WITH_FLOW] = slope * velocity, [FORTH] = slope * (velocity + sound), [BACK] = slope * (velocity - sound)},
        // Of all that diffuses heat does so most.
        .diffusion = curve * (adi_diffusion[b->axis] + adi_viscosity * adi_conduction * inverse),
    };
}

// Eliminates from a row what lies left of the diagonal, by the two rows before.
static void eliminate(const point *before, const point *here, const point *after, const double *weights, sp_record *r)
{
    const sp_record *one = r - 1, *two = r - 2;
    const double     left = weights[0], right = weights[4];
    lanes            lower[SPEEDS], inverse[SPEEDS];
    for (int s = 0; s < SPEEDS; s++) {
        lower[s] = weights[1] - before->convection[s] - before->diffusion - left * two->near[s];
        lanes diagonal = 1 + weights[2] + 2 * here->diffusion - left * two->far[s] - lower[s] * one->near[s];
        inverse[s] = 1 / diagonal;
        r->near[s] = inverse[s] * (weights[3] + after->convection[s] - after->diffusion - lower[s] * one->far[s]);
        r->far[s] = inverse[s] * right;
    }
    for (int m = 0; m < COMPONENTS; m++) {
        int s = speed_of[m];
        r->x[m] = inverse[s] * (r->x[m] - left * two->x[m] - lower[s] * one->x[m]);
    }
}

void sp_eliminate(const adi_bundle *b, void *records)
{
    sp_record *record = records;
    point      points[3]; // point i at i mod 3
    points[2] = look_at(b, -1);
    points[0] = look_at(b, 0);
    for (int i = 0; i < b->rows; i++) {
        points[(i + 1) % 3] = look_at(b, i + 1);
        for (int m = 0; m < COMPONENTS; m++)
            record[i].x[m] = adi_load(b, b->cell->rhs[m], i);
        const double *fourth = adi_weights(b->first + i, b->grid->n);
        double        weights[5];
        for (int k = 0; k < 5; k++)
            weights[k] = b->grid->dt * adi_dissipation * fourth[k];
        eliminate(&points[(i + 2) % 3], &points[i % 3], &points[(i + 1) % 3], weights, &record[i]);
    }
}

// Turns waves along an axis into waves along the next one. There is none after z.
static void turn(int axis, const lanes x[COMPONENTS], lanes y[COMPONENTS])
{
    const double root = sqrt(0.5);
    lanes        mean = 0.5 * (x[3] + x[4]);
    switch (axis) {
    case X:
        y[0] = -x[1];
        y[1] = x[0];
        y[2] = root * (x[3] - x[4]);
        y[3] = mean - root * x[2];
        y[4] = mean + root * x[2];
        break;
    case Y:
        y[0] = root * (x[3] - x[4]);
        y[1] = -x[2];
        y[2] = x[1];
        y[3] = mean - root * x[0];
        y[4] = mean + root * x[0];
        break;
    default:
        for (int m = 0; m < COMPONENTS; m++)
            y[m] = x[m];
    }
}

void sp_substitute(const adi_bundle *b, void *records)
{
    sp_record *record = records;
    for (int i = b->rows - 1; i >= 0; i--) {
        sp_record *r = &record[i];
        lanes      turned[COMPONENTS];
        for (int m = 0; m < COMPONENTS; m++) {
            int s = speed_of[m];
            r->x[m] -= r->near[s] * r[1].x[m] + r->far[s] * r[2].x[m];
        }
        turn(b->axis, r->x, turned);
        for (int m = 0; m < COMPONENTS; m++)
            adi_store(b, b->cell->rhs[m], i, turned[m]);
    }
}
