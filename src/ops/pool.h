/* What pooling ops share: attributes and counts. */
#ifndef TERN_OPS_POOL_H
#define TERN_OPS_POOL_H

#include "ops/spatial.h"

#define TERN__POOL_ATTRS                                              \
    {.name = "strides", .type = TERN_ATTR_INTS},                      \
    {.name = "dilations", .type = TERN_ATTR_INTS},                    \
    {.name = "pads", .type = TERN_ATTR_INTS},                         \
    {.name = "kernel", .type = TERN_ATTR_INTS, .required = true},     \
    {.name = "ceil_mode", .type = TERN_ATTR_INT}
#define TERN__AVERAGE_ATTRS                                           \
    TERN__POOL_ATTRS,                                                 \
    {.name = "count_include_pad", .type = TERN_ATTR_INT},             \
    {.name = "divisor", .type = TERN_ATTR_INT}

/* The shared attributes of n, for another node. */
#define TERN__POOL_COPY(n)                                                                                                \
    TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),                     \
        TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN__SP_COPY(n, TERN__POOL_KERNEL, "kernel"),                           \
        TERN_INT("ceil_mode", tern__attr_int(n, TERN__POOL_CEIL))
#define TERN__AVERAGE_COPY(n)                                                                                             \
    TERN__POOL_COPY(n), TERN_INT("count_include_pad", tern__attr_int(n, TERN__POOL_INCLUDE_PAD)),                         \
        TERN_INT("divisor", tern__attr_int(n, TERN__POOL_DIVISOR))

/* What the sum of each window is divided by, for output position o: divisor if given, else the taps that lie in x, or
 * in x and its padding. 1 where there is none, so that such a window gives 0. */
int64_t tern__average_count(const tern__node *n, const tern__spatial *sp, const int64_t o[3]);

/* What holds the position of a window's largest element, row-major within the window: u8 while it can, else i32. */
tern_status tern__window_index(const tern__node *n, const tern__spatial *sp, tern_dtype *t);

/* One operation for each tap. */
int64_t tern__pool_flops(const tern__node *n, const tern__type *in, const tern__type *out);

#endif
