/* Importing what moves between space and channels in blocks: DepthToSpace, SpaceToDepth, Col2Im. */
#include "onnx/import_shape.h"

#include <inttypes.h>
#include <string.h>

/* v seen as `in`, with its axes in another order, seen as `out`. */
static tern_value rearranged(tern__onnx_node *n, tern_value v, const tern_shape *in, const int *perm, const tern_shape *out)
{
    if (tern__elems(in) == 0)
        return tern__onnx_const(n, tern__dtype_of(n->g, v), out, NULL);
    return tern__reshape(n->g, tern__transpose(n->g, tern__reshape(n->g, v, in), perm), out);
}

static tern_status block_of(tern__onnx_node *n, int64_t *b)
{
    char text[TERN__SHAPE_TEXT];
    *b = tern__onnx_attr_int(n, "blocksize", 0);
    if (tern__onnx_rank(n, 0) != 4 || *b < 1 || *b > INT32_MAX)
        return tern__onnx_fail(n, TERN_E_SHAPE, "blocks of %" PRId64 " in %s", *b, tern__shape_text(tern__onnx_shape(n, 0), text));
    return TERN_OK;
}

tern_status tern__onnx_depth_to_space(tern__onnx_node *n)
{
    static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
    int64_t b;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(block_of(n, &b));
    const char *mode = tern__onnx_attr_string(n, "mode", "DCR");
    const int64_t *d = tern__onnx_shape(n, 0)->dim;
    const int64_t channels = d[1] / (b * b);
    if (d[1] % (b * b) != 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " channels make no blocks of %" PRId64 " by %" PRId64, d[1], b, b);
    const tern_shape out = {.rank = 4, .dim = {d[0], channels, d[2] * b, d[3] * b}};
    const tern_shape by_depth = {.rank = 6, .dim = {d[0], b, b, channels, d[2], d[3]}}, by_channel = {.rank = 6, .dim = {d[0], channels, b, b, d[2], d[3]}};
    if (strcmp(mode, "DCR") == 0)
        return tern__onnx_put(n, 0, rearranged(n, tern__onnx_in(n, 0), &by_depth, dcr, &out));
    if (strcmp(mode, "CRD") == 0)
        return tern__onnx_put(n, 0, rearranged(n, tern__onnx_in(n, 0), &by_channel, crd, &out));
    return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%.40s\"", mode);
}

tern_status tern__onnx_space_to_depth(tern__onnx_node *n)
{
    static const int dcr[] = {0, 3, 5, 1, 2, 4}, crd[] = {0, 1, 3, 5, 2, 4};
    int64_t b;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(block_of(n, &b));
    const char *mode = tern__onnx_attr_string(n, "mode", "DCR");
    const int64_t *d = tern__onnx_shape(n, 0)->dim;
    if (d[2] % b != 0 || d[3] % b != 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " by %" PRId64 " elements make no blocks of %" PRId64, d[2], d[3], b);
    const tern_shape in = {.rank = 6, .dim = {d[0], d[1], d[2] / b, b, d[3] / b, b}}, out = {.rank = 4, .dim = {d[0], d[1] * b * b, d[2] / b, d[3] / b}};
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%.40s\"", mode);
    return tern__onnx_put(n, 0, rearranged(n, tern__onnx_in(n, 0), &in, *mode == 'D' ? dcr : crd, &out));
}

/* What Col2Im's lists come to. */
typedef struct columns {
    int dims;
    int64_t image[3], block[3], strides[3], dilations[3], pads[6], steps[3], block_elems, n_steps;
} columns;

static tern_status spatial_list(tern__onnx_node *n, const char *name, int count, int64_t least, int64_t def, int64_t *out)
{
    int given;
    const int64_t *v = tern__onnx_attr_ints(n, name, &given);
    if (given && given != count)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d %s, %d are needed", given, name, count);
    for (int i = 0; i < count; i++) {
        out[i] = given ? v[i] : def;
        if (out[i] < least || out[i] > INT32_MAX)
            return tern__onnx_fail(n, TERN_E_INVALID, "%s has %" PRId64, name, out[i]);
    }
    return TERN_OK;
}

static tern_status read_columns(tern__onnx_node *n, columns *c)
{
    const int64_t *image, *block;
    int n_image, n_block;
    TERN_TRY(tern__onnx_read_ints(n, 1, &image, &n_image));
    TERN_TRY(tern__onnx_read_ints(n, 2, &block, &n_block));
    if (n_image != n_block || n_image < 1 || n_image > 3)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%d extents of the image and %d of the blocks; 1 to 3 are possible", n_image, n_block);
    *c = (columns){.dims = n_image, .block_elems = 1, .n_steps = 1};
    TERN_TRY(spatial_list(n, "strides", c->dims, 1, 1, c->strides));
    TERN_TRY(spatial_list(n, "dilations", c->dims, 1, 1, c->dilations));
    TERN_TRY(spatial_list(n, "pads", 2 * c->dims, 0, 0, c->pads));
    for (int d = 0; d < c->dims; d++) {
        if (image[d] < 1 || image[d] > INT32_MAX || block[d] < 1 || block[d] > INT32_MAX)
            return tern__onnx_fail(n, TERN_E_SHAPE, "an image of %" PRId64 " and a block of %" PRId64 " elements along axis %d", image[d], block[d], d);
        c->image[d] = image[d];
        c->block[d] = block[d];
        const int64_t room = image[d] + c->pads[d] + c->pads[c->dims + d] - c->dilations[d] * (block[d] - 1) - 1;
        c->steps[d] = room < 0 ? 0 : room / c->strides[d] + 1;
        if (__builtin_mul_overflow(c->block_elems, block[d], &c->block_elems) || __builtin_mul_overflow(c->n_steps, c->steps[d], &c->n_steps))
            return tern__onnx_fail(n, TERN_E_SHAPE, "blocks larger than can be counted");
    }
    return TERN_OK;
}

/* Blocks put back where they came from and added up: the gradient of a convolution that takes each block apart, whose weight is the identity. */
tern_status tern__onnx_col2im(tern__onnx_node *n)
{
    columns c;
    TERN_TRY(tern__onnx_need(n, 3, 3));
    TERN_TRY(read_columns(n, &c));
    char text[TERN__SHAPE_TEXT];
    const tern_shape x = *tern__onnx_shape(n, 0);
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    if (x.rank != 3 || x.dim[1] % c.block_elems != 0 || x.dim[2] != c.n_steps || tern__elems(&x) == 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%s for blocks of %" PRId64 " elements at %" PRId64 " places", tern__shape_text(&x, text), c.block_elems, c.n_steps);
    if (!tern__dtype_is(t, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "elements of type %s", tern_dtype_name(t));
    const int64_t channels = x.dim[1] / c.block_elems;
    tern_shape dy = {.rank = 2 + c.dims, .dim = {x.dim[0] * channels, c.block_elems}}, w = {.rank = 2 + c.dims, .dim = {c.block_elems, 1}};
    tern_shape out = {.rank = 2 + c.dims, .dim = {x.dim[0], channels}};
    for (int d = 0; d < c.dims; d++) {
        dy.dim[2 + d] = c.steps[d];
        w.dim[2 + d] = c.block[d];
        out.dim[2 + d] = c.image[d];
    }
    tern_value eye = tern_graph_op2(n->g, "equal", tern__onnx_iota(n->g, 2, 0, c.block_elems), tern__onnx_iota(n->g, 2, 1, c.block_elems), NULL);
    eye = tern__reshape(n->g, tern__cast(n->g, eye, t), &w);
    tern_value y = tern_graph_op2(n->g, "conv_grad_input", tern__reshape(n->g, tern__onnx_in(n, 0), &dy), eye,
                                  TERN_ATTRS(TERN_INTS("strides", c.strides, c.dims), TERN_INTS("dilations", c.dilations, c.dims),
                                             TERN_INTS("pads", c.pads, 2 * c.dims), TERN_INTS("input_shape", c.image, c.dims)));
    return tern__onnx_put(n, 0, tern__reshape(n->g, y, &out));
}
