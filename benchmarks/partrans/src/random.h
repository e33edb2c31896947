// The random numbers of an event. Their state is one word that follows from
// the event's number: what other events draw, on whichever rank, is no matter.
#ifndef PARTRANS_RANDOM_H
#define PARTRANS_RANDOM_H

#include <stdint.h>

// The finalizer of SplitMix64: every bit of the result depends on all of x.
static inline uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t random_word(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

// Uniform in (0, 1]: its logarithm is finite.
static inline double random_unit(uint64_t *state)
{
    return (double)((random_word(state) >> 11) + 1) * 0x1p-53;
}

#endif
