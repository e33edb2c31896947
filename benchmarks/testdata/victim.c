// A process that tells by its own clock when it did not run.
//
//     victim MIB SECONDS PERMIL HOW THREADS
//                            fill MIB of memory, then watch the clock for SECONDS (0 is for ever)
//                            and write PERMIL of a thousand pages anew each second. HOW is "random",
//                            or "half" for a quarter of random pages and three of repeating ones.
//                            THREADS - 1 more threads wake up once in a millisecond
//     victim work MIB LOOPS  do a fixed amount of work on MIB of memory, and end
//
// Lines on standard output, times in nanoseconds of CLOCK_REALTIME, which none
// of the tools compared changes: its reader may take them for its own.
//
//     ready T         memory is filled
//     gap T LENGTH    the clock stood still from T on for LENGTH, as far as the process could see
//     beat T          50 times a second

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, WORDS = PAGE / 8 };

static const int64_t BEAT = 20 * 1000 * 1000;
static const int64_t GAP = 1000 * 1000;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Marsaglia's xorshift: its output neither compresses nor repeats.
static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void fill(uint64_t *page, uint64_t *seed, int repeating)
{
    uint64_t word = next(seed);
    for (int i = 0; i < WORDS; i++)
        page[i] = repeating ? word : next(seed);
}

static void *wake(void *unused)
{
    for (;;)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    return unused;
}

static void watch(uint64_t *memory, size_t pages, uint64_t *seed, int64_t seconds, size_t per_mil)
{
    int64_t start = now(), last = start, beat = start;
    size_t per_beat = pages * per_mil / 1000 / (1000000000 / (size_t)BEAT);
    size_t at = 0;
    for (;;) {
        int64_t t = now();
        if (t - last > GAP)
            printf("gap %lld %lld\n", (long long)last, (long long)(t - last));
        if (t - beat > BEAT) {
            printf("beat %lld\n", (long long)t);
            fflush(stdout);
            beat = t;
            // A tool that knows what changed may save it, one that does not may not.
            for (size_t i = 0; i < per_beat; i++, at = (at + 1) % pages)
                memory[at * WORDS] = next(seed);
            if (seconds > 0 && t - start > seconds * 1000000000)
                return;
        }
        last = t; // before the beat: a stop in the midst of it is a gap too
    }
}

static uint64_t work(uint64_t *memory, size_t words, long loops)
{
    uint64_t sum = 0;
    for (long l = 0; l < loops; l++)
        for (size_t i = 0; i < words; i++)
            sum += memory[i] = memory[i] * 6364136223846793005u + 1442695040888963407u;
    return sum;
}

int main(int argc, char **argv)
{
    int working = argc == 4 && strcmp(argv[1], "work") == 0;
    if (argc != 6 && !working) {
        fprintf(stderr, "usage: victim MIB SECONDS PERMIL random|half THREADS | victim work MIB LOOPS\n");
        return 2;
    }
    size_t pages = strtoul(argv[1 + working], NULL, 10) << 8;
    long amount = strtol(argv[2 + working], NULL, 10);
    int half = !working && strcmp(argv[4], "half") == 0;
    uint64_t *memory = malloc(pages * PAGE), seed = 88172645463325252u;
    if (memory == NULL) {
        perror("victim");
        return 1;
    }
    for (size_t i = 0; i < pages; i++)
        fill(memory + i * WORDS, &seed, half && i % 4 != 0);
    printf("ready %lld\n", (long long)now());
    fflush(stdout);
    for (long i = working ? 1 : strtol(argv[5], NULL, 10); i > 1; i--) {
        pthread_t t;
        if (pthread_create(&t, NULL, wake, NULL) != 0)
            return 1;
    }
    if (working)
        printf("sum %llx\n", (unsigned long long)work(memory, pages * WORDS, amount));
    else
        watch(memory, pages, &seed, amount, strtoul(argv[3], NULL, 10));
    return 0;
}
