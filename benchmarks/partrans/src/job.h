// What concerns the whole job.
#ifndef PARTRANS_JOB_H
#define PARTRANS_JOB_H

#include <stddef.h>

// Ends the job with a sentence.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Memory, or the end of the job.
void *need(size_t bytes);

#endif
