// The matrix is a sum of n outer products w x x', of sparse random vectors x
// with weights w that fall from 1 to about a tenth, so that the condition
// number is about 10; plus a multiple of the identity. Rejection makes the
// amount of random numbers of a vector unknown, so every rank draws all
// vectors, and keeps the elements of its own block: once to count, once to
// fill in.

#include "cg_matrix.h"
#include "common.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MAX_NONZEROS = 32 };

static const double condition = 0.1;

// A source draws the vectors one after the other.
typedef struct {
    int      n, nonzeros;
    int      bits; // 2^bits is the first power of two that is not below n
    int      next; // number of the next vector
    double   weight;
    uint64_t state;
    // The vector drawn last.
    int     count;
    int32_t at[MAX_NONZEROS];
    double  value[MAX_NONZEROS];
} source;

static source source_at_start(int n, int nonzeros)
{
    // The benchmark as specified draws one number before the first vector.
    return (source){.n = n, .nonzeros = nonzeros, .bits = nas_log2(n - 1) + 1, .state = nas_step(NAS_SEED)};
}

static int find(const source *s, int32_t at)
{
    for (int i = 0; i < s->count; i++)
        if (s->at[i] == at)
            return i;
    return s->count;
}

// Each vector gets nonzeros elements in (0, 1) at distinct random places, then
// 1/2 at the place of its own number.
static bool draw(source *s)
{
    if (s->next == s->n)
        return false;
    s->count = 0;
    while (s->count < s->nonzeros) {
        double value = nas_unit(s->state = nas_step(s->state));
        s->state = nas_step(s->state);
        int32_t at = (int32_t)(s->state >> (46 - s->bits));
        if (at >= s->n || find(s, at) < s->count)
            continue;
        s->at[s->count] = at;
        s->value[s->count++] = value;
    }
    int own = find(s, s->next);
    s->count += own == s->count;
    s->at[own] = s->next;
    s->value[own] = 0.5;

    s->weight = s->next == 0 ? 1 : s->weight * pow(condition, 1.0 / s->n);
    s->next++;
    return true;
}

static bool inside(int32_t at, int first, int length)
{
    return at >= first && at < first + length;
}

static bool has_diagonal(const block *b, int i)
{
    return inside(b->row + i, b->column, b->columns);
}

// Makes start[i+1] the room that row i needs before equal columns are joined,
// then the running sum.
static void count_elements(block *b, int n, int nonzeros)
{
    for (source s = source_at_start(n, nonzeros); draw(&s);) {
        int columns = 0;
        for (int i = 0; i < s.count; i++)
            columns += inside(s.at[i], b->column, b->columns);
        for (int i = 0; i < s.count; i++)
            if (inside(s.at[i], b->row, b->rows))
                b->start[s.at[i] - b->row + 1] += columns;
    }
    for (int i = 0; i < b->rows; i++)
        b->start[i + 1] += b->start[i] + has_diagonal(b, i);
}

// Puts the elements at their rows' places; start[i] ends as the end of row i.
static void fill_elements(block *b, int n, int nonzeros, double shift)
{
    for (source s = source_at_start(n, nonzeros); draw(&s);) {
        for (int i = 0; i < s.count; i++) {
            if (!inside(s.at[i], b->row, b->rows))
                continue;
            int64_t *end = &b->start[s.at[i] - b->row];
            for (int j = 0; j < s.count; j++) {
                if (!inside(s.at[j], b->column, b->columns))
                    continue;
                b->index[*end] = s.at[j] - b->column;
                b->value[(*end)++] = s.value[i] * (s.weight * s.value[j]);
            }
        }
    }
    for (int i = 0; i < b->rows; i++) {
        if (!has_diagonal(b, i))
            continue;
        b->index[b->start[i]] = b->row + i - b->column;
        b->value[b->start[i]++] = condition - shift;
    }
}

// Adds up elements of a row that share a column, in place, and restores start.
static void join_elements(block *b)
{
    // Where a column's element went; stale entries lie before the row's first.
    int64_t *place = nas_alloc((size_t)b->columns, sizeof *place);
    for (int j = 0; j < b->columns; j++)
        place[j] = -1;
    int64_t from = 0, to = 0;
    for (int i = 0; i < b->rows; i++) {
        int64_t first = to, end = b->start[i];
        for (; from < end; from++) {
            int32_t j = b->index[from];
            if (place[j] >= first) {
                b->value[place[j]] += b->value[from];
                continue;
            }
            place[j] = to;
            b->index[to] = j;
            b->value[to++] = b->value[from];
        }
        b->start[i] = first;
    }
    b->start[b->rows] = to;
    free(place);
}

void cg_make_block(block *b, int n, int nonzeros, double shift)
{
    b->start = nas_alloc((size_t)b->rows + 1, sizeof *b->start);
    count_elements(b, n, nonzeros);
    size_t room = (size_t)b->start[b->rows];
    b->index = nas_alloc(room, sizeof *b->index);
    b->value = nas_alloc(room, sizeof *b->value);
    fill_elements(b, n, nonzeros, shift);
    join_elements(b);
}
