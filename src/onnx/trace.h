/* The walk over a model: scopes of names, the graph under construction, and cutting it where only a run knows what comes next.
 *
 * A trace goes through the nodes in order, in subgraphs and function bodies too, with the shapes of one run. It is a pure function of the model, the
 * shapes and what it read on the way. In whole mode it makes one graph. Otherwise it works against a tern__onnx_runner: a part of the graph is
 * handed over to be run, its results come back as slots (numbers of the run's tensors), and slots can be read. */
#ifndef TERN_ONNX_TRACE_H
#define TERN_ONNX_TRACE_H

#include "onnx/import.h"
#include "onnx/model.h"

/* Something outside the graph: a slot of the run, or bytes that are known. Both missing: nothing. */
typedef struct tern__onnx_ref {
    int slot; /* -1: none */
    tern__blob *data;
    tern__type type;
} tern__onnx_ref;

/* Does what a trace asks for, at once, or looks up that it was already done in this run. */
typedef struct tern__onnx_runner {
    void *user;
    /* Runs g, whose inputs are the slots in[0..n_in), and names its outputs' slots in out[0..n_out). Takes g over. */
    tern_status (*run)(void *user, tern_graph *g, const int *in, int n_in, int *out, int n_out);
    /* The tensor of a slot; borrowed until the run ends. The trace depends on its elements from here on. */
    tern_status (*read)(void *user, int slot, const tern_tensor **out);
    /* Calls fn; out[i].slot is -1 for an output that it did not make. The trace depends on the outputs' types from here on. */
    tern_status (*call)(void *user, tern__onnx_host_fn fn, const Onnx__NodeProto *proto, int opset, const tern__onnx_ref *in, int n_in,
                        tern__onnx_ref *out, int n_out);
} tern__onnx_runner;

typedef struct tern__onnx_name {
    const char *name;
    tern__onnx_value *value;
} tern__onnx_name;

/* A body being walked. */
typedef struct tern__onnx_scope {
    struct tern__onnx_scope *outer;  /* where names are looked for next; NULL in the main graph and in functions */
    struct tern__onnx_scope *below;  /* the body that was being walked when this one began */
    tern__onnx_name *names;          /* open addressing, cap a power of two */
    int n_names, cap_names;
    const tern__onnx_node *call;     /* the call of the function that the body belongs to, for attributes that refer to its own */
    Onnx__OperatorSetIdProto *const *opsets;
    size_t n_opsets;
    Onnx__NodeProto *const *nodes;
    size_t n_nodes, at;
    char *const *results;            /* names that are still needed at the end */
    size_t n_results;
    tern__onnx_value ***pins;        /* arrays of values that a handler holds, and how many are in each */
    int *pin_counts;
    int n_pins;
} tern__onnx_scope;

/* Stands in for an initialiser of the model. */
typedef struct tern__onnx_override {
    const Onnx__TensorProto *of;
    tern__type type;
    tern__blob *data;
} tern__onnx_override;

/* On a node of the graph under construction. */
typedef struct tern__onnx_note {
    bool steady; /* constants alone decide what it gives */
    int place;   /* among the nodes being folded, from 1; 0: not one of them */
} tern__onnx_note;

typedef struct tern__onnx_trace {
    tern_onnx *m;
    const tern__onnx_runner *runner; /* NULL: whole mode */
    tern__onnx_value *run_number;    /* NULL: whole mode */
    const tern_onnx_graph_params *params; /* whole mode */
    tern__onnx_override *overrides;
    int n_overrides;
    tern_graph *g;
    int part;
    tern__onnx_ref *inputs;          /* slots that are inputs of this part's graph, in order */
    tern_value *input_values;
    int n_inputs, cap_inputs, cap_input_values;
    tern__onnx_note *notes;          /* of the first nodes of g */
    int n_notes, cap_notes;
    tern__onnx_scope *top;
    int depth;
    int64_t walked;                  /* nodes so far: bounds loops that never end */
    size_t dense_bytes;              /* of sparse tensors so far */
    void **blocks;                   /* scratch */
    int n_blocks, cap_blocks;
    tern__onnx_value **values;       /* all of them, for the cut and for freeing */
    int n_values, cap_values;
} tern__onnx_trace;

tern_status tern__onnx_trace_begin(tern__onnx_trace *t, tern_onnx *m, const tern__onnx_runner *r);
void tern__onnx_trace_finish(tern__onnx_trace *t); /* frees the graph too, unless it was taken */

/* A new value: nothing yet. NULL: no memory. */
tern__onnx_value *tern__onnx_new(tern__onnx_trace *t);
/* A value that stands for graph value v of the current part. */
void tern__onnx_become(tern__onnx_trace *t, tern__onnx_value *x, tern_value v);
/* A value that holds known bytes; retains them. */
void tern__onnx_become_data(tern__onnx_value *x, const tern__type *type, tern__blob *data);
/* a stands for what b stands for; the two may go different ways later. */
void tern__onnx_share(tern__onnx_value *a, const tern__onnx_value *b);
/* x as a value of the current graph. */
tern_value tern__onnx_use(tern__onnx_trace *t, tern__onnx_value *x);
/* Makes x->data known: TERN__ONNX_AGAIN after a cut. */
tern_status tern__onnx_know(tern__onnx_trace *t, tern__onnx_value *x);
/* Makes x something outside the graph: its bytes or a slot. TERN__ONNX_AGAIN after a cut. */
tern_status tern__onnx_outside(tern__onnx_trace *t, tern__onnx_value *x, tern__onnx_ref *ref);
/* Hands the graph over to the runner; what is still needed becomes slots. extra: values wanted besides. */
tern_status tern__onnx_cut(tern__onnx_trace *t, tern__onnx_value *const *extra, int n_extra);
/* The elements of graph value v if constants alone decide them; *out NULL if not. The caller releases *out. */
tern_status tern__onnx_evaluate(tern__onnx_trace *t, tern_value v, tern__blob **out);
void *tern__onnx_trace_scratch(tern__onnx_trace *t, size_t count, size_t size);

/* Names. bind replaces what the scope's own name stood for. */
tern_status tern__onnx_bind(tern__onnx_scope *s, const char *name, tern__onnx_value *x);
tern__onnx_value *tern__onnx_lookup(const tern__onnx_scope *s, const char *name);
void tern__onnx_scope_finish(tern__onnx_scope *s);

/* Walks a body: s holds its nodes, results and bound inputs. On return the results can be looked up. */
tern_status tern__onnx_walk(tern__onnx_trace *t, tern__onnx_scope *s);
/* A subgraph with its inputs bound to in[] (contents are shared) and its initialisers; out[i] is its i-th output. outer is the scope of the node that
 * holds it. Never gives TERN__ONNX_AGAIN. */
tern_status tern__onnx_walk_graph(tern__onnx_trace *t, tern__onnx_scope *outer, const Onnx__GraphProto *g, tern__onnx_value *const *in, int n_in,
                                  tern__onnx_value **out, int n_out);
/* Keeps the values that a handler holds alive across cuts while it walks bodies: in the scope of its node. */
tern_status tern__onnx_pin(tern__onnx_scope *s, tern__onnx_value **values, int n);
void tern__onnx_unpin(tern__onnx_scope *s);

/* The main graph: binds initialisers and inputs, walks, and looks the outputs up. in has one value per input of the model. */
tern_status tern__onnx_walk_model(tern__onnx_trace *t, tern__onnx_value *const *in, tern__onnx_value **out);
/* The attribute after following references to the calling function's attributes. */
const Onnx__AttributeProto *tern__onnx_attr(const tern__onnx_node *n, const char *name);

#endif
