/* What an op is: one const descriptor per file in src/ops, found by its TERN_OP line when the library is built. */
#ifndef TERN_OPS_OP_H
#define TERN_OPS_OP_H

#include "base/status.h"
#include "graph/graph.h"

/* Dense host array for references. data is row-major whatever the layout. */
typedef struct tern__array {
    tern__type type;
    void *data;
} tern__array;
/* Element i as a number, converting from and to the array's dtype (saturating never: integers wrap as in C, f16/bf16 round to nearest even). */
double tern__array_get(const tern__array *a, int64_t i);
int64_t tern__array_get_int(const tern__array *a, int64_t i);
void tern__array_set(const tern__array *a, int64_t i, double x);
void tern__array_set_int(const tern__array *a, int64_t i, int64_t x);
/* Row-major strides of a shape; and the linear index of coord in shape with broadcasting from out's rank. */
void tern__strides(const tern_shape *s, int64_t stride[TERN_MAX_RANK]);
/* Steps coord to the next index of s in row-major order; false after the last. Start from all zeroes. */
bool tern__next_index(const tern_shape *s, int64_t coord[TERN_MAX_RANK]);
int64_t tern__linear(const tern_shape *s, const int64_t *coord);
/* Linear index into an array of shape in for the element that coord (of shape out) broadcasts from (NumPy rules). */
int64_t tern__broadcast_linear(const tern_shape *in, const tern_shape *out, const int64_t *coord);

/* Numeric kinds an input may have. */
enum {
    TERN__T_FLOAT = 1 << 0, /* f32 f16 bf16 f64 */
    TERN__T_INT = 1 << 1,   /* i8..i64 u8..u64 */
    TERN__T_BOOL = 1 << 2,
    TERN__T_NUM = TERN__T_FLOAT | TERN__T_INT,
    TERN__T_ANY = TERN__T_NUM | TERN__T_BOOL,
};
bool tern__dtype_is(tern_dtype t, unsigned kinds);

typedef enum tern__trait {
    TERN__POINTWISE,   /* out[i] = f(in[i] ...), broadcasting: fuses anywhere */
    TERN__REDUCTION,   /* folds axes of its one input with an associative step */
    TERN__CONTRACTION, /* matmul and convolutions */
    TERN__WINDOW,      /* pooling */
    TERN__MOVEMENT,    /* only says where elements come from: an index map, no bytes */
    TERN__SOURCE,      /* no tensor input: computed from the element's index (iota, random) */
    TERN__COMPOSITE,   /* always expands into other ops before compiling */
    TERN__OPAQUE,      /* its own kernels, nothing fused but an epilogue if its implementation offers one */
} tern__trait;

typedef struct tern__attr_decl {
    const char *name;
    tern_attr_type type;
    bool required;
    double def;          /* default of INT and FLOAT */
    const char *def_s;   /* default of STRING */
} tern__attr_decl;

/* Pointwise ops. The kernel source is kernels/pointwise/NAME.cl: one function NAME over register types, see kernels/lib/types.clh.
 * After the operands come the op's INT and FLOAT attributes, in order, as literals of the first operand's type (float for integers? no: T). */
typedef struct tern__pointwise {
    unsigned in_kinds;      /* allowed kinds of the inputs (where: of the branches) */
    bool result_bool;       /* comparisons, logic */
    bool first_bool;        /* where: input 0 is a condition */
    /* Scalar reference in wide arithmetic. a: FLOAT and INT attributes in order. int_ref NULL: integers are not taken. */
    double (*ref)(const double *x, const double *a);
    int64_t (*int_ref)(const int64_t *x, const double *a, bool is_unsigned);
    int cost;               /* rough operations per element: 1 add, 4 divide, 20 transcendental */
} tern__pointwise;

/* Reductions. Source kernels/reduce/NAME.cl: reduce_init, reduce_step(a, b) (associative, so it merges partials too), reduce_finish(a, n). */
typedef struct tern__reduction {
    bool index;             /* argmax, argmin: result is the i64 index of the first best */
} tern__reduction;

struct tern__impl;
struct tern__emit_move;

typedef struct tern__op {
    const char *name;       /* "relu" */
    const char *doc;        /* one sentence with the formula; shown by --help and docs */
    const char *onnx;       /* ONNX operator, NULL where there is none */
    int onnx_since;         /* first opset whose meaning this is */
    tern__trait trait;
    int min_in, max_in;     /* max_in -1: any number */
    int n_out;              /* -1: as many as the caller asks for (split) */
    const tern__attr_decl *attrs;
    int n_attrs;
    unsigned shape_only;    /* bit i: only operand i's shape matters, its elements are never read */
    bool reshapes;          /* MOVEMENT: the same elements in the same row-major order (reshape, flatten) */
    const tern__pointwise *pointwise;
    const tern__reduction *reduction;
    /* Types of the outputs from those of the inputs. in[i].dtype of a missing optional input is TERN_DTYPE_COUNT. Says what is wrong with values:
     * "conv: 3 input channels, but the weight [8,4,3,3] with group 1 wants 4". */
    tern_status (*infer)(const tern__node *n, const tern__type *in, tern__type *out);
    /* Scalar reference, written for clarity; accumulates in double. in[i].data NULL for a missing input. Outputs are allocated. */
    tern_status (*ref)(const tern__node *n, const tern__array *in, const tern__array *out);
    /* Adds the gradient's nodes. dy[k]: gradient of output k or TERN_NONE; dx[i]: set where one flows, preset to TERN_NONE.
     * A dx broader than its input is summed down by the caller. NULL: no gradient, or that of the expansion. */
    tern_status (*grad)(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx);
    /* Rewrites the node into simpler ops over in[]; NULL for a primitive. Called in the "expand" pass, also for what it adds. out[] is
     * preset to TERN_NONE; an op that is not COMPOSITE may leave it so to stay as it is (conv does without a bias). */
    tern_status (*expand)(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
    /* The same, but never left as it is: what the gradient of an op goes through that has none of its own and an expand that may decline. NULL: expand. */
    tern_status (*apart)(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
    /* MOVEMENT and gather: codegen's index map, see codegen/emit.h. */
    tern_status (*move)(struct tern__emit_move *m, const tern__node *n);
    /* In order of preference; ends with NULL. For ops that codegen does not handle by trait. */
    const struct tern__impl *const *impls;
    /* Multiply-adds and so on for the roofline: operations of one run, NULL: one per output element. */
    int64_t (*flops)(const tern__node *n, const tern__type *in, const tern__type *out);
} tern__op;

/* Are the elements of operand i read? */
static inline bool tern__op_reads(const tern__op *op, int i) { return i >= 32 || !(op->shape_only >> i & 1); }

/* The line that tools/registry looks for: TERN_OP(relu) = { ... }; defines the const descriptor tern__op_relu. */
#define TERN_OP(ident) const tern__op tern__op_##ident

const tern__op *tern__op_find(const char *name);
/* All ops, in alphabetical order. */
const tern__op *const *tern__op_all(int *n);

/* Runs the reference of a node on arrays; expands and runs the parts where an op has only an expansion. */
tern_status tern__op_run_ref(const tern__node *n, const tern__array *in, const tern__array *out);

/* Shape rules that several ops share. */
tern_status tern__infer_same(const tern__node *n, const tern__type *in, tern__type *out);           /* out[0] = in[0] */
tern_status tern__infer_pointwise(const tern__node *n, const tern__type *in, tern__type *out);      /* broadcasting; uses op->pointwise */
tern_status tern__infer_reduction(const tern__node *n, const tern__type *in, tern__type *out);      /* attrs 0 axes, 1 keepdims */
tern_status tern__ref_pointwise(const tern__node *n, const tern__array *in, const tern__array *out);
/* axis in [-rank, rank) made positive; TERN_E_INVALID "softmax: axis 4 out of range for rank 3". */
tern_status tern__axis(const tern__node *n, int64_t axis, int rank, int *out);
/* Bit mask of reduced axes from attribute slot 0 (none given: all). */
tern_status tern__reduce_mask(const tern__node *n, int rank, unsigned *mask);
/* The broadcast of two shapes (NumPy rules); false if they do not fit. */
bool tern__broadcast(const tern_shape *a, const tern_shape *b, tern_shape *out);
tern_status tern__fail_dtype(const tern__node *n, int input, tern_dtype t);

/* Builders that read well in gradients: g is first, dtype of constants follows the operand. */
tern_value tern__add(tern_graph *g, tern_value a, tern_value b);
tern_value tern__sub(tern_graph *g, tern_value a, tern_value b);
tern_value tern__mul(tern_graph *g, tern_value a, tern_value b);
tern_value tern__div(tern_graph *g, tern_value a, tern_value b);
tern_value tern__neg(tern_graph *g, tern_value a);
tern_value tern__like(tern_graph *g, tern_value like, double x);  /* rank-0 constant of like's dtype */
tern_value tern__mul_scalar(tern_graph *g, tern_value a, double x);
tern_value tern__add_scalar(tern_graph *g, tern_value a, double x);
tern_value tern__where(tern_graph *g, tern_value c, tern_value a, tern_value b);
tern_value tern__compare(tern_graph *g, const char *op, tern_value a, double x); /* "greater" ... against a number */
tern_value tern__unary(tern_graph *g, const char *op, tern_value a);
/* Ops "sum", "mean", "reduce_max" ("max" is the pointwise one). */
tern_value tern__sum_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims);
tern_value tern__mean_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims);
tern_value tern__max_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims);
tern_value tern__reshape(tern_graph *g, tern_value a, const tern_shape *s);
tern_value tern__transpose(tern_graph *g, tern_value a, const int *perm);
tern_value tern__expand_to(tern_graph *g, tern_value a, const tern_shape *s);
tern_value tern__cast(tern_graph *g, tern_value a, tern_dtype t);
/* Sums a down to shape s (undoing a broadcast). */
tern_value tern__unbroadcast(tern_graph *g, tern_value a, const tern_shape *s);

#endif
