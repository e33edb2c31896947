#include "event.h"

#include "random.h"

#include <math.h>

enum {
    CUTOFF = MEV / 100,    // below, a particle stays where it is
    SPLITTABLE = 1022000,  // at least, to become two
    FLIGHTS = 64,          // on the stack: a particle of 10 MeV becomes at most 16
};

static const double EDGE = 100; // of the cube, in cm

typedef struct flight {
    double   at[3], to[3]; // in cm, from 0 to EDGE; a unit vector
    uint64_t energy;
} flight;

// The natural logarithm, from operations that every processor rounds alike: the
// one of the C library may choose another code on another host.
static double logarithm(double x)
{
    double halves = 0;
    for (; x < 1; x *= 2)
        halves++;
    double t = (x - 1) / (x + 1), power = t, sum = 0;
    for (int i = 1; i < 30; i += 2, power *= t * t)
        sum += power / i;
    return 2 * sum - halves * 0.69314718055994531;
}

// Marsaglia's method needs neither sine nor cosine.
static void turn(double to[3], uint64_t *state)
{
    double a, b, s;
    do {
        a = 2 * random_unit(state) - 1;
        b = 2 * random_unit(state) - 1;
        s = a * a + b * b;
    } while (s >= 1);
    double root = sqrt(1 - s);
    to[0] = 2 * a * root;
    to[1] = 2 * b * root;
    to[2] = 1 - 2 * s;
}

static int inside(const double at[3])
{
    for (int i = 0; i < 3; i++)
        if (!(at[i] >= 0 && at[i] < EDGE))
            return 0;
    return 1;
}

static int material_at(const tables *t, const double at[3])
{
    int64_t v[3];
    for (int i = 0; i < 3; i++)
        v[i] = (int64_t)(at[i] / EDGE * t->side);
    return t->voxels[(v[2] * t->side + v[1]) * t->side + v[0]];
}

// Woodcock's method: flies as if all were of the densest material, and asks at
// each stop whether that was a collision. Returns the material, or -1 for a
// particle that left.
static int collide(const tables *t, flight *f, int bin, uint64_t *state)
{
    double path = 1 / t->most[bin];
    for (;;) {
        double step = -logarithm(random_unit(state)) * path;
        for (int i = 0; i < 3; i++)
            f->at[i] += step * f->to[i];
        if (!inside(f->at))
            return -1;
        int material = material_at(t, f->at);
        if (random_unit(state) * t->most[bin] <= tables_sections(t, material, bin)[PROCESSES - 1])
            return material;
    }
}

static void deposit(tally *to, const flight *f, uint64_t energy)
{
    to->deposited[(int)(f->at[2] / EDGE * LAYERS)] += energy;
}

static process choose(const double sections[PROCESSES], uint64_t *state)
{
    double u = random_unit(state) * sections[PROCESSES - 1];
    int p = 0;
    while (p < PROCESSES - 1 && u > sections[p])
        p++;
    return (process)p;
}

// Follows a particle to its end. Others that it becomes go on the stack, whose
// new height is returned.
static int follow(const tables *t, flight f, flight *stack, int height, uint64_t *state, tally *to)
{
    while (f.energy >= CUTOFF) {
        int bin = tables_bin(t, f.energy), material = collide(t, &f, bin, state);
        if (material < 0) {
            to->leaked += f.energy;
            return height;
        }
        to->collisions++;
        process what = choose(tables_sections(t, material, bin), state);
        if (what == SCATTERING) {
            uint64_t left = t->materials[material]->scattered(f.energy, random_unit(state));
            deposit(to, &f, f.energy - left);
            f.energy = left;
        } else if (what == SPLITTING && f.energy >= SPLITTABLE && height < FLIGHTS) {
            stack[height] = f;
            stack[height].energy = f.energy / 2;
            turn(stack[height++].to, state);
            f.energy -= f.energy / 2;
        } else {
            break;
        }
        turn(f.to, state);
    }
    deposit(to, &f, f.energy);
    return height;
}

void event_run(const tables *t, uint64_t number, int primaries, tally *to)
{
    uint64_t state = mix(number + 1);
    tally    mine = {.events = 1};
    for (int i = 0; i < primaries; i++) {
        flight stack[FLIGHTS] = {{.at = {EDGE / 2, EDGE / 2, 0}, .to = {0, 0, 1}}};
        stack[0].energy = MEV + random_word(&state) % (ENERGY_MOST - MEV + 1);
        mine.source += stack[0].energy;
        for (int height = 1; height > 0;) {
            height--;
            height = follow(t, stack[height], stack, height, &state, &mine);
        }
    }
    mine.digest = mix(number + tally_hash(&mine));
    tally_add(to, &mine);
}

void tally_add(tally *to, const tally *from)
{
    uint64_t       *sum = (uint64_t *)to;
    const uint64_t *more = (const uint64_t *)from;
    for (int i = 0; i < TALLY_WORDS; i++)
        sum[i] += more[i];
}

int tally_balanced(const tally *t)
{
    uint64_t sum = t->leaked;
    for (int i = 0; i < LAYERS; i++)
        sum += t->deposited[i];
    return sum == t->source;
}

uint64_t tally_hash(const tally *t)
{
    const uint64_t *words = (const uint64_t *)t;
    uint64_t        hash = 0;
    for (int i = 0; i < TALLY_WORDS; i++)
        hash = mix(hash + words[i]);
    return hash;
}
