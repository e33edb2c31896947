// SP, scalar pentadiagonal: time steps of the same flow as BT, with the blocks
// made diagonal: what changes in a line is taken for waves that do not mix, so
// that it is systems of equations with one unknown a point. SP computes much less
// than BT, and sends as much.

#include "adi.h"
#include "adi_flow.h"
#include "sp_lines.h"

#include <math.h>

static void set_sound(const adi_cell *c)
{
    for (int z = -1; z <= c->n[Z]; z++)
        for (int y = -1; y <= c->n[Y]; y++) {
            const double *pressure = c->pressure + adi_row(c, y, z), *inverse = c->inverse + adi_row(c, y, z);
            double       *sound = c->sound + adi_row(c, y, z);
            for (int x = -1; x <= c->n[X]; x++)
                sound[x] = sqrt(adi_gamma * pressure[x] * inverse[x]);
        }
}

// Splits a row of rhs into waves along x: one of entropy, two of shear, two of
// sound.
static void split_row(const adi_grid *g, const adi_cell *c, int y, int z)
{
    (void)g;
    const ptrdiff_t row = adi_row(c, y, z);
    const double   *inverse = c->inverse + row, *kinetic = c->kinetic + row, *sound = c->sound + row;
    const double   *u = c->velocity[X] + row, *v = c->velocity[Y] + row, *w = c->velocity[Z] + row;
    double         *r0 = c->rhs[0] + row, *r1 = c->rhs[1] + row, *r2 = c->rhs[2] + row, *r3 = c->rhs[3] + row, *r4 = c->rhs[4] + row;
    const double    root = sqrt(0.5);
#pragma GCC ivdep
    for (int x = c->from[X]; x < c->to[X]; x++) {
        double density = r0[x], mx = r1[x], my = r2[x], mz = r3[x], energy = r4[x];
        double pressure = (adi_gamma - 1) * (kinetic[x] * density - u[x] * mx - v[x] * my - w[x] * mz + energy);
        double squeeze = pressure / (sound[x] * sound[x]);
        double both = root * inverse[x] * sound[x] * squeeze, apart = root * inverse[x] * (mx - u[x] * density);
        r0[x] = density - squeeze;
        r1[x] = inverse[x] * (mz - w[x] * density);
        r2[x] = inverse[x] * (v[x] * density - my);
        r3[x] = both + apart;
        r4[x] = both - apart;
    }
}

static void split(const adi_grid *g)
{
    for (int k = 0; k < g->cut; k++)
        set_sound(&g->cells[k]);
    adi_each_row(g, split_row);
}

// Adds up a row of rhs, which is waves along z, into u.
static void update_row(const adi_grid *g, const adi_cell *c, int y, int z)
{
    (void)g;
    const ptrdiff_t row = adi_row(c, y, z);
    const double   *kinetic = c->kinetic + row, *sound = c->sound + row;
    const double   *u = c->velocity[X] + row, *v = c->velocity[Y] + row, *w = c->velocity[Z] + row;
    const double   *r0 = c->rhs[0] + row, *r1 = c->rhs[1] + row, *r2 = c->rhs[2] + row, *r3 = c->rhs[3] + row, *r4 = c->rhs[4] + row;
    double         *density = c->u[DENSITY] + row, *energy = c->u[ENERGY] + row;
    double         *mx = c->u[MOMENTUM + X] + row, *my = c->u[MOMENTUM + Y] + row, *mz = c->u[MOMENTUM + Z] + row;
    const double    root = sqrt(0.5);
#pragma GCC ivdep
    for (int x = c->from[X]; x < c->to[X]; x++) {
        double squeeze = root * density[x] / sound[x] * (r3[x] + r4[x]), push = root * density[x] * (r3[x] - r4[x]);
        double gain = r2[x] + squeeze, shear_x = -density[x] * r1[x], shear_y = density[x] * r0[x];
        energy[x] += u[x] * shear_x + v[x] * shear_y + w[x] * push + kinetic[x] * gain + sound[x] * sound[x] / (adi_gamma - 1) * squeeze;
        mx[x] += u[x] * gain + shear_x;
        my[x] += v[x] * gain + shear_y;
        mz[x] += w[x] * gain + push;
        density[x] += gain;
    }
}

static void update(const adi_grid *g)
{
    adi_each_row(g, update_row);
}

int main(int argc, char **argv)
{
    static const adi_program sp = {
        .name = "SP",
        .operations = {-19272.4, 11484.5, -4683.91, 881.174},
        .method = {sizeof(sp_record), 2, sp_eliminate, sp_substitute},
        .transform = split,
        .update = update,
        .classes = {
            {12, 100, 0.015, // S
             {2.7470315451339479e-02, 1.0360746705285417e-02, 1.6235745065095532e-02, 1.5840557224455615e-02, 3.4849040609362460e-02},
             {2.7289258557377227e-05, 1.0364446640837285e-05, 1.6154798287166471e-05, 1.5750704994480102e-05, 3.4177666183390531e-05}},
            {36, 400, 0.0015, // W
             {1.893253733584e-03, 1.717075447775e-04, 2.778153350936e-04, 2.887475409984e-04, 3.143611161242e-03},
             {7.542088599534e-05, 6.512852253086e-06, 1.049092285688e-05, 1.128838671535e-05, 1.212845639773e-04}},
            {64, 400, 0.0015, // A
             {2.4799822399300195, 1.1276337964368832, 1.5028977888770491, 1.4217816211695179, 2.1292113035138280},
             {1.0900140297820550e-04, 3.7343951769282091e-05, 5.0092785406541633e-05, 4.7671093939528255e-05, 1.3621613399213001e-04}},
            {102, 400, 0.001, // B
             {6.903293579998e+01, 3.095134488084e+01, 4.103336647017e+01, 3.864769009604e+01, 5.643482272596e+01},
             {9.810006190188e-03, 1.022827905670e-03, 1.720597911692e-03, 1.694479428231e-03, 1.847456263981e-02}},
            {162, 400, 0.00067, // C
             {5.881691581829e+02, 2.454417603569e+02, 3.293829191851e+02, 3.081924971891e+02, 4.597223799176e+02},
             {2.598120500183e-01, 2.590888922315e-02, 5.132886416320e-02, 4.806073419454e-02, 5.483377491301e-01}},
            {408, 500, 0.0003, // D
             {1.044696216887e+04, 3.204427762578e+03, 4.648680733032e+03, 4.238923283697e+03, 7.588412036136e+03},
             {5.089471423669, 5.323514855894e-01, 1.187051008971, 1.083734951938, 1.164108338568e+01}},
        },
    };
    return adi_main(&sp, argc, argv);
}
