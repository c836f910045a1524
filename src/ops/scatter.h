/* What scatter_slices and scatter_elements share: how updates combine with what they fall on, the reference's sums, and the gradient. */
#ifndef TERN_OPS_SCATTER_H
#define TERN_OPS_SCATTER_H

#include "ops/gather.h"

/* Slots of their attributes. */
enum { TERN__SCATTER_AXIS, TERN__SCATTER_REDUCTION };

typedef enum tern__scatter_kind { TERN__SCATTER_NONE, TERN__SCATTER_ADD, TERN__SCATTER_MUL, TERN__SCATTER_MIN, TERN__SCATTER_MAX } tern__scatter_kind;
/* The STRING attribute in a slot: "none", "add", "mul", "min", "max". */
tern_status tern__scatter_kind_of(const tern__node *n, int slot, tern__scatter_kind *out);
/* Element types: any for none, numbers for the others; indices are integers, updates of data's type. */
tern_status tern__scatter_types(const tern__node *n, const tern__type *in, tern__scatter_kind kind);

/* The result while updates fall on it, one after the other: doubles or 64-bit integers, rounded once at the end. */
typedef struct tern__scatter_sums {
    tern__scatter_kind kind;
    bool is_float, is_unsigned;
    int64_t n;
    union { double f; int64_t i; } *at;
} tern__scatter_sums;
tern_status tern__scatter_begin(tern__scatter_sums *s, const tern__array *data, tern__scatter_kind kind);
/* Element j of the updates falls on element i of the result. */
void tern__scatter_update(tern__scatter_sums *s, int64_t i, const tern__array *updates, int64_t j);
void tern__scatter_end(tern__scatter_sums *s, const tern__array *out);

/* The gradient of n, with gather (the op that picks what n's updates fall on) as its inverse. */
tern_status tern__scatter_grad(tern_graph *g, const tern__node *n, const char *gather, const tern_value *dy, tern_value *dx);
/* scatter_add and scatter_slices with one index of rank 0: the same with a list of one. Leaves *out alone otherwise. */
tern_status tern__scatter_expand_scalar(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);

/* Lowering: the axes of a hook over [outer][middle][inner], those that stand for no dimension left out, and the same as text. */
struct tern__hook_axis;
void tern__scatter_axes(const int dims[3], const char *const names[3], struct tern__hook_axis *axes, char *text, size_t size);

#endif
