/* Direct convolution for CPU devices: one work-item computes TP neighbouring pixels of one row times NV*W output channels,
 * all in vector registers.
 *
 *   y[n, o, oz, oy, ox] = sum over c, kd, kh, kw of x[n, c, oz*SD - PF + kd*DD, oy*SH - PT + kh*DH, ox*SW - PL + kw*DW] * w[o, c, kd, kh, kw]
 *
 * x: [N, G*C/IB, D, H, IW, IB] f32: channels in blocks of IB, or plain with IB = 1.
 * wp: [G][O/NR rounded up][C/IB][KD][KH][KW][IB][NR] f32 from pack_conv_weight.cl, NR = NV*W, zero past the last channel.
 * The gradient by the input at stride 1 is the same sum over dy with flipped weights and pads DH*(KH-1) - PT, DW*(KW-1) - PL. At strides it is one for each
 * phase, with every S-th tap in each direction of stride S, whose results lie S pixels apart.
 * Dimensions that are missing come first and have extents of 1. C, D, H, IW, O, OH, OW, G, TO_Z, TO_Y and TO_X may be parameters.
 * ND-range: (tiles per row * OH * OD, G * O/NR, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_cpu
#define HOOK_PARAMS __global float *y
#define HOOK_ARGS y
#define W 16  /* native vector width of float */
#define TP 14 /* pixels of a tile, at most OW: TP*NV accumulators + NV + 1 vector registers */
#define NV 2  /* vectors of output channels of a tile */
#define IB 16 /* channels in a block of x: 1, 4, 8 or 16 */
#define G 1 /* groups; C and O are the channels of one */
#define C 64
#define D 1
#define H 56
#define IW 56
#define O 64
#define OH 56
#define OW 56
#define KD 1
#define KH 3
#define KW 3
#define SD 1
#define SH 1
#define SW 1
#define DD 1
#define DH 1
#define DW 1
#define PF 0
#define PT 1
#define PL 1
#define CLIPS 2 /* 0: what a tile reads at a border is copied beside zeroes. n: all the ways a tap cuts off pixels of a tile, */
#define CLIP1_LO 1 /* leaving pixels [LO, HI): code for each */
#define CLIP1_HI 14
#define CLIP2_LO 0
#define CLIP2_HI 13
#define CLIP3_LO 0
#define CLIP3_HI 0
#define CLIP4_LO 0
#define CLIP4_HI 0
#define REACHES_OUT 1 /* some tile reaches out of the rows */
#define LIES_INSIDE 1 /* some tile lies wholly inside them */
#define DIRECT 0 /* 1: results go straight from the registers: where there are few products to each, that way counts */
#define MOVES 1  /* 1: the last tile of a row moves back */
#define SV 16  /* channels of a store: W or, where the result is blocked by less, that */
#define TAIL 0 /* 1: O is no multiple of SV */
#define PV 0   /* 4 or 8: results are plain, so that vectors of so many pixels of a channel are stored */
#define INPUT_AHEAD 0 /* n: the input is asked for so many blocks of channels before it is due; 1x1 taps */
#define ASKS 0 /* 1: what the hook will read is asked for before the products: it defines STORE16_AHEAD for that */
#define APART_Z 1 /* the result's pixel for (oz, oy, ox) is (oz * APART_Z + TO_Z, oy * APART_Y + TO_Y, ox * APART_X + TO_X) */
#define APART_Y 1
#define APART_X 1
#define TO_Z 0
#define TO_Y 0
#define TO_X 0
#define COORDS 2 /* that the hook takes for a pixel; 3: there are planes; 1: no rows either */
static inline void STORE(float acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { y[((n * O + o) * OH + oy) * OW + ox] = acc; }
static inline void STORE16(float16 acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS)
{
    vstore16(acc, 0, y + (((n * (O / 16) + o / 16) * OH + oy) * OW + ox) * 16);
}
#endif

#include "lib/prefetch.clh"
#include "lib/vector.clh"
#define NR (NV * W)
#define TILES ((OW + TP - 1) / TP)
#define CB (C / IB)
#define SPAN ((TP - 1) * SW + (KW - 1) * DW + 1) /* input pixels of a row that a tile reads */
#define LAST_OX (OW - TP)
#if IB == 1
#define PIXEL float
#define GET(i, p) ((p)[i])
#define PUT(x, i, p) ((p)[i] = (x))
#else
#define PIXEL CAT(float, IB)
#define GET CAT(vload, IB)
#define PUT CAT(vstore, IB)
#endif
#if PV == 8
#define PIXELS(t) (float8)((t)[0], (t)[NR], (t)[2 * NR], (t)[3 * NR], (t)[4 * NR], (t)[5 * NR], (t)[6 * NR], (t)[7 * NR])
#else
#define PIXELS(t) (float4)((t)[0], (t)[NR], (t)[2 * NR], (t)[3 * NR])
#endif
/* .hi, lane by lane: Oclgrind 21.10 takes the lanes of .hi for uninitialised. */
#if SV == 8
#define HIGH(x) (float8)((x).s8, (x).s9, (x).sa, (x).sb, (x).sc, (x).sd, (x).se, (x).sf)
#else
#define HIGH(x) (float4)((x).s4, (x).s5, (x).s6, (x).s7)
#endif
/* Channels from, from + 1, ... of pixel p, unless they are past the last. */
#define STORE_PART(from, part)                                                                            \
    if ((from) + SV <= n_o)                                                                               \
        CAT(STORE, SV)(part, n, o0 + (from), AT(ox0 + p), HOOK_ARGS)
#if COORDS == 1
#define AT(ox) (uint)(ox) * APART_X + TO_X
#elif COORDS == 2
#define AT(ox) (uint)oy * APART_Y + TO_Y, (uint)(ox) * APART_X + TO_X
#else
#define AT(ox) (uint)oz * APART_Z + TO_Z, (uint)oy * APART_Y + TO_Y, (uint)(ox) * APART_X + TO_X
#endif
/* Blocks of input channels, and in each the planes that the taps reach. */
#define EACH_PLANE                                                                                        \
    _Pragma("unroll 1") for (uint cb = 0; cb < CB; cb++)                                                  \
        _Pragma("unroll 1") for (int kd = kd0; kd < kd1; kd++)
#define PLANE (xb + (cb * D + kd * DD) * (size_t)(H * IW * IB))
#define PLANE_WEIGHTS (wb + (cb * KD + kd) * (size_t)(KH * KW * IB * NR))

/* Adds every tap of one input block. SRC: the block's row of tap 0, shifted to the tile; ROW: floats between the rows of
 * neighbouring taps. Without dilation a row's taps and channels follow each other in x as they do in wp: one loop. */
#if DW == 1
#define RUNS 1
#define RUN (KW * IB)
#else
#define RUNS KW
#define RUN IB
#endif
/* Weights are asked for so many channels and taps before they are due: their products take some hundred cycles. Where a cache keeps them it costs
 * nothing to be seen. After the products: before them, addresses take registers that the tile needs. */
#define AHEAD 32
#if INPUT_AHEAD
#define FETCH_INPUT(i) PREFETCH(xs + INPUT_AHEAD * H * IW * IB + (i) * (SW * IB - 1)); /* a pixel with each channel */
#else
#define FETCH_INPUT(i)
#endif
/* RUN_LENGTH channels (and taps) for pixels [LO, HI) of the tile. */
#define CHANNELS(SPACE, FROM, WEIGHTS, RUN_LENGTH, LO, HI)                                                \
    {                                                                                                     \
        const SPACE float *xs = FROM;                                                                     \
        const __global float *ws = WEIGHTS;                                                               \
        _Pragma("unroll 1") for (int i = 0; i < (RUN_LENGTH); i++)                                        \
        {                                                                                                 \
            VEC wv[NV];                                                                                   \
            _Pragma("unroll") for (int v = 0; v < NV; v++) wv[v] = VLOAD(v, ws);                          \
            _Pragma("unroll") for (int p = (LO); p < (HI); p++)                                           \
            {                                                                                             \
                const VEC s = (VEC)(xs[(size_t)p * (SW * IB)]);                                           \
                _Pragma("unroll") for (int v = 0; v < NV; v++) acc[p][v] += s * wv[v];                    \
            }                                                                                             \
            xs++;                                                                                         \
            _Pragma("unroll") for (int v = 0; v < NV; v++) PREFETCH(ws + v * W + AHEAD * NR);             \
            FETCH_INPUT(i)                                                                                \
            ws += NR;                                                                                     \
        }                                                                                                 \
    }
#define TAPS(SPACE, SRC, ROW)                                                                             \
    _Pragma("unroll 1") for (int kh = kh0; kh < kh1; kh++)                                                \
        _Pragma("unroll 1") for (int r = 0; r < RUNS; r++)                                                \
            CHANNELS(SPACE, (SRC) + ((kh - kh0) * (ROW) + r * (DW * IB)), PLANE_WEIGHTS + (kh * RUNS + r) * (RUN * NR), RUN, 0, TP)
#define CLIPPED(N) if (CLIPS >= N && lo == CLIP##N##_LO && hi == CLIP##N##_HI) CHANNELS(__global, src, wt, IB, CLIP##N##_LO, CLIP##N##_HI)

__kernel void KERNEL(const __global float *restrict x, const __global float *restrict wp, HOOK_PARAMS)
{
    const int row = (int)((uint)get_global_id(0) / TILES);
#if COORDS == 3
    const int oz = row / OH, oy = row - oz * OH;
#else
    const int oz = 0, oy = row;
#endif
    const int first = ((int)get_global_id(0) - row * TILES) * TP; /* pixels this tile owns start here */
    const uint ob = (uint)get_global_id(1), g = ob / (((uint)O + NR - 1) / NR), b = ob % (((uint)O + NR - 1) / NR);
    const uint o0 = g * O + b * NR; /* its first channel, and so many are left in the group */
    const int n_o = O - (int)(b * NR);
    const uint n = (uint)get_global_id(2);
    /* The last tile moves back to stay inside; pixels that its neighbour owns are computed again but not stored. */
    const int ox0 = min(first, LAST_OX);
    const int iz0 = oz * SD - PF;
    const int iy0 = oy * SH - PT;
    const int ix0 = ox0 * SW - PL;
    /* Taps whose plane and row exist. */
#if COORDS == 3
    const int kd0 = iz0 < 0 ? min((-iz0 + DD - 1) / DD, KD) : 0;
    const int kd1 = iz0 + (KD - 1) * DD < D ? KD : max((D - iz0 + DD - 1) / DD, kd0);
#else
    const int kd0 = 0, kd1 = 1;
#endif
    const int kh0 = iy0 < 0 ? min((-iy0 + DH - 1) / DH, KH) : 0;
    const int kh1 = iy0 + (KH - 1) * DH < H ? KH : max((H - iy0 + DH - 1) / DH, kh0);

#if ASKS
#pragma unroll 1
    for (int p = 0; p < TP; p++)
#pragma unroll
        for (uint v = 0; v < NV; v++)
            CAT(CAT(STORE, W), _AHEAD)(n, o0 + v * W, AT(ox0 + p), HOOK_ARGS);
#endif
    VEC acc[TP][NV];
#pragma unroll
    for (int p = 0; p < TP; p++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            acc[p][v] = (VEC)(0.0f);

    const __global float *xb = x + ((size_t)n * G + g) * ((size_t)C * D * H * IW) + (iz0 * H + iy0 + kh0 * DH) * (IW * IB);
    const __global float *wb = wp + (size_t)ob * ((size_t)C * KD * KH * KW * NR);
#if CLIPS > 0
    EACH_PLANE
#pragma unroll 1
        for (int kh = kh0; kh < kh1; kh++)
#pragma unroll 1
            for (int kw = 0; kw < KW; kw++) {
                const int ix = ix0 + kw * DW;
                const int lo = ix < 0 ? min((-ix + SW - 1) / SW, TP) : 0;
                const int hi = ix + (TP - 1) * SW < IW ? TP : max((IW - ix + SW - 1) / SW, 0);
                const __global float *src = PLANE + (kh - kh0) * (DH * IW * IB) + ix * IB;
                const __global float *wt = PLANE_WEIGHTS + (kh * KW + kw) * (IB * NR);
                if (lo == 0 && hi == TP)
                    CHANNELS(__global, src, wt, IB, 0, TP)
                else CLIPPED(1)
                else CLIPPED(2)
                else CLIPPED(3)
                else CLIPPED(4)
            }
#else
#if REACHES_OUT
    float patch[KH * SPAN * IB]; /* the rows a tile at the border reads, with zeroes outside */
    const int from = clamp(-ix0, 0, SPAN), to = clamp(IW - ix0, from, SPAN);
    if (from > 0 || to < SPAN) {
        PIXEL zero = (PIXEL)(0.0f);
#pragma unroll 1
        for (int r = 0; r < kh1 - kh0; r++) {
#pragma unroll 1
            for (int j = 0; j < from; j++)
                PUT(zero, r * SPAN + j, patch);
#pragma unroll 1
            for (int j = to; j < SPAN; j++)
                PUT(zero, r * SPAN + j, patch);
        }
        EACH_PLANE
        {
#pragma unroll 1
            for (int r = 0; r < kh1 - kh0; r++) {
                const __global float *src = PLANE + r * (DH * IW * IB) + ix0 * IB;
#pragma unroll 1
                for (int j = from; j < to; j++)
                    PUT(GET(j, src), r * SPAN + j, patch);
            }
            TAPS(__private, patch, SPAN * IB)
        }
    }
#if LIES_INSIDE
    else
#endif
#endif
#if LIES_INSIDE
    {
        xb += ix0 * IB;
        EACH_PLANE
            TAPS(__global, PLANE, DH * IW * IB)
    }
#endif
#endif

#if DIRECT
#pragma unroll
    for (int v = 0; v < NV; v++)
#pragma unroll
        for (int p = 0; p < TP; p++) {
#if MOVES
            if (p < first - ox0)
                continue;
#endif
#if SV == W
            STORE_PART(v * W, acc[p][v]);
#else
            STORE_PART(v * W, acc[p][v].lo);
            STORE_PART(v * W + SV, HIGH(acc[p][v]));
#endif
        }
#else
    /* Through memory, so that the epilogue is in the code NV times and not TP*NV times, and pixels and channels can be left out. */
    float tile[TP * NR];
#pragma unroll
    for (int p = 0; p < TP; p++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[p][v], p * NV + v, tile);

#if PV
#pragma unroll 1
    for (int j = 0; j < NR && j < n_o; j++) {
        const float *from = tile + j;
        int p = first - ox0;
#pragma unroll 1
        for (; p + PV <= TP; p += PV) {
            CAT(STORE, PV)(PIXELS(from + p * NR), n, o0 + j, AT(ox0 + p), HOOK_ARGS);
        }
#pragma unroll 1
        for (; p < TP; p++)
            STORE(from[p * NR], n, o0 + j, AT(ox0 + p), HOOK_ARGS);
    }
#else
#pragma unroll 1
    for (int p = first - ox0; p < TP; p++)
#pragma unroll NV
        for (int v = 0; v < NR; v += SV) {
            if (v + SV <= n_o) {
                CAT(STORE, SV)(CAT(vload, SV)(0, tile + p * NR + v), n, o0 + v, AT(ox0 + p), HOOK_ARGS);
            }
#if TAIL
            else
#pragma unroll 1
                for (int j = 0; v + j < n_o && j < SV; j++)
                    STORE(tile[p * NR + v + j], n, o0 + v + j, AT(ox0 + p), HOOK_ARGS);
#endif
        }
#endif
#endif
}

#undef NR
#undef TILES
#undef CB
#undef SPAN
#undef LAST_OX
#undef PIXEL
#undef GET
#undef PUT
#undef PIXELS
#undef HIGH
#undef STORE_PART
#undef AT
#undef EACH_PLANE
#undef PLANE
#undef PLANE_WEIGHTS
#undef RUNS
#undef RUN
#undef CHANNELS
#undef AHEAD
#undef FETCH_INPUT
#undef TAPS
#undef CLIPPED
