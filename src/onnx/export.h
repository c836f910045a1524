/* Exporting: how Tern's ops are said in ONNX.
 *
 * First the graph is rewritten until every node of it is one that ONNX has (lower): ops without an ONNX form are replaced by others, element types that
 * an operator lacks are worked around with casts. Then each node is written by its form's emitter. */
#ifndef TERN_ONNX_EXPORT_H
#define TERN_ONNX_EXPORT_H

#include "base/status.h"
#include "onnx/proto.h"
#include "ops/op.h"

/* The opset that is written if no node needs a later one. */
#define TERN__EXPORT_OPSET 17
/* A model file cannot be larger than this; above, weights go into a file beside it. */
#define TERN__EXPORT_LIMIT ((size_t)0x7ff00000)

/* --- The model as it grows --- */

typedef struct tern__export {
    const tern_graph *g;    /* lowered */
    int opset;
    tern_status st;         /* first failure: everything after does nothing */
    const char **names;     /* of g's values; NULL where none is known yet */
    bool *said;             /* constants and variables that are in tensors */
    Onnx__NodeProto **nodes;
    int n_nodes, cap_nodes;
    Onnx__TensorProto **tensors;
    int n_tensors, cap_tensors;
    Onnx__NodeProto *node;  /* where attributes go: the last one that was added */
    const char **taken;     /* names in use: a hash table */
    int n_taken, cap_taken;
    int serial;             /* for names that nobody gave */
    struct tern__export_block *blocks; /* all memory of the messages */
} tern__export;

/* Zeroed memory that lives as long as the model; NULL latches TERN_E_NOMEM. */
void *tern__export_keep(tern__export *e, size_t count, size_t size);
tern_status tern__export_fail(tern__export *e, tern_status st, const char *fmt, ...) TERN_PRINTF(3, 4);

/* A name as wanted, with a number behind it if it is in use; and one that begins with base. NULL after a failure. */
const char *tern__export_take(tern__export *e, const char *wanted);
const char *tern__export_fresh(tern__export *e, const char *base);
void tern__export_finish(tern__export *e);

/* Adds a node. Input names: NULL for one that is left out. An output that is NULL gets a new name; returns the first output's name. */
const char *tern__export_node(tern__export *e, const char *op, const char *const *in, int n_in, const char **out, int n_out);
/* A node with one new output, of one or two inputs. */
const char *tern__export_1(tern__export *e, const char *op, const char *a);
const char *tern__export_2(tern__export *e, const char *op, const char *a, const char *b);
const char *tern__export_cast(tern__export *e, const char *a, tern_dtype t);
/* Attributes of the last node. */
void tern__export_int(tern__export *e, const char *name, int64_t v);
void tern__export_float(tern__export *e, const char *name, double v);
void tern__export_string(tern__export *e, const char *name, const char *v);
void tern__export_ints(tern__export *e, const char *name, const int64_t *v, int n);
/* Constants: a list of i64, and a number of rank 0. */
const char *tern__export_list(tern__export *e, const int64_t *v, int n);
const char *tern__export_number(tern__export *e, tern_dtype t, double x);
/* What a value of the graph is called; NULL for TERN_NONE. */
const char *tern__export_name(tern__export *e, tern_value v);
/* A node for n: its inputs from the first on, n_in of them, and all its outputs. more: names of further inputs, ends with NULL. */
void tern__export_plain(tern__export *e, const tern__node *n, const char *op, int n_in, const char *const *more);
/* Gives output i of n a name, if it has none yet: for nodes that end in others. */
const char *tern__export_output(tern__export *e, const tern__node *n, int i);

/* --- Forms --- */

typedef struct tern__export_form {
    const char *op;         /* Tern's name */
    const char *onnx;       /* NULL: there is no operator, see instead */
    unsigned types;         /* bit for each element type that the operator takes as its first input (where: its second) and ONNX Runtime computes */
    unsigned rare;          /* types that ONNX allows, but ONNX Runtime does not compute: written only where no wider type helps */
    int opset;              /* first one that has the operator; 0: any that is written */
    int (*needs)(const tern_graph *g, const tern__node *n);   /* smallest opset that can say this node, 0: none can. NULL: opset */
    const char *attrs[5];   /* ONNX's names for the op's attributes, in their order; "" leaves one out */
    void (*emit)(tern__export *e, const tern__node *n);       /* NULL: inputs, outputs and attributes in order */
    /* Other ops in its place where ONNX cannot say the node; without it op->expand does. As op->expand. */
    tern_status (*instead)(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
} tern__export_form;
#define TERN__FORM(name, operator, set, rarely) .op = (name), .onnx = (operator), .types = (set), .rare = (rarely)
extern const tern__export_form tern__export_forms[], tern__export_shape_forms[], tern__export_nn_forms[]; /* each ends with {0} */
const tern__export_form *tern__export_find(const char *op);

/* Sets of element types. */
#define TERN__BIT(t) (1u << (t))
enum {
    TERN__E_F = TERN__BIT(TERN_F32) | TERN__BIT(TERN_F16), /* f16 by way of f32 */
    TERN__E_FD = TERN__E_F | TERN__BIT(TERN_F64),
    TERN__E_SINT = TERN__BIT(TERN_I8) | TERN__BIT(TERN_I16) | TERN__BIT(TERN_I32) | TERN__BIT(TERN_I64),
    TERN__E_UINT = TERN__BIT(TERN_U8) | TERN__BIT(TERN_U16) | TERN__BIT(TERN_U32) | TERN__BIT(TERN_U64),
    TERN__E_BYTES = TERN__BIT(TERN_I8) | TERN__BIT(TERN_U8),
    TERN__E_WORDS = TERN__BIT(TERN_I32) | TERN__BIT(TERN_I64),
    TERN__E_INT = TERN__E_SINT | TERN__E_UINT,
    TERN__E_NUM = TERN__E_FD | TERN__E_INT,
    TERN__E_BOOL = TERN__BIT(TERN_BOOL),
    TERN__E_ALL = TERN__E_NUM | TERN__E_BOOL | TERN__BIT(TERN_BF16),
};

/* Compositions in place of ops that ONNX lacks. */
typedef tern_status tern__export_instead(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
tern__export_instead tern__instead_square, tern__instead_rsqrt, tern__instead_exp2, tern__instead_log2, tern__instead_log1p, tern__instead_expm1,
    tern__instead_atan2, tern__instead_clip, tern__instead_not_equal, tern__instead_gelu, tern__instead_silu, tern__instead_mish, tern__instead_celu,
    tern__instead_neg, tern__instead_relu, tern__instead_shift, tern__instead_matmul, tern__instead_conv, tern__instead_conv_grad_input,
    tern__instead_conv_integer, tern__instead_matmul_integer,
    tern__instead_conv_grad_weight, tern__instead_average_pool, tern__instead_average_pool_grad, tern__instead_max_pool_grad, tern__instead_pad,
    tern__instead_scatter, tern__instead_arg, tern__instead_cast, tern__instead_pow;
/* The smallest and the largest integer of a type, as far as a double can say it. */
void tern__export_limits(tern_dtype t, double *least, double *most);
/* What a number must be clipped to before a cast to this type; false: to nothing. */
bool tern__export_cast_limits(tern_dtype to, double *lo, double *hi);

/* The graph in ops and types that ONNX has, and the opset that they need. */
tern_status tern__export_lower(const tern_graph *g, tern_graph **out, int *opset);

/* --- Files --- */

/* Packs the model. If it is larger than limit, large tensors go to a file beside it, named after it. */
tern_status tern__export_write(const char *path, Onnx__ModelProto *m, size_t limit);
/* tern_onnx_save with another limit. */
tern_status tern__export_save(const tern_graph *g, const char *path, size_t limit);

#endif
