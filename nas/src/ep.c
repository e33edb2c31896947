// EP, embarrassingly parallel: pairs of Gaussian deviates from uniform ones by
// acceptance and rejection, summed and counted by square annuli. Ranks speak
// to one another once, at the end.

#include "common.h"

#include <math.h>
#include <stdio.h>

enum {
    BATCH_LOG = 16, // 2^16 pairs are drawn at a time
    BATCH = 1 << BATCH_LOG,
    ANNULI = 10,
    SLICES = 16, // lines of progress
};

static const struct {
    int    log_pairs;
    double x, y;
} classes[NAS_CLASSES] = {
    {24, -3.247834652034740e+03, -6.958407078382297e+03}, // S
    {25, -2.863319731645753e+03, -6.320053679109499e+03}, // W
    {28, -4.295875165629892e+03, -1.580732573678431e+04}, // A
    {30, 4.033815542441498e+04, -2.660669192809235e+04},  // B
    {32, 4.764367927995374e+04, -8.084072988043731e+04},  // C
    {36, 1.982481200946593e+05, -1.020596636361769e+05},  // D
};

// The sums are one array, so that one reduction is enough. Counts stay far
// below 2^53: they are exact as doubles.
static struct {
    double x, y, annulus[ANNULI];
} sums, total;

// The accepted pairs of a batch, as points of the unit disc.
static double disc_x[BATCH], disc_y[BATCH], disc_r2[BATCH];

static void describe(const nas_job *job, nas_size *size)
{
    int64_t numbers = INT64_C(2) << classes[job->class].log_pairs;
    snprintf(size->text, sizeof size->text, "%lld", (long long)numbers);
    size->iterations = 0;
    size->operations = (double)numbers;
}

// Fills the disc arrays from the batch's random numbers and returns how many
// pairs fell into the disc. The store is unconditional: a branch here would
// be mispredicted every fifth time.
static int draw(uint64_t batch)
{
    uint64_t state = nas_skip(UINT64_C(271828183), batch * 2 * BATCH);
    int kept = 0;
    for (int i = 0; i < BATCH; i++) {
        double x = 2 * nas_unit(state = nas_step(state)) - 1;
        double y = 2 * nas_unit(state = nas_step(state)) - 1;
        double r2 = x * x + y * y;
        disc_x[kept] = x;
        disc_y[kept] = y;
        disc_r2[kept] = r2;
        kept += r2 <= 1;
    }
    return kept;
}

static void tally(int pairs)
{
    for (int i = 0; i < pairs; i++) {
        double scale = sqrt(-2 * log(disc_r2[i]) / disc_r2[i]);
        double x = disc_x[i] * scale, y = disc_y[i] * scale;
        sums.annulus[(int)fmax(fabs(x), fabs(y))]++;
        sums.x += x;
        sums.y += y;
    }
}

static void prepare(const nas_job *job)
{
    (void)job;
    tally(draw(0));
}

static void reset(const nas_job *job)
{
    (void)job;
    sums.x = sums.y = 0;
    for (int i = 0; i < ANNULI; i++)
        sums.annulus[i] = 0;
}

static void run(const nas_job *job)
{
    uint64_t batches = UINT64_C(1) << (classes[job->class].log_pairs - BATCH_LOG);
    uint64_t first = batches * (uint64_t)job->rank / (uint64_t)job->ranks;
    uint64_t mine = batches * (uint64_t)(job->rank + 1) / (uint64_t)job->ranks - first;
    uint64_t done = 0;
    for (uint64_t slice = 1; slice <= SLICES; slice++) {
        nas_iteration(job, (int)slice);
        for (; done < mine * slice / SLICES; done++)
            tally(draw(first + done));
    }
    MPI_Allreduce(&sums, &total, sizeof sums / sizeof(double), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

static bool verify(const nas_job *job)
{
    double pairs = 0;
    for (int i = 0; i < ANNULI; i++)
        pairs += total.annulus[i];
    if (job->rank == 0) {
        printf("\n Gaussian pairs: %.0f\n Pairs by annulus:", pairs);
        for (int i = 0; i < ANNULI; i++)
            printf(" %.0f", total.annulus[i]);
        printf("\n");
    }
    bool x = nas_matches(job, "sum x", total.x, classes[job->class].x, 1e-8);
    bool y = nas_matches(job, "sum y", total.y, classes[job->class].y, 1e-8);
    return x && y;
}

int main(int argc, char **argv)
{
    static const nas_benchmark ep = {
        .name = "EP",
        .operation = "Random numbers generated",
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&ep, argc, argv);
}
