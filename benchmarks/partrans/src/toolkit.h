// The libraries, one for each material.
#ifndef PARTRANS_TOOLKIT_H
#define PARTRANS_TOOLKIT_H

#include "material.h"

// Opens libmaterial0.so, libmaterial1.so, ... in lib beside the program, and
// returns how many there are. Ends the job with a sentence when there is none.
int toolkit_open(const material ***materials);

#endif
