// The method of SP: scalar pentadiagonal systems.

#ifndef NAS_SP_LINES_H
#define NAS_SP_LINES_H

#include "adi_lines.h"

// Speeds at which the waves that are the unknowns travel along a line: three of
// them with the flow, two at the speed of sound forth and back in it.
enum { WITH_FLOW, FORTH, BACK, SPEEDS };

// What is left of a row after elimination: 1*x + near*x of the next row + far*x
// of the row after that = right.
typedef struct sp_record {
    lanes x[COMPONENTS];
    lanes near[SPEEDS], far[SPEEDS];
} sp_record;

void sp_eliminate(const adi_bundle *b, void *records);
void sp_substitute(const adi_bundle *b, void *records);

#endif
