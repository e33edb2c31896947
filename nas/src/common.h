// What the benchmarks share: the life of a run, the random numbers, the
// comparison with reference values. A benchmark is a table of functions; main
// hands it to nas_main, which owns MPI, the clock and standard output.

#ifndef NAS_COMMON_H
#define NAS_COMMON_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAS_CLASSES = 6 };

// A job is one run, as each rank sees it. It does not change after nas_main
// has filled it in.
typedef struct nas_job {
    char letter; // S, W, A, B, C or D
    int  class;  // the letter's place in "SWABCD": the index of class tables
    int  rank;
    int  ranks;
} nas_job;

// A size is what the report says about a problem.
typedef struct nas_size {
    char   text[32];   // 14000, or 256x 256x 256
    int    iterations; // of one repetition; 0 where the benchmark has none
    double operations; // of one repetition, all ranks together
} nas_size;

// A benchmark's functions are called in the order they are declared in, on
// all ranks; reset and run once per repetition. Only run is timed, so it
// allocates nothing.
typedef struct nas_benchmark {
    const char *name;      // two letters
    const char *operation; // what one operation is

    // Says in a sentence why the job cannot have this many ranks; NULL if it
    // can. The member itself may be NULL: any number will do.
    const char *(*refuse)(const nas_job *job);
    void (*describe)(const nas_job *job, nas_size *size);
    // Allocates, builds the problem, and runs once to touch code and pages.
    void (*prepare)(const nas_job *job);
    // Goes back to the state before the first iteration.
    void (*reset)(const nas_job *job);
    void (*run)(const nas_job *job);
    // The answer of rank 0 counts.
    bool (*verify)(const nas_job *job);
} nas_benchmark;

// Runs one benchmark from MPI_Init to MPI_Finalize and returns the exit
// status: 0 verified, 1 not verified, 2 refused (arguments, rank count).
int nas_main(const nas_benchmark *benchmark, int argc, char **argv);

// Tells, from rank 0, that iteration k begins; the line is flushed so that a
// reader of the output knows where the run is.
void nas_iteration(const nas_job *job, int k);

// Returns zeroed memory for count objects of size bytes, never NULL. What is
// not touched costs nothing.
void *nas_alloc(size_t count, size_t size);

// Reports value against its reference, from rank 0, and returns whether the
// relative difference is at most tolerance; a NaN is not.
bool nas_matches(const nas_job *job, const char *what, double value, double reference, double tolerance);

// Added to every reference value, in its own unit: 0 but in the build whose
// verification has to fail.
#ifdef NAS_TEST_BREAK
enum { NAS_BREAK = 1 };
#else
enum { NAS_BREAK = 0 };
#endif

bool nas_power_of_two(int n);

// The floor of the binary logarithm of n > 0.
int nas_log2(int n);

// The generator of all random numbers: x' = 5^13 x mod 2^46. The product may
// wrap around 2^64, because 2^46 divides that.
#define NAS_SEED UINT64_C(314159265) // of all but EP

static inline uint64_t nas_step(uint64_t x)
{
    return x * UINT64_C(1220703125) & ((UINT64_C(1) << 46) - 1);
}

// The state as a number in (0, 1); exact.
static inline double nas_unit(uint64_t x)
{
    return (double)(int64_t)x * 0x1p-46;
}

// The state n steps after x, in time log n.
uint64_t nas_skip(uint64_t x, uint64_t n);

#endif
