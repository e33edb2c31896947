// One-dimensional fast Fourier transforms of many lines.

#ifndef NAS_FT_FFT_H
#define NAS_FT_FFT_H

#include "ft_grid.h"

enum { FT_LONGEST = 2048 }; // line of class D

typedef enum ft_direction { FORWARD, INVERSE } ft_direction;

// Computes the roots of unity for lines of up to n elements, a power of two.
void ft_make_roots(int n);

// Transforms all lines of in, an array laid out as from says, to out, which is
// laid out as to says; where those are the same, out may be in. Nothing is
// divided by the number of elements.
void ft_transform(ft_direction direction, const complex *in, ft_lines from, complex *out, ft_lines to);

#endif
