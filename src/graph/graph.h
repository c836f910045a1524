/* The graph inside: values, nodes, and what passes and ops do with them. */
#ifndef TERN_GRAPH_GRAPH_H
#define TERN_GRAPH_GRAPH_H

#include <tern/graph.h>
#include "base/str.h"

/* How a value's elements lie in memory. BLOCKED splits axis 1 (channels) into blocks: logical [N, C, S...] is stored as
 * [N, C/block, S..., block], C a multiple of block. */
typedef enum tern__layout_kind { TERN__PLAIN, TERN__BLOCKED } tern__layout_kind;
typedef struct tern__layout {
    tern__layout_kind kind;
    int block;
} tern__layout;

/* What shape rules see. */
typedef struct tern__type {
    tern_dtype dtype;
    tern_shape shape;
    tern__layout layout;
} tern__type;

/* Whoever lends bytes to a blob. */
typedef struct tern__blob_owner {
    void (*drop)(void *owner);                                 /* the last reference has gone */
    void (*rest)(void *owner, const void *data, size_t size);  /* nobody reads these for now: they may leave memory if they can be had again */
} tern__blob_owner;

/* Immutable, reference-counted host bytes: constants and first values of variables. Only who has just created a blob may write to it. */
typedef struct tern__blob {
    int refs; /* atomic */
    size_t size;
    uint8_t *data;  /* borrowed ones at any address: for bytes. Elements are read from tern__blob_elems(). */
    uint8_t *moved; /* atomic: borrowed bytes again, at an address that fits their elements; NULL: not needed so far, or data fits */
    bool fits;
    const tern__blob_owner *lender; /* NULL: data is the blob's own */
    void *owner;
} tern__blob;
tern__blob *tern__blob_create(const void *data, size_t size); /* copies; NULL data: zeroes; NULL: no memory */
/* Bytes, of elements of elem_size, that stay where they are until lender->drop(owner) is called. NULL: no memory, and owner is not dropped. */
tern__blob *tern__blob_borrow(const void *data, size_t size, size_t elem_size, const tern__blob_owner *lender, void *owner);
/* The bytes where they may be read as elements: data, or a copy that the blob makes once. NULL: no memory for it. */
uint8_t *tern__blob_elems(tern__blob *b);
/* Says that data is not going to be read soon. It can be all the same. */
void tern__blob_rest(const tern__blob *b);
tern__blob *tern__blob_retain(tern__blob *b);
void tern__blob_release(tern__blob *b);

typedef enum tern__value_kind { TERN__VALUE_INPUT, TERN__VALUE_CONST, TERN__VALUE_VARIABLE, TERN__VALUE_NODE } tern__value_kind;

typedef struct tern__value {
    tern__value_kind kind;
    tern__type type;
    int node, out_index;  /* NODE: who makes it, and which of its outputs it is */
    char *name;           /* inputs and variables; else NULL */
    unsigned free_axes;   /* INPUT */
    bool trainable;       /* VARIABLE */
    tern__blob *data;     /* CONST, VARIABLE (first value): dense, row-major */
} tern__value;

/* An attribute's value, in the slot of the op's declaration. set: given rather than the default. */
typedef struct tern__attr_value {
    bool set;
    int64_t i;
    double f;
    char *s;
    int64_t *ints;
    int n_ints;
} tern__attr_value;

struct tern__op;
typedef struct tern__node {
    const struct tern__op *op;
    int n_in, n_out;
    tern_value *in, *out;       /* a missing optional input is TERN_NONE; n_in is the op's max_in unless it takes any number */
    tern__attr_value *attrs;    /* op->n_attrs of them */
} tern__node;

typedef struct tern__named { char *name; tern_value value; } tern__named;
typedef struct tern__assign { tern_value variable, value; } tern__assign;

struct tern_graph {
    tern__value *values;
    int n_values, cap_values;
    tern__node **nodes; /* in topological order: a node comes after those it reads. Node addresses are stable. */
    int n_nodes, cap_nodes;
    tern_value *inputs;
    int n_inputs, cap_inputs;
    tern_value *variables;
    int n_variables, cap_variables;
    tern__named *outputs;
    int n_outputs, cap_outputs;
    tern__assign *assigns;
    int n_assigns, cap_assigns;
    tern_status error; /* first failure; builders do nothing after it */
    char error_text[512];
};

/* Borrowed views. Values move when one is added: do not hold the pointer across a builder call. TERN_NONE reads as an f32 scalar, so that
 * builders need not ask after each step whether an error has latched. */
extern const tern__value tern__no_value;
static inline const tern__value *tern__value_at(const tern_graph *g, tern_value v) { return v < 0 ? &tern__no_value : &g->values[v]; }
static inline const tern__type *tern__type_of(const tern_graph *g, tern_value v) { return &tern__value_at(g, v)->type; }
static inline const tern_shape *tern__shape_of(const tern_graph *g, tern_value v) { return &tern__value_at(g, v)->type.shape; }
static inline tern_dtype tern__dtype_of(const tern_graph *g, tern_value v) { return tern__value_at(g, v)->type.dtype; }
/* The node that makes v, NULL for inputs, constants, variables. */
const tern__node *tern__producer(const tern_graph *g, tern_value v);
/* Per value of g: how many read it, results and assignments of the graph among them. For tern__free(); NULL: no memory. */
int *tern__count_readers(const tern_graph *g);
/* Per value of g: the only node that reads it, -1: none, -2: several. For tern__free(); NULL: no memory. */
int *tern__only_users(const tern_graph *g);
int64_t tern__elems(const tern_shape *s);          /* product; the shape was checked when the value was made */
size_t tern__type_bytes(const tern__type *t);
bool tern__shape_equal(const tern_shape *a, const tern_shape *b);
/* A constant's bytes, at any address; NULL for any other kind. */
const void *tern__const_data(const tern_graph *g, tern_value v);
/* True and *x for a constant whose elements are all the same number, one that a double holds. */
bool tern__const_scalar(const tern_graph *g, tern_value v, double *x);
/* "f32[2,3]" appended. */
void tern__type_print(tern__str *s, const tern__type *t);
void tern__shape_print(tern__str *s, const tern_shape *sh);

/* Latches an error; later builder calls do nothing. Returns TERN_NONE. */
tern_value tern__graph_fail(tern_graph *g, tern_status st, const char *fmt, ...) TERN_PRINTF(3, 4);
/* A constant, or a variable, from host bytes that are retained, not copied. */
tern_value tern__graph_blob(tern_graph *g, const tern__type *t, tern__blob *b);
tern_value tern__graph_variable(tern_graph *g, const char *name, const tern__type *t, tern__blob *b, bool trainable);
/* A constant f32/int vector from numbers (index lists, scales). */
tern_value tern__graph_ints(tern_graph *g, const int64_t *v, int n);

/* Adds a copy of node n (same op and attributes) with other inputs; outs[n->n_out]. */
void tern__graph_add_like(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *outs);

/* The attributes of a node by position in its op's list. */
int64_t tern__attr_int(const tern__node *n, int slot);
double tern__attr_float(const tern__node *n, int slot);
const char *tern__attr_string(const tern__node *n, int slot);
const int64_t *tern__attr_ints(const tern__node *n, int slot, int *count); /* NULL, 0 when not given */

/* Rewriting: every pass builds a new graph by walking the old one in order.
 * map[old value] is the new value, TERN_NONE where not made (yet). Inputs and variables are made first, all of them, in order;
 * constants on demand by tern__rewrite_value. */
typedef struct tern__rewrite {
    const tern_graph *from;
    tern_graph *to;
    tern_value *map;
    void *user;
} tern__rewrite;
/* Calls fn for each node that the outputs and assignments need, in order. fn adds what it likes to rw->to
 * and sets rw->map for the node's outputs; tern__rewrite_copy does so for an unchanged node. Then outputs and assignments
 * are carried over and the new graph's latched error is returned. */
tern_status tern__graph_rewrite(const tern_graph *from, void *user, tern_status (*fn)(tern__rewrite *rw, const tern__node *n), tern_graph **out);
tern_value tern__rewrite_value(tern__rewrite *rw, tern_value old);
tern_status tern__rewrite_copy(tern__rewrite *rw, const tern__node *n);

/* The same graph with other extents for its inputs (one shape per input): every shape rule runs again. */
tern_status tern__graph_bind_shapes(const tern_graph *g, const tern_shape *shapes, tern_graph **out);
/* Variables become constants that hold the initial values; assignments must be absent. */
tern_status tern__graph_freeze(const tern_graph *g, tern_graph **out);

/* Structural rules every graph obeys (order, types as the shape rules say, names unique, attributes in range): the first broken one. */
tern_status tern__graph_verify(const tern_graph *g);

#endif
