// The sizes of IS, and what its verification knows.

#ifndef NAS_IS_CLASSES_H
#define NAS_IS_CLASSES_H

#include "common.h"

enum { ITERATIONS = 10, PROBES = 5, MAX_BUCKETS = 1 << 10, MAX_RANKS = 1024 };

// A probe is a key whose rank is known after iteration i: rank + slope*i + offset.
typedef struct {
    int64_t index, rank;
    int     slope, offset;
} probe;

static const struct {
    int   log_keys, log_max, log_buckets, min_ranks, max_ranks;
    probe probes[PROBES];
} classes[NAS_CLASSES] = {
    {16, 11, 9, 1, 128, // S
     {{48427, 0, 1, 0}, {17148, 18, 1, 0}, {23627, 346, 1, 0},
      {62548, 64917, -1, 0}, {4431, 65463, -1, 0}}},
    {20, 16, 10, 1, MAX_RANKS, // W
     {{357773, 1249, 1, -2}, {934767, 11698, 1, -2}, {875723, 1039987, -1, 0},
      {898999, 1043896, -1, 0}, {404505, 1048018, -1, 0}}},
    {23, 19, 10, 1, MAX_RANKS, // A
     {{2112377, 104, 1, -1}, {662041, 17523, 1, -1}, {5336171, 123928, 1, -1},
      {3642833, 8288932, -1, 1}, {4250760, 8388264, -1, 1}}},
    {25, 21, 10, 1, MAX_RANKS, // B
     {{41869, 33422937, -1, 0}, {812306, 10244, 1, 0}, {5102857, 59149, 1, 0},
      {18232239, 33135281, -1, 0}, {26860214, 99, 1, 0}}},
    {27, 23, 10, 1, MAX_RANKS, // C
     {{44172927, 61147, 1, 0}, {72999161, 882988, 1, 0}, {74326391, 266290, 1, 0},
      {129606274, 133997595, -1, 0}, {21736814, 133525895, -1, 0}}},
    {31, 27, 10, 4, MAX_RANKS, // D
     {{1317351170, 1, 1, 0}, {995930646, 36538729, 1, 0}, {1157283250, 1978098519, -1, 0},
      {1503301535, 2145192618, -1, 0}, {1453734525, 2147425337, -1, 0}}},
};

#endif
