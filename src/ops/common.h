/* Small checks and builders that the shape rules, references and gradients of many ops share. */
#ifndef TERN_OPS_COMMON_H
#define TERN_OPS_COMMON_H

#include "ops/op.h"

/* The i-th input is given (not left off, not TERN_NONE). */
static inline bool tern__has_input(const tern__node *n, int i)
{
    return i < n->n_in && n->in[i] != TERN_NONE;
}

/* A plain type. */
static inline tern__type tern__plain(tern_dtype dtype, const tern_shape *s)
{
    return (tern__type){.dtype = dtype, .shape = *s};
}

/* TERN_E_DTYPE unless input i, if given, is of one of these kinds. */
tern_status tern__need_kind(const tern__node *n, const tern__type *in, int i, unsigned kinds);
/* TERN_E_DTYPE unless inputs i and j, if given, have the same dtype. */
tern_status tern__need_same(const tern__node *n, const tern__type *in, int i, int j);
/* TERN_E_SHAPE unless lo <= rank of input i <= hi. */
tern_status tern__need_rank(const tern__node *n, const tern__type *in, int i, int lo, int hi);
/* TERN_E_SHAPE unless input i, if given, is [extent]; what names the extent in the sentence. */
tern_status tern__need_vector(const tern__node *n, const tern__type *in, int i, int64_t extent, const char *what);
/* TERN_E_SHAPE unless inputs i and j have equal shapes. */
tern_status tern__need_equal_shapes(const tern__node *n, const tern__type *in, int i, int j);

/* "[2,3]" in buf. */
#define TERN__SHAPE_TEXT 192
const char *tern__shape_text(const tern_shape *s, char buf[TERN__SHAPE_TEXT]);
/* "[2,3]" from a list of numbers; long lists end in "...". */
const char *tern__ints_text(const int64_t *v, int n, char buf[TERN__SHAPE_TEXT]);

/* The dtype named by a STRING attribute, of one of these kinds. */
tern_status tern__attr_dtype(const tern__node *n, int slot, unsigned kinds, tern_dtype *out);
/* The shape in an INTS attribute: rank and extents in range, none negative. */
tern_status tern__attr_shape(const tern__node *n, int slot, tern_shape *out);
/* Bit mask of distinct axes of a rank in an INTS attribute, negative ones counting from the end. */
tern_status tern__attr_axes(const tern__node *n, int slot, int rank, unsigned *mask);

/* Product of the extents of axes [from, to). */
int64_t tern__extent(const tern_shape *s, int from, int to);
/* Product of the extents of the axes in mask. */
int64_t tern__extent_of(const tern_shape *s, unsigned mask);
/* All axes of a rank but one. */
static inline unsigned tern__all_but(int rank, int axis)
{
    return ((1u << rank) - 1u) & ~(1u << axis);
}

/* Folds the axes in mask of a to out (whatever its rank, elements in order of the kept axes), in double or int64. */
typedef struct tern__fold {
    double init;
    double (*step)(double acc, double x);
    double (*finish)(double acc, double n);         /* NULL: acc */
    int64_t (*int_init)(tern_dtype t);              /* NULL: (int64_t)init */
    int64_t (*int_step)(int64_t acc, int64_t x, bool is_unsigned); /* NULL: integers are not taken */
} tern__fold;
tern_status tern__ref_fold(const tern__array *a, unsigned mask, const tern__fold *f, const tern__array *out);
static inline bool tern__is_unsigned(tern_dtype t)
{
    return (t >= TERN_U8 && t <= TERN_U64) || t == TERN_BOOL;
}
/* Copies one element, exactly, between arrays of one dtype. */
void tern__array_copy(const tern__array *to, int64_t i, const tern__array *from, int64_t j);

/* --- Builders --- */
/* a broadcast to the shape of like, a reshaped to it; the extents are those of the day the graph is compiled. */
tern_value tern__expand_as(tern_graph *g, tern_value a, tern_value like);
tern_value tern__reshape_as(tern_graph *g, tern_value a, tern_value like);
/* Gradients that several ops share: dy under x's shape (the op only reshapes); nothing at all (the op is constant almost everywhere). */
tern_status tern__grad_reshape(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx);
tern_status tern__grad_nothing(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx);
/* Rank-0 number of elements of like along the axes in mask, in dtype t. */
tern_value tern__count(tern_graph *g, tern_value like, unsigned mask, tern_dtype t);
tern_value tern__zeros_like(tern_graph *g, tern_value like);
/* Inserts or drops axes of extent 1; mask is over the larger rank. */
tern_value tern__unsqueeze(tern_graph *g, tern_value a, unsigned mask);
tern_value tern__squeeze(tern_graph *g, tern_value a, unsigned mask);
/* A reduction's result with its axes put back as extent 1 (mask over the operand's rank). */
tern_value tern__keep_axes(tern_graph *g, tern_value reduced, unsigned mask, bool has_them);
/* A per-channel vector [C] as [1, C, 1, ...] of the given rank. */
tern_value tern__per_channel(tern_graph *g, tern_value v, int rank);
/* f16 and bf16 become f32, so that sums over many elements keep their digits; others stay. */
tern_value tern__widen(tern_graph *g, tern_value a);

#endif
