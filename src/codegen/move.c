/* Index maps that ops' move hooks share. */
#include "codegen/move.h"

/* Both shapes are cut into runs of dimensions of equal product, so that an index is only taken apart within its run. */
void tern__move_reshape(tern__body *b, const tern_shape *to, const tern__aff *coord, const tern_shape *from, tern__aff *out)
{
    int i = to->rank - 1, k = from->rank - 1;
    while (i >= 0 || k >= 0) {
        int64_t a = i >= 0 ? to->dim[i] : 1, c = k >= 0 ? from->dim[k] : 1;
        int i0 = i, k0 = k;
        while (a != c) {
            if (a < c && i0 > 0)
                a *= to->dim[--i0];
            else if (k0 > 0)
                c *= from->dim[--k0];
            else
                break;
        }
        if (a != c) { /* extents of 0: nothing is ever read */
            for (int d = 0; d < from->rank; d++)
                out[d] = tern__aff_const(0);
            return;
        }
        if (a > UINT32_MAX)
            tern__body_fail(b, "an index into %lld elements is more than 32 bits hold", (long long)a);
        tern__aff linear = tern__aff_const(0);
        int64_t stride = 1;
        for (int d = i; d >= i0 && d >= 0; d--) {
            linear = tern__aff_axpy(linear, stride, coord[d]);
            stride *= to->dim[d];
        }
        for (int d = k; d >= k0 && d >= 0; d--) {
            if (d == k0)
                out[d] = linear;
            else
                tern__body_divmod(b, linear, from->dim[d], &linear, &out[d]);
        }
        i = i0 - 1;
        k = k0 - 1;
    }
}
