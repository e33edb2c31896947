// A library of the toolkit. It is compiled once for each material, with MATERIAL
// as its number.
#include "material.h"
#include "random.h"

enum { SHELLS = 1024 };

// Each library has pages of its own that are written when it is loaded.
static double binding[SHELLS]; // in MeV
static double strength[SHELLS];

__attribute__((constructor)) static void load(void)
{
    uint64_t state = MATERIAL;
    for (int i = 0; i < SHELLS; i++) {
        binding[i] = 0.01 + 3 * random_unit(&state);
        strength[i] = 0.1 + random_unit(&state);
    }
}

// Resonances at the shells over a background that falls with the energy. Only
// operations that IEEE 754 rounds correctly: every host gets the same bits.
static double cross_section(process what, uint64_t energy, int steps)
{
    static const double weight[PROCESSES] = {0.02, 0.12, 0.015};
    double mev = 1e-6 * (double)energy, sum = 0;
    for (int i = 0; i < steps; i++) {
        double off = mev - binding[(i * 7 + (int)what) % SHELLS];
        sum += strength[i % SHELLS] / (0.05 + off * off);
    }
    return weight[what] * (1 / (0.3 + mev) + 0.2 * sum / steps);
}

static uint64_t scattered(uint64_t energy, double u)
{
    double least = 0.1 + 0.5 * strength[energy % SHELLS] / 1.1;
    return (uint64_t)((least + (1 - least) * u) * (double)energy);
}

__attribute__((visibility("default"))) const material partrans_material = {MATERIAL, cross_section, scattered};
