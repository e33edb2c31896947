// Lines are transformed in batches: element e of all of them lies in row e of a
// buffer, real and imaginary parts apart, so that every innermost loop runs
// over neighbours. Steps of radix 4, and one of radix 2 if need be, go from one
// buffer to another and sort the elements on the way (Stockham's algorithm).

#include "ft_fft.h"

#include <math.h>

// Rows are longer than a batch, lest the quarters of a buffer that a step reads
// together compete for the same places in the cache.
enum { BATCH = 16, ROW = BATCH + 2 };

typedef struct {
    double re[FT_LONGEST * ROW], im[FT_LONGEST * ROW];
} buffer;

static buffer  buffers[2];
static complex roots[FT_LONGEST]; // roots[k] is the k-th power of the first of root_count
static size_t  root_count;

void ft_make_roots(int n)
{
    const double pi = 3.14159265358979323846;
    root_count = (size_t)n;
    for (int k = 0; k < n; k++)
        roots[k] = (complex){cos(2 * pi * k / n), -sin(2 * pi * k / n)};
}

// One step for what is left of transforms of n elements, stride of them side
// by side.
static void step4(size_t n, size_t stride, const double *restrict re, const double *restrict im, double *restrict out_re, double *restrict out_im)
{
    size_t quarter = n / 4 * stride;
    for (size_t p = 0; p < n / 4; p++) {
        size_t        power = p * (root_count / n);
        const complex w1 = roots[power], w2 = roots[2 * power], w3 = roots[3 * power];
// The four parts that are written follow one another.
#pragma GCC ivdep
        for (size_t k = 0; k < stride; k++) {
            size_t i = p * stride + k, o = 4 * p * stride + k;
            double a_re = re[i] + re[i + 2 * quarter], a_im = im[i] + im[i + 2 * quarter];
            double b_re = re[i + quarter] + re[i + 3 * quarter], b_im = im[i + quarter] + im[i + 3 * quarter];
            double c_re = re[i] - re[i + 2 * quarter], c_im = im[i] - im[i + 2 * quarter];
            double d_re = re[i + quarter] - re[i + 3 * quarter], d_im = im[i + quarter] - im[i + 3 * quarter];
            out_re[o] = a_re + b_re;
            out_im[o] = a_im + b_im;
            out_re[o + stride] = w1.re * (c_re + d_im) - w1.im * (c_im - d_re);
            out_im[o + stride] = w1.re * (c_im - d_re) + w1.im * (c_re + d_im);
            out_re[o + 2 * stride] = w2.re * (a_re - b_re) - w2.im * (a_im - b_im);
            out_im[o + 2 * stride] = w2.re * (a_im - b_im) + w2.im * (a_re - b_re);
            out_re[o + 3 * stride] = w3.re * (c_re - d_im) - w3.im * (c_im + d_re);
            out_im[o + 3 * stride] = w3.re * (c_im + d_re) + w3.im * (c_re - d_im);
        }
    }
}

static void step2(size_t stride, const double *restrict re, const double *restrict im, double *restrict out_re, double *restrict out_im)
{
    for (size_t i = 0; i < stride; i++) {
        out_re[i] = re[i] + re[i + stride];
        out_im[i] = im[i] + im[i + stride];
        out_re[i + stride] = re[i] - re[i + stride];
        out_im[i + stride] = im[i] - im[i + stride];
    }
}

// Transforms the batch in the first buffer and returns the buffer it is in then.
// Real and imaginary parts that change places make the inverse of a forward
// transform.
static buffer *transform_batch(ft_direction direction, size_t n)
{
    buffer *b = &buffers[0], *other = &buffers[1];
    bool    inverse = direction == INVERSE;
    size_t  stride = ROW;
    while (n > 1) {
        const double *re = inverse ? b->im : b->re, *im = inverse ? b->re : b->im;
        double       *out_re = inverse ? other->im : other->re, *out_im = inverse ? other->re : other->im;
        if (n == 2)
            step2(stride, re, im, out_re, out_im);
        else
            step4(n, stride, re, im, out_re, out_im);
        n /= n == 2 ? 2 : 4;
        stride *= 4;
        buffer *now = other;
        other = b;
        b = now;
    }
    return b;
}

static void gather(buffer *b, const complex *line, ft_lines l, size_t batch)
{
    for (size_t e = 0; e < l.length; e++) {
        const complex *element = line + e / l.part * l.block + e % l.part * l.step;
        for (size_t i = 0; i < batch; i++) {
            b->re[e * ROW + i] = element[i * l.near].re;
            b->im[e * ROW + i] = element[i * l.near].im;
        }
    }
}

static void scatter(const buffer *b, complex *line, ft_lines l, size_t batch)
{
    for (size_t e = 0; e < l.length; e++) {
        complex *element = line + e / l.part * l.block + e % l.part * l.step;
        for (size_t i = 0; i < batch; i++)
            element[i * l.near] = (complex){b->re[e * ROW + i], b->im[e * ROW + i]};
    }
}

void ft_transform(ft_direction direction, const complex *in, ft_lines from, complex *out, ft_lines to)
{
    size_t batch = from.run < BATCH ? from.run : BATCH;
    for (size_t l = 0; l < from.count; l += batch) {
        gather(&buffers[0], in + l / from.run * from.far + l % from.run * from.near, from, batch);
        buffer *b = transform_batch(direction, from.length);
        scatter(b, out + l / to.run * to.far + l % to.run * to.near, to, batch);
    }
}
