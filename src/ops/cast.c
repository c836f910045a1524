/* cast: conversion to another dtype, named by the attribute "to". Kernels convert in generated text: there is no cast.cl. */
#include <math.h>
#include "ops/op.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern_dtype to;
    if (tern_dtype_parse(tern__attr_string(n, 0), &to) != TERN_OK)
        return tern__fail_in(TERN_E_INVALID, "cast: to");
    out[0] = in[0];
    out[0].dtype = to;
    return TERN_OK;
}

/* The integer nearest to trunc(x) that the dtype holds; NaN gives 0. This is what OpenCL's convert_TYPE_sat does. */
static int64_t saturate(double x, tern_dtype to)
{
    bool is_unsigned = to >= TERN_U8 && to <= TERN_U64;
    int bits = (int)tern_dtype_size(to) * 8;
    double end = ldexp(1, is_unsigned ? bits : bits - 1); /* first value too large */
    uint64_t largest = UINT64_MAX >> (is_unsigned ? 64 - bits : 65 - bits);
    if (isnan(x))
        return 0;
    if (x >= end)
        return (int64_t)largest;
    if (x <= (is_unsigned ? 0 : -end))
        return is_unsigned ? 0 : -(int64_t)largest - 1;
    return is_unsigned ? (int64_t)(uint64_t)x : (int64_t)x;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    tern_dtype from = in[0].type.dtype, to = out[0].type.dtype;
    int64_t elems = tern__elems(&out[0].type.shape);
    bool from_float = tern__dtype_is(from, TERN__T_FLOAT), to_float = tern__dtype_is(to, TERN__T_FLOAT);
    for (int64_t i = 0; i < elems; i++) {
        if (to_float) {
            tern__array_set(&out[0], i, tern__array_get(&in[0], i));
        } else if (to == TERN_BOOL) {
            tern__array_set_int(&out[0], i, from_float ? tern__array_get(&in[0], i) != 0 : tern__array_get_int(&in[0], i) != 0);
        } else if (from_float) {
            tern__array_set_int(&out[0], i, saturate(tern__array_get(&in[0], i), to));
        } else {
            tern__array_set_int(&out[0], i, tern__array_get_int(&in[0], i));
        }
    }
    return TERN_OK;
}

/* Flows between floating-point types only. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_dtype from = tern__dtype_of(g, n->in[0]);
    if (tern__dtype_is(from, TERN__T_FLOAT))
        dx[0] = tern__cast(g, dy[0], from);
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {{.name = "to", .type = TERN_ATTR_STRING, .required = true}};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_ANY, .cost = 1};

TERN_OP(cast) = {
    .name = "cast",
    .doc = "y = x in the dtype named by to: floating point to integer drops the fraction and stops at the type's limits, NaN gives 0, "
           "integers wrap, bool is x != 0",
    .onnx = "Cast",
    .onnx_since = 6,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .pointwise = &pointwise,
    .infer = infer,
    .ref = ref,
    .grad = grad,
};
