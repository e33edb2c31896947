// The matrix of CG, made from random numbers.

#ifndef NAS_CG_MATRIX_H
#define NAS_CG_MATRIX_H

#include <stdint.h>

// A block is the part of a sparse matrix with rows in [row, row + rows) and
// columns in [column, column + columns). Its row i, counted from 0, is
// value[k] in column column + index[k] for k from start[i] up to start[i+1].
typedef struct block {
    int      row, rows, column, columns;
    int64_t *start;
    int32_t *index;
    double  *value;
} block;

// Fills start, index and value of b, whose extent is given, with its part of
// the n by n matrix for vectors of nonzeros random elements each.
void cg_make_block(block *b, int n, int nonzeros, double shift);

#endif
