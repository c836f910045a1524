/* Importing: what the handler of an ONNX operator sees of its node, and how it adds to the graph.
 *
 * A model is imported by walking its nodes in order with all shapes known, adding ops to a graph. Where the walk needs the elements of a
 * tensor that only a run can know (a condition, a shape that depends on data), the graph built so far is cut off, compiled and run, and the walk
 * goes on with a new graph; see trace.h. Handlers need not care: a read may fail with TERN__ONNX_AGAIN, which a handler passes on as it would any
 * failure, and is then called once more from its beginning. So a handler reads first and adds nodes after. */
#ifndef TERN_ONNX_IMPORT_H
#define TERN_ONNX_IMPORT_H

#include "base/status.h"
#include "onnx/proto.h"
#include "ops/op.h"

/* Not a failure: the graph was cut, call the handler again. */
#define TERN__ONNX_AGAIN ((tern_status)1000)

struct tern__onnx_trace;
typedef enum tern__onnx_kind { TERN__ONNX_NOTHING, TERN__ONNX_TENSOR, TERN__ONNX_SEQUENCE } tern__onnx_kind;

/* What a name of the model stands for. An empty optional is NOTHING; a filled one is what it holds. Owned by the trace. */
typedef struct tern__onnx_value {
    tern__onnx_kind kind;
    tern__type type;        /* TENSOR: its own; SEQUENCE: dtype of the elements, if known */
    tern_value v;           /* TENSOR: in the graph of part `part`, else it is brought there when asked for */
    int part;
    int slot;               /* TENSOR: of the run's tensors, -1: not there */
    tern__blob *data;       /* TENSOR: its bytes if they are known while importing */
    struct tern__onnx_value **items; /* SEQUENCE */
    int n_items;
    const char *variable;   /* the graph variable that it becomes, NULL for all others */
    bool trainable;
    int mark;               /* the cut that last found it alive */
} tern__onnx_value;

/* A node on its way into the graph. in[i] is NULL for an input that is missing or left empty, out[i] NULL for an output nobody named. */
typedef struct tern__onnx_node {
    struct tern__onnx_trace *t;
    const Onnx__NodeProto *proto;
    int opset;              /* of the node's domain */
    tern_graph *g;          /* where ops go */
    struct tern__onnx_scope *scope; /* where its names live */
    int n_in, n_out;
    tern__onnx_value **in, **out;
    uint64_t looked_at;     /* attributes that were asked for: the others make the node unsupported */
} tern__onnx_node;

/* --- Inputs --- */
bool tern__onnx_has(const tern__onnx_node *n, int i);
/* Input i as a value of n->g; TERN_NONE if it is missing. A sequence latches an error in the graph. */
tern_value tern__onnx_in(tern__onnx_node *n, int i);
/* Type of input i. A missing one or a sequence reads as an f32 scalar. */
const tern__type *tern__onnx_type(const tern__onnx_node *n, int i);
static inline const tern_shape *tern__onnx_shape(const tern__onnx_node *n, int i) { return &tern__onnx_type(n, i)->shape; }
static inline int tern__onnx_rank(const tern__onnx_node *n, int i) { return tern__onnx_type(n, i)->shape.rank; }
/* Elements of input i, of any numeric type, as integers or doubles; they live as long as the trace. *count 0 and *out NULL if it is missing.
 * This makes the import depend on them: a run that brings other elements is imported again. */
tern_status tern__onnx_read_ints(tern__onnx_node *n, int i, const int64_t **out, int *count);
tern_status tern__onnx_read_floats(tern__onnx_node *n, int i, const double **out, int *count);
/* Are the elements known without running anything (constants and what is computed from them and from shapes)? */
bool tern__onnx_known(tern__onnx_node *n, int i);

/* --- Attributes: the default where the node does not give it --- */
bool tern__onnx_attr_given(tern__onnx_node *n, const char *name);
int64_t tern__onnx_attr_int(tern__onnx_node *n, const char *name, int64_t def);
double tern__onnx_attr_float(tern__onnx_node *n, const char *name, double def);
const char *tern__onnx_attr_string(tern__onnx_node *n, const char *name, const char *def);
const int64_t *tern__onnx_attr_ints(tern__onnx_node *n, const char *name, int *count); /* NULL, 0 if not given */
const float *tern__onnx_attr_floats(tern__onnx_node *n, const char *name, int *count);
/* i-th string of a list, NULL past its end or if not given. */
const char *tern__onnx_attr_strings(tern__onnx_node *n, const char *name, int i);
/* A tensor attribute as a constant of n->g; TERN_NONE if not given. */
tern_value tern__onnx_attr_tensor(tern__onnx_node *n, const char *name);
const Onnx__GraphProto *tern__onnx_attr_graph(tern__onnx_node *n, const char *name);
/* For attributes that change nothing here (names, hints): counts as looked at. */
void tern__onnx_attr_ignore(tern__onnx_node *n, const char *name);

/* --- Outputs --- */
bool tern__onnx_wants(const tern__onnx_node *n, int i);
/* Output i is v. Does nothing if nobody named it. */
void tern__onnx_set(tern__onnx_node *n, int i, tern_value v);
/* TERN_E_UNSUPPORTED with "Resize \"name\": " before the sentence; st for other reasons. Returns st. */
tern_status tern__onnx_fail(const tern__onnx_node *n, tern_status st, const char *fmt, ...) TERN_PRINTF(3, 4);

/* How many runs the session has made, as an i64 scalar: what random numbers of one run differ by from the next's. TERN_NONE in a graph of its own. */
tern_value tern__onnx_run_number(tern__onnx_node *n);
/* axis in [-rank, rank) made positive; TERN_E_INVALID for another. */
tern_status tern__onnx_axis(const tern__onnx_node *n, int64_t axis, int rank, int *out);

/* --- On the host --- For results whose shape depends on the elements (NonZero, Unique, NonMaxSuppression): fn gets all inputs (data NULL where
 * missing) and makes the outputs with tern__onnx_make. It runs at once if all inputs are known, else in every run, between two graphs. */
typedef struct tern__onnx_host {
    const Onnx__NodeProto *proto;
    int opset;
    int n_in, n_out;
    const tern__array *in;
    tern__array *out;       /* preset to data NULL; those not made are missing */
} tern__onnx_host;
typedef tern_status (*tern__onnx_host_fn)(tern__onnx_host *h);
/* out[i] gets a type and zeroed data, which the caller of the host function frees. */
tern_status tern__onnx_make(tern__onnx_host *h, int i, tern_dtype dtype, const tern_shape *shape);
const Onnx__AttributeProto *tern__onnx_find_attr(const Onnx__NodeProto *p, const char *name);
/* The whole work of a handler that only calls a host function. attrs: names that fn reads, ends with NULL. */
tern_status tern__onnx_on_host(tern__onnx_node *n, tern__onnx_host_fn fn, const char *const *attrs);

/* --- Constants for n->g --- */
tern_value tern__onnx_const(tern__onnx_node *n, tern_dtype dtype, const tern_shape *shape, const double *elements);
tern_value tern__onnx_const_ints(tern__onnx_node *n, tern_dtype dtype, const tern_shape *shape, const int64_t *elements);
/* Zeroed memory that lives as long as the trace; NULL latches TERN_E_NOMEM in the graph. */
void *tern__onnx_scratch(tern__onnx_node *n, size_t count, size_t size);

/* --- The table --- A handler for an operator from opset `since` on, up to the next entry of the same name with a larger one.
 * Operators that are one Tern op with attributes of the same names and meaning need no entry: they are found by their descriptor's ONNX name. */
typedef tern_status (*tern__onnx_handler)(tern__onnx_node *n);
typedef struct tern__onnx_map {
    const char *domain;     /* "" is the default one */
    const char *name;
    int since;
    tern__onnx_handler handle;
} tern__onnx_map;
/* One table per import_*.c; each ends with {0}. */
extern const tern__onnx_map tern__onnx_map_math[], tern__onnx_map_reduce[], tern__onnx_map_shape[], tern__onnx_map_index[], tern__onnx_map_nn[],
    tern__onnx_map_image[], tern__onnx_map_rnn[], tern__onnx_map_quant[], tern__onnx_map_loss[], tern__onnx_map_signal[], tern__onnx_map_control[];
/* NULL if there is none for this operator and opset. */
tern__onnx_handler tern__onnx_find_handler(const char *domain, const char *name, int opset);
/* For an operator that is one op: inputs in order, attributes by name. Ops with several forms call it after their own checks. */
tern_status tern__onnx_direct(tern__onnx_node *n, const char *op);

#endif
