// The method of BT: block tridiagonal systems, with blocks of 5x5.

#ifndef NAS_BT_BLOCKS_H
#define NAS_BT_BLOCKS_H

#include "adi_lines.h"

typedef lanes bt_block[COMPONENTS][COMPONENTS];

// What is left of a row after elimination: 1*x + upper*x of the next row = right.
typedef struct bt_record {
    lanes    x[COMPONENTS];
    bt_block upper;
} bt_record;

void bt_eliminate(const adi_bundle *b, void *records);
void bt_substitute(const adi_bundle *b, void *records);

#endif
