#include "adi.h"

#include "adi_exact.h"
#include "adi_flow.h"

#include <stdio.h>

static const adi_program *program;
static adi_grid           grid;
static adi_lines          lines;

// The root of ranks, 0 where they are not a square.
static int square_root(int ranks)
{
    int cut = 1;
    while (cut < ranks / cut)
        cut++;
    return cut * cut == ranks ? cut : 0;
}

static const char *refuse(const nas_job *job)
{
    static char why[128];
    int         cut = square_root(job->ranks), most = adi_most_cells(program->classes[job->class].n);
    if (cut > 0 && cut <= most)
        return NULL;
    snprintf(why, sizeof why, "class %c needs a square number of ranks up to %d, not %d", job->letter, most * most, job->ranks);
    return why;
}

static void describe(const nas_job *job, nas_size *size)
{
    int n = program->classes[job->class].n;
    snprintf(size->text, sizeof size->text, "%4dx%4dx%4d", n, n, n);
    size->iterations = program->classes[job->class].iterations;
    double step = 0;
    for (int power = AXES; power >= 0; power--)
        step = step * n + program->operations[power];
    size->operations = step * size->iterations;
}

static void step(void)
{
    adi_exchange_halos(&grid);
    adi_set_rhs(&grid);
    if (program->transform != NULL)
        program->transform(&grid);
    for (int axis = X; axis < AXES; axis++)
        adi_sweep(&lines, axis);
    program->update(&grid);
}

static void reset(const nas_job *job)
{
    (void)job;
    adi_set_initial(&grid);
}

static void prepare(const nas_job *job)
{
    const adi_class *class = &program->classes[job->class];
    adi_cut(&grid, class->n, class->dt, job->rank, square_root(job->ranks));
    adi_make_lines(&lines, &grid, &program->method);
    adi_set_forcing(&grid);
    reset(job);
    step();
}

static void run(const nas_job *job)
{
    for (int k = 1; k <= program->classes[job->class].iterations; k++) {
        nas_iteration(job, k);
        step();
    }
}

static bool match_norms(const nas_job *job, const char *what, const double *norms, const double *references)
{
    bool ok = true;
    for (int m = 0; m < COMPONENTS; m++) {
        char name[32];
        snprintf(name, sizeof name, "%s %d", what, m + 1);
        ok &= nas_matches(job, name, norms[m], references[m], 1e-8);
    }
    return ok;
}

static bool verify(const nas_job *job)
{
    const adi_class *class = &program->classes[job->class];
    double           error[COMPONENTS], residual[COMPONENTS];
    adi_error_norms(&grid, error);
    adi_exchange_halos(&grid);
    adi_set_rhs(&grid);
    adi_rhs_norms(&grid, residual);
    for (int m = 0; m < COMPONENTS; m++)
        residual[m] /= class->dt;
    if (job->rank == 0)
        printf("\n norms of the residual and of the error, by component\n");
    bool ok = match_norms(job, "res", residual, class->residual);
    return match_norms(job, "error", error, class->error) && ok;
}

int adi_main(const adi_program *p, int argc, char **argv)
{
    program = p;
    const nas_benchmark benchmark = {
        .name = p->name,
        .operation = "floating point",
        .refuse = refuse,
        .describe = describe,
        .prepare = prepare,
        .reset = reset,
        .run = run,
        .verify = verify,
    };
    return nas_main(&benchmark, argc, argv);
}
