// One event: particles that fly through the geometry until they are absorbed
// or leave it. Energies are whole eV, so that sums do not depend on their order.
#ifndef PARTRANS_EVENT_H
#define PARTRANS_EVENT_H

#include "tables.h"

#include <stdint.h>

enum { LAYERS = 64 };

// A tally is words only, and sent as such.
typedef struct tally {
    uint64_t deposited[LAYERS]; // eV, by depth
    uint64_t leaked;            // eV
    uint64_t source;            // eV, of the primaries
    uint64_t collisions;
    uint64_t events;
    uint64_t digest; // depends on each event with its number
} tally;

enum { TALLY_WORDS = sizeof(tally) / sizeof(uint64_t) };

// Adds an event with so many primaries to a tally.
void event_run(const tables *t, uint64_t number, int primaries, tally *to);

// Adds one tally to another.
void tally_add(tally *to, const tally *from);

// Whether no energy was lost or gained.
int tally_balanced(const tally *t);

// A number that depends on all of a tally.
uint64_t tally_hash(const tally *t);

#endif
