#include "tables.h"

#include "job.h"
#include "random.h"
#include "toolkit.h"

#include <string.h>

// Layers of a detector with spheres in them.
static void compute_geometry(tables *t, int64_t bytes)
{
    t->side = 2;
    while ((int64_t)sizeof(uint16_t) * (t->side + 1) * (t->side + 1) * (t->side + 1) <= bytes)
        t->side++;
    int64_t n = t->side;
    t->voxels = need((size_t)(n * n * n) * sizeof *t->voxels);
    uint16_t *v = t->voxels;
    for (int64_t z = 0; z < n; z++)
        for (int64_t y = 0; y < n; y++)
            for (int64_t x = 0; x < n; x++) {
                int64_t layer = z * 32 / n, cell = n / 8 + 1;
                int64_t dx = x % cell - cell / 2, dy = y % cell - cell / 2, dz = z % cell - cell / 2;
                int64_t inside = dx * dx + dy * dy + dz * dz < cell * cell / 9;
                *v++ = (uint16_t)(mix((uint64_t)(layer * 2 + inside + 1)) % (uint64_t)t->count);
            }
}

static void compute_sections(tables *t, int64_t bytes, int steps)
{
    t->bins = (int)(bytes / (int64_t)sizeof *t->sections / t->count);
    if (t->bins < 2)
        fail("%d materials need more than %lld bytes of cross-sections", t->count, (long long)bytes);
    t->sections = need((size_t)t->count * (size_t)t->bins * sizeof *t->sections);
    t->most = need((size_t)t->bins * sizeof *t->most);
    memset(t->most, 0, (size_t)t->bins * sizeof *t->most);
    for (int m = 0; m < t->count; m++)
        for (int bin = 0; bin < t->bins; bin++) {
            uint64_t energy = (uint64_t)bin * ENERGY_MOST / (uint64_t)t->bins;
            double *s = t->sections[(int64_t)m * t->bins + bin], sum = 0;
            for (int p = 0; p < PROCESSES; p++)
                s[p] = sum += t->materials[m]->cross_section((process)p, energy, steps);
            if (sum > t->most[bin])
                t->most[bin] = sum;
        }
}

void tables_compute(tables *t, int mib, int steps)
{
    int64_t half = (int64_t)mib << 19;
    t->count = toolkit_open(&t->materials);
    compute_geometry(t, half);
    compute_sections(t, half, steps);
}

uint64_t tables_hash(const tables *t)
{
    uint64_t hash = (uint64_t)t->count, word;
    int64_t voxels = (int64_t)t->side * t->side * t->side, sections = (int64_t)t->count * t->bins;
    for (int64_t i = 0; i < voxels; i++)
        hash = mix(hash + t->voxels[i]);
    for (int64_t i = 0; i < sections; i++)
        for (int p = 0; p < PROCESSES; p++) {
            memcpy(&word, &t->sections[i][p], sizeof word);
            hash = mix(hash + word);
        }
    return hash;
}
