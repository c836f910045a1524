/* What pooling ops share: attributes and counts. */
#include "ops/pool.h"

#include <inttypes.h>

/* Taps along axis d that lie in [lo, hi). */
static int64_t taps(const tern__spatial *sp, int d, int64_t o, int64_t lo, int64_t hi)
{
    int64_t count = 0;
    for (int64_t k = 0; k < sp->kernel[d]; k++) {
        const int64_t at = tern__spatial_at(sp, d, o, k);
        count += at >= lo && at < hi;
    }
    return count;
}

int64_t tern__average_count(const tern__node *n, const tern__spatial *sp, const int64_t o[3])
{
    const int64_t divisor = tern__attr_int(n, TERN__POOL_DIVISOR);
    const bool include = tern__attr_int(n, TERN__POOL_INCLUDE_PAD) != 0;
    if (divisor)
        return divisor;
    int64_t count = 1;
    for (int d = 0; d < 3; d++)
        count *= include ? taps(sp, d, o[d], -sp->pad[d], sp->in[d] + sp->pad_end[d]) : taps(sp, d, o[d], 0, sp->in[d]);
    return TERN_MAX(count, 1);
}

tern_status tern__window_index(const tern__node *n, const tern__spatial *sp, tern_dtype *t)
{
    const int64_t *k = sp->kernel;
    if (k[0] > INT32_MAX / k[1] / k[2])
        return tern__fail(TERN_E_SHAPE, "%s: a window of %" PRId64 " x %" PRId64 " x %" PRId64 " elements is too large to be numbered", n->op->name, k[0],
                          k[1], k[2]);
    *t = k[0] * k[1] * k[2] <= 256 ? TERN_U8 : TERN_I32;
    return TERN_OK;
}

int64_t tern__pool_flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)out;
    tern__spatial sp;
    if (tern__pool_geometry(n, in, &sp) != TERN_OK)
        return 0;
    return sp.batch * sp.c_in * sp.out[0] * sp.out[1] * sp.out[2] * sp.kernel[0] * sp.kernel[1] * sp.kernel[2];
}
