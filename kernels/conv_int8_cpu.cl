/* Direct convolution and matrix product of 8-bit integers for CPU devices: one work-item computes TP neighbouring pixels of one row times NV*W
 * output channels, summed in i32 in vector registers, four products at a time.
 *
 *   y[n, o, oy, ox] = sum over c, kh, kw of (x[n, c, oy*SH - PT + kh*DH, ox*SW - PL + kw*DW] - zero) * w[o, c, kh, kw]
 *
 * x: [N, C/IB, H, IW, IB] u8, or i8 with SIGNED: channels in blocks of IB, a multiple of 4. Outside of it lies the zero point.
 * wp: from pack_int8_weight.cl, NR = NV*W: for each NR output channels their sums of weights, then the weights, less their zero points.
 * zero: x's zero point. Signed inputs are moved by 128, and their zero point with them, since a product is of an unsigned with a signed byte.
 * A matrix product is a 1x1 convolution of one row: x [M, K] has its K as one block, pixels are rows, output channels are columns.
 * C, H, IW, O, OH and OW may be parameters; so may IB where REACHES_OUT is 0.
 * ND-range: (tiles per row * OH, O/NR, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_int8_cpu
#define HOOK_PARAMS __global int *y
#define HOOK_ARGS y
#define DOT 0  /* 1: the processor's dot product of bytes, which tern__device_dot8 has found to be right */
#define SIGNED 0
#define W 16  /* native vector width of int */
#define TP 14 /* pixels of a tile, at most OW: TP*NV accumulators + NV + 1 vector registers */
#define NV 2  /* vectors of output channels of a tile */
#define IB 16
#define C 64
#define H 56
#define IW 56
#define O 64
#define OH 56
#define OW 56
#define KH 3
#define KW 3
#define SH 1
#define SW 1
#define DH 1
#define DW 1
#define PT 1
#define PL 1
#define REACHES_OUT 1 /* some tile reaches out of x */
#define LIES_INSIDE 1 /* some tile lies wholly inside it */
#define SV 16  /* channels of a store: W or, where the result is blocked by less, that */
#define TAIL 0 /* 1: O is no multiple of SV */
#define FLAT 0 /* 1: the hook takes one coordinate for (oy, ox) */
#define MATRIX 0 /* 1: the hook takes the row, which is ox, and the column, which is o */
static inline void STORE(int acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { y[((n * O + o) * OH + oy) * OW + ox] = acc; }
static inline void STORE16(int16 acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS)
{
    vstore16(acc, 0, y + (((n * (O / 16) + o / 16) * OH + oy) * OW + ox) * 16);
}
#endif

#include "lib/vector.clh"
#define NR (NV * W)
#define IVEC CAT(int, W)
#define TILES ((OW + TP - 1) / TP)
#define CB (C / IB)
#define BLOCK_BYTES ((size_t)KH * KW * IB * NR) /* weights of a block of input channels */
#define SPAN ((TP - 1) * SW + (KW - 1) * DW + 1) /* input pixels of a row that a tile reads */
#if SIGNED
#define UNSIGNED(x) ((x) ^ 0x80808080u)
#else
#define UNSIGNED(x) (x)
#endif
#if !REACHES_OUT /* nobody asks */
#elif IB == 16
#define PIXEL uint4
#elif IB == 8
#define PIXEL uint2
#else
#define PIXEL uint
#endif
#if MATRIX
#define AT(n, o, oy, ox) ox, o
#elif FLAT
#define AT(n, o, oy, ox) n, o, ox
#else
#define AT(n, o, oy, ox) n, o, oy, ox
#endif

/* acc += the four bytes of x, unsigned, times those of each lane of w, signed. */
#if DOT
#define ADD_DOT(acc, x, w)                                                                                \
    {                                                                                                     \
        const IVEC all = (IVEC)((int)(x));                                                                  \
        __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(all), "v"(w));                                    \
    }
#else
#define ADD_DOT(acc, x, w)                                                                                \
    acc += (IVEC)((int)((x) & 255)) * ((w << 24) >> 24) + (IVEC)((int)((x) >> 8 & 255)) * ((w << 16) >> 24) \
         + (IVEC)((int)((x) >> 16 & 255)) * ((w << 8) >> 24) + (IVEC)((int)((x) >> 24)) * (w >> 24);
#endif

/* Adds every tap of one input block. SRC: the block's row of tap 0, shifted to the tile; ROW: bytes between the rows of
 * neighbouring taps. Without dilation a row's taps and channels follow each other in x as they do in wp: one loop. */
#if DW == 1
#define RUNS 1
#define RUN (KW * IB)
#else
#define RUNS KW
#define RUN IB
#endif
#define TAPS(SPACE, SRC, ROW)                                                                             \
    _Pragma("unroll 1") for (int kh = 0; kh < KH; kh++)                                                   \
        _Pragma("unroll 1") for (int r = 0; r < RUNS; r++)                                                \
        {                                                                                                 \
            const SPACE uint *xs = (const SPACE uint *)((SRC) + kh * (ROW) + r * (DW * IB));              \
            const __global int *ws = (const __global int *)(wb + (kh * RUNS + r) * (RUN * NR));           \
            _Pragma("unroll 1") for (int i = 0; i < RUN / 4; i++)                                         \
            {                                                                                             \
                IVEC wv[NV];                                                                               \
                _Pragma("unroll") for (int v = 0; v < NV; v++) wv[v] = VLOAD(v, ws);                      \
                _Pragma("unroll") for (int p = 0; p < TP; p++)                                            \
                {                                                                                         \
                    const uint s = UNSIGNED(xs[(size_t)p * (SW * IB / 4)]);                               \
                    _Pragma("unroll") for (int v = 0; v < NV; v++) ADD_DOT(acc[p][v], s, wv[v])           \
                }                                                                                         \
                xs++;                                                                                     \
                ws += NR;                                                                                 \
            }                                                                                             \
        }

__kernel void KERNEL(const __global uchar *restrict x, const __global uchar *restrict wp, const __global uchar *restrict zero, HOOK_PARAMS)
{
    const int oy = (int)((uint)get_global_id(0) / TILES);
    const int first = ((int)get_global_id(0) - oy * TILES) * TP; /* pixels this tile owns start here */
    const uint ob = (uint)get_global_id(1);
    const uint n = (uint)get_global_id(2);
    /* The last tile moves back to stay inside; pixels that its neighbour owns are computed again but not stored. */
    const int ox0 = min(first, (int)(OW - TP));
    const int iy0 = oy * SH - PT;
    const int ix0 = ox0 * SW - PL;
    const uint fill = zero[0] * 0x01010101u;
    const int moved = (int)(UNSIGNED(fill) & 255);

    const __global uchar *wb = wp + (size_t)ob * (NR * sizeof(int) + CB * BLOCK_BYTES);
    IVEC acc[TP][NV];
#pragma unroll
    for (int v = 0; v < NV; v++) {
        const IVEC start = VLOAD(v, (const __global int *)wb) * -moved;
#pragma unroll
        for (int p = 0; p < TP; p++)
            acc[p][v] = start;
    }
    wb += NR * sizeof(int);

    const __global uchar *xb = x + (size_t)n * ((size_t)C * H * IW);
#if REACHES_OUT
    uint patch[KH * SPAN * IB / 4] __attribute__((aligned(16))); /* what a tile at the border reads, with zero points outside */
    const int from = clamp(-ix0, 0, SPAN), to = clamp(IW - ix0, from, SPAN);
    if (from > 0 || to < SPAN || iy0 < 0 || iy0 + (KH - 1) * DH >= H) {
        PIXEL *restrict rows = (PIXEL *)patch;
#pragma unroll 1
        for (int j = 0; j < KH * SPAN; j++)
            rows[j] = (PIXEL)(fill);
#pragma unroll 1
        for (uint cb = 0; cb < CB; cb++) {
#pragma unroll 1
            for (int r = 0; r < KH; r++) {
                const int iy = iy0 + r * DH;
                const __global PIXEL *row = (const __global PIXEL *)(xb + ((size_t)iy * IW + ix0) * IB);
                if (iy >= 0 && iy < H)
#pragma unroll 1
                    for (int j = from; j < to; j++)
                        rows[r * SPAN + j] = row[j];
            }
            TAPS(__private, (const __private uchar *)patch, SPAN * IB)
            xb += (size_t)H * IW * IB;
            wb += BLOCK_BYTES;
        }
    }
#if LIES_INSIDE
    else
#endif
#endif
#if LIES_INSIDE
    {
        xb += ((long)iy0 * IW + ix0) * IB;
#pragma unroll 1
        for (uint cb = 0; cb < CB; cb++) {
            TAPS(__global, xb, DH * IW * IB)
            xb += (size_t)H * IW * IB;
            wb += BLOCK_BYTES;
        }
    }
#endif

    /* Through memory, so that the epilogue is in the code NV times and not TP*NV times, and pixels and channels can be left out. */
    int tile[TP * NR];
#pragma unroll
    for (int p = 0; p < TP; p++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[p][v], p * NV + v, tile);

#pragma unroll 1
    for (int p = first - ox0; p < TP; p++)
#pragma unroll NV
        for (uint v = 0; v < NR; v += SV) {
            const uint o = ob * NR + v;
            if (o + SV <= O) {
                CAT(STORE, SV)(CAT(vload, SV)(0, tile + p * NR + v), AT(n, o, (uint)oy, (uint)(ox0 + p)), HOOK_ARGS);
            }
#if TAIL
            else
#pragma unroll 1
                for (uint j = 0; o + j < O && j < SV; j++)
                    STORE(tile[p * NR + v + j], AT(n, o + j, (uint)oy, (uint)(ox0 + p)), HOOK_ARGS);
#endif
        }
}

#undef NR
#undef IVEC
#undef TILES
#undef CB
#undef BLOCK_BYTES
#undef SPAN
#undef UNSIGNED
#undef PIXEL
#undef AT
#undef ADD_DOT
#undef RUNS
#undef RUN
#undef TAPS
