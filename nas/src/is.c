// IS, integer sort: ranks many small integers, ten times, with two keys changed
// before each time. Keys go to buckets, buckets to ranks (one all-to-all of
// nearly all keys), and each rank counts the keys of its buckets.

#include "common.h"

#include "is_classes.h"

#include <stdio.h>
#include <string.h>

static int      buckets, shift; // key >> shift is its bucket
static int32_t  max_key;
static int64_t  own;            // keys this rank holds before they are exchanged
static int32_t *keys;
static int32_t  changed[2 * ITERATIONS + 1]; // the first keys as they were drawn
static int32_t *sorted;                      // keys in the order of their buckets
static int32_t *received;
static int32_t *counts; // of keys up to and with each value, from first_key on

// The buckets' sizes, then the probed keys: one reduction brings both.
static int32_t local[MAX_BUCKETS + PROBES], global[MAX_BUCKETS + PROBES];
static int     send_count[MAX_RANKS], send_at[MAX_RANKS], receive_count[MAX_RANKS], receive_at[MAX_RANKS];

// What the last iteration left for verify.
static int32_t first_key, end_key; // this rank ranks keys in [first_key, end_key)
static int64_t ranked, lesser;     // how many keys those are; how many are less
static int     right_probes;

static const char *refuse(const nas_job *job)
{
    static char why[128];
    int min = classes[job->class].min_ranks, max = classes[job->class].max_ranks;
    if (nas_power_of_two(job->ranks) && job->ranks >= min && job->ranks <= max)
        return NULL;
    snprintf(why, sizeof why, "class %c needs a power of two of ranks from %d to %d, not %d", job->letter, min, max, job->ranks);
    return why;
}

static void describe(const nas_job *job, nas_size *size)
{
    int64_t all = INT64_C(1) << classes[job->class].log_keys;
    snprintf(size->text, sizeof size->text, "%lld", (long long)all);
    size->iterations = ITERATIONS;
    size->operations = (double)all * ITERATIONS;
}

static void change_keys(const nas_job *job, int iteration)
{
    if (job->rank != 0)
        return;
    keys[iteration] = iteration;
    keys[iteration + ITERATIONS] = max_key - iteration;
}

static void count_buckets(const nas_job *job)
{
    memset(local, 0, sizeof local);
    for (int64_t i = 0; i < own; i++)
        local[keys[i] >> shift]++;
    for (int i = 0; i < PROBES; i++) {
        int64_t at = classes[job->class].probes[i].index - own * job->rank;
        if (at >= 0 && at < own)
            local[buckets + i] = keys[at];
    }
    MPI_Allreduce(local, global, buckets + PROBES, MPI_INT32_T, MPI_SUM, MPI_COMM_WORLD);
}

static void sort_into_buckets(void)
{
    static int32_t at[MAX_BUCKETS];
    int32_t sum = 0;
    for (int b = 0; b < buckets; b++) {
        at[b] = sum;
        sum += local[b];
    }
    for (int64_t i = 0; i < own; i++) {
        int32_t key = keys[i];
        sorted[at[key >> shift]++] = key;
    }
}

// Gives each rank a run of buckets: a bucket belongs to the rank in whose equal
// share of all keys its middle lies. So no rank gets more than its share and
// one bucket, and ranks may be left without any.
static void share_buckets(const nas_job *job)
{
    memset(send_count, 0, sizeof send_count);
    int64_t before = 0;
    int     first = buckets, end = buckets;
    ranked = lesser = 0;
    for (int b = 0; b < buckets; b++) {
        int64_t owner = (before + global[b] / 2) / own;
        if (owner >= job->ranks)
            owner = job->ranks - 1;
        send_count[owner] += local[b];
        if (owner < job->rank)
            lesser += global[b];
        else if (owner == job->rank) {
            first = b < first ? b : first;
            end = b + 1;
            ranked += global[b];
        }
        before += global[b];
    }
    first_key = (int32_t)first << shift;
    end_key = (int32_t)end << shift;
}

static void exchange(const nas_job *job)
{
    MPI_Alltoall(send_count, 1, MPI_INT, receive_count, 1, MPI_INT, MPI_COMM_WORLD);
    for (int i = 1; i < job->ranks; i++) {
        send_at[i] = send_at[i - 1] + send_count[i - 1];
        receive_at[i] = receive_at[i - 1] + receive_count[i - 1];
    }
    MPI_Alltoallv(sorted, send_count, send_at, MPI_INT32_T, received, receive_count, receive_at, MPI_INT32_T, MPI_COMM_WORLD);
}

static void count_keys(void)
{
    int32_t span = end_key - first_key;
    memset(counts, 0, (size_t)span * sizeof *counts);
    for (int64_t i = 0; i < ranked; i++)
        counts[received[i] - first_key]++;
    for (int32_t i = 1; i < span; i++)
        counts[i] += counts[i - 1];
}

static void check_probes(const nas_job *job, int iteration)
{
    for (int i = 0; i < PROBES; i++) {
        int32_t key = global[buckets + i];
        if (key < first_key || key >= end_key)
            continue;
        const probe *p = &classes[job->class].probes[i];
        int64_t want = p->rank + p->slope * iteration + p->offset + NAS_BREAK;
        int64_t got = lesser + (key > first_key ? counts[key - first_key - 1] : 0);
        if (got == want)
            right_probes++;
        else
            printf(" iteration %d: key %d has rank %lld, reference %lld\n", iteration, key, (long long)got, (long long)want);
    }
}

static void rank_keys(const nas_job *job, int iteration)
{
    change_keys(job, iteration);
    count_buckets(job);
    sort_into_buckets();
    share_buckets(job);
    exchange(job);
    count_keys();
    check_probes(job, iteration);
}

static void draw_keys(const nas_job *job)
{
    uint64_t state = nas_skip(NAS_SEED, (uint64_t)(4 * own) * (uint64_t)job->rank);
    for (int64_t i = 0; i < own; i++) {
        uint64_t sum = 0;
        for (int k = 0; k < 4; k++)
            sum += state = nas_step(state);
        // A quarter of max_key times the sum of four numbers below 1, in
        // integers: the sum has 48 bits.
        keys[i] = (int32_t)(sum >> (48 - classes[job->class].log_max));
    }
    memcpy(changed, keys, sizeof changed);
}

static void reset(const nas_job *job)
{
    if (job->rank == 0)
        memcpy(keys, changed, sizeof changed);
    right_probes = 0;
}

static void prepare(const nas_job *job)
{
    buckets = 1 << classes[job->class].log_buckets;
    shift = classes[job->class].log_max - classes[job->class].log_buckets;
    max_key = INT32_C(1) << classes[job->class].log_max;
    own = (INT64_C(1) << classes[job->class].log_keys) / job->ranks;
    keys = nas_alloc((size_t)own, sizeof *keys);
    sorted = nas_alloc((size_t)own, sizeof *sorted);
    draw_keys(job);
    count_buckets(job);
    int64_t largest = 0;
    for (int b = 0; b < buckets; b++)
        largest = global[b] > largest ? global[b] : largest;
    // Changed keys can make a bucket larger by two for each iteration.
    received = nas_alloc((size_t)(own + largest + 2 * ITERATIONS), sizeof *received);
    share_buckets(job);
    counts = nas_alloc((size_t)max_key, sizeof *counts);
    rank_keys(job, 1);
}

static void run(const nas_job *job)
{
    for (int i = 1; i <= ITERATIONS; i++) {
        nas_iteration(job, i);
        rank_keys(job, i);
    }
}

// Puts the keys in order, by the counts of the last iteration, and returns how
// many stand after a larger one, on this rank or a lower.
static int64_t misplaced(void)
{
    int32_t *order = nas_alloc((size_t)ranked, sizeof *order);
    for (int64_t i = 0; i < ranked; i++)
        order[--counts[received[i] - first_key]] = received[i];
    int32_t largest = ranked > 0 ? order[ranked - 1] : -1, below = -1;
    int     rank;
    MPI_Exscan(&largest, &below, 1, MPI_INT32_T, MPI_MAX, MPI_COMM_WORLD);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) // MPI_Exscan leaves rank 0 an undefined value
        below = -1;
    int64_t wrong = 0;
    for (int64_t i = 0; i < ranked; i++)
        wrong += order[i] < (i > 0 ? order[i - 1] : below);
    return wrong;
}

static bool verify(const nas_job *job)
{
    int64_t mine[3] = {right_probes, misplaced(), ranked}, all[3];
    MPI_Allreduce(mine, all, 3, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    if (job->rank == 0)
        printf("\n Key ranks right: %lld of %d; keys out of order: %lld\n", (long long)all[0], PROBES * ITERATIONS, (long long)all[1]);
    return all[0] == PROBES * ITERATIONS && all[1] == 0 && all[2] == own * job->ranks;
}

int main(int argc, char **argv)
{
    static const nas_benchmark is = {
        .name = "IS",
        .operation = "keys ranked",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&is, argc, argv);
}
