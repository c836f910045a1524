/* What the pools of regions of interest share. */
#ifndef TERN_OPS_ROI_H
#define TERN_OPS_ROI_H

#include "ops/common.h"

/* The first two attributes of both. */
enum { TERN__ROI_HEIGHT, TERN__ROI_WIDTH };
/* Samples of a bin along one axis are at most so many, however large the region. */
#define TERN__ROI_SAMPLES 1024

/* x [N, C, H, W] and regions [R, columns] of one floating-point type; the result is [R, C, height, width]. */
tern_status tern__roi_shape(const tern__node *n, const tern__type *in, int64_t columns, tern__type *out);

/* A number as the kernel has it, f32 unless all is f64: which elements a bin holds hangs on the last digit. */
static inline double tern__roi_round(tern_dtype t, double v)
{
    return t == TERN_F64 ? v : (double)(float)v;
}

#endif
