/* Gradient of a convolution by its weights, for CPU devices: one work-item adds up, for some images, the products of one
 * block of input channels with NV*W output channels. Its register tile is ROWS = KHT*KW*ICT (taps x input channels) by NV vectors.
 *
 *   dw[o, c, kh, kw] = sum over n, oy, ox of dy[n, o, oy, ox] * x[n, c, oy*SH - PT + kh*DH, ox*SW - PL + kw*DW]
 *
 * x: [N, C/IB, H, IW, IB] f32: channels in blocks of IB, or plain with IB = 1.   dy: [N, OV, OH, OW, W] f32, OV = O/W rounded up.
 * partial [CHUNKS][O/NR rounded up][C][KH*KW][NR] f32, NR = NV*W; conv_grad_weight_combine_cpu.cl adds up the chunks in order.
 * The sums of a tile wait in partial while the other tiles have their turn: an image is worked through while it is in cache.
 * ND-range: (O/NR rounded up, C/IB, CHUNKS), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_grad_weight_cpu
#define W 16  /* native vector width of float */
#define NV 2  /* vectors of output channels of a tile */
#define IB 16 /* channels in a block of x */
#define ICT 4 /* input channels of a tile; divides IB */
#define KHT 1 /* rows of taps of a tile: 1 or KH */
#define N 128
#define C 32
#define H 14
#define IW 14
#define O 64
#define OH 14
#define OW 14
#define KH 3
#define KW 3
#define SH 1
#define SW 1
#define DH 1
#define DW 1
#define PT 1
#define PL 1
#define IMAGES 16 /* images of a chunk */
#define SIZE_PARAMS
#endif

#define NR (NV * W)
#include "lib/vector.clh"
#define OV ((O + W - 1) / W)
#define ROWS (KHT * KW * ICT)
/* Outputs [XA, XB) of a row read inside the input row with every tap. */
#define XA_ ((PL + SW - 1) / SW)
#define XB_ ((IW - 1 - (KW - 1) * DW + PL + SW) / SW)
#define XA (PL <= 0 ? 0 : XA_ < OW ? XA_ : OW)
#define XB (IW - 1 - (KW - 1) * DW + PL < 0 ? XA : XB_ < XA ? XA : XB_ < OW ? XB_ : OW)

/* One output pixel: every row of the tile whose tap is READABLE(t, kw). */
#define PIXEL(READABLE)                                                                                       \
    {                                                                                                         \
        VEC g[NV];                                                                                            \
        _Pragma("unroll") for (int v = 0; v < NV; v++) g[v] = VLOAD(0, dp + v * gap);                         \
        _Pragma("unroll") for (int t = 0; t < KHT; t++)                                                       \
            _Pragma("unroll") for (int kw = 0; kw < KW; kw++)                                                 \
                if (READABLE(t, kw)) {                                                                        \
                    _Pragma("unroll") for (int i = 0; i < ICT; i++)                                           \
                    {                                                                                         \
                        const VEC s = (VEC)(xp[(size_t)t * (DH * IW * IB) + kw * (DW * IB) + i]);             \
                        _Pragma("unroll") for (int v = 0; v < NV; v++) acc[(t * KW + kw) * ICT + i][v] += s * g[v]; \
                    }                                                                                         \
                }                                                                                             \
    }
#define ALWAYS(t, kw) 1
#define INSIDE(t, kw) ((uint)(iy + t * DH) < H && (uint)(ix + kw * DW) < IW)

__kernel void KERNEL(const __global float *restrict x, const __global float *restrict dy, __global float *restrict partial SIZE_PARAMS)
{
    const uint ob = (uint)get_global_id(0);
    const uint cb = (uint)get_global_id(1);
    const uint chunk = (uint)get_global_id(2);
    const uint end = min((chunk + 1) * IMAGES, (uint)N);
    __global float *sums = partial + (((size_t)chunk * ((O + NR - 1) / NR) + ob) * C + cb * IB) * (KH * KW * NR);
    /* From one vector of output channels to the next; the last panel may have fewer, and then reads one twice. */
    const int gap = (ob + 1) * NV <= OV ? OH * OW * W : 0;

    for (uint n = chunk * IMAGES; n < end; n++)
        for (int kh = 0; kh < KH; kh += KHT)
            for (int i0 = 0; i0 < IB; i0 += ICT) {
                VEC acc[ROWS][NV];
                __global float *sum = sums + ((size_t)i0 * (KH * KW) + kh * KW) * NR;
                if (n == chunk * IMAGES) {
#pragma unroll
                    for (int r = 0; r < ROWS; r++)
#pragma unroll
                        for (int v = 0; v < NV; v++)
                            acc[r][v] = (VEC)(0.0f);
                } else {
#pragma unroll
                    for (int r = 0; r < ROWS; r++)
#pragma unroll
                        for (int v = 0; v < NV; v++)
                            acc[r][v] = VLOAD(0, sum + (r % ICT * (KH * KW) + r / ICT) * NR + v * W);
                }
                const __global float *xn = x + ((size_t)n * (C / IB) + cb) * (H * IW * IB) + i0;
                const __global float *dn = dy + ((size_t)n * OV + ob * NV) * (OH * OW * W);
#pragma unroll 1
                for (int oy = 0; oy < OH; oy++) {
                    const int iy = oy * SH - PT + kh * DH;
#if KHT == 1
                    if ((uint)iy >= H)
                        continue;
                    const int xa = XA, xb = XB;
#else
                    const bool whole = iy >= 0 && iy + (KHT - 1) * DH < H;
                    const int xa = whole ? XA : OW, xb = whole ? XB : OW;
#endif
                    const __global float *xr = xn + iy * (IW * IB) - PL * IB;
                    const __global float *dr = dn + oy * (OW * W);
                    const __global float *xp = xr + xa * (SW * IB);
                    const __global float *dp = dr + xa * W;
#pragma unroll 1
                    for (int ox = xa; ox < xb; ox++) {
                        PIXEL(ALWAYS)
                        xp += SW * IB;
                        dp += W;
                    }
#if KHT > 1 || XA > 0 || XB < OW
#pragma unroll 1
                    for (int b = 0; b < xa + OW - xb; b++) {
                        const int ox = b < xa ? b : xb + b - xa;
                        const int ix = ox * SW - PL;
                        xp = xr + ox * (SW * IB);
                        dp = dr + ox * W;
                        PIXEL(INSIDE)
                    }
#endif
                }
#pragma unroll
                for (int r = 0; r < ROWS; r++)
#pragma unroll
                    for (int v = 0; v < NV; v++)
                        VSTORE(acc[r][v], 0, sum + (r % ICT * (KH * KW) + r / ICT) * NR + v * W);
            }
}

#undef NR
#undef OV
#undef ROWS
#undef XA_
#undef XB_
#undef XA
#undef XB
#undef PIXEL
#undef ALWAYS
#undef INSIDE
