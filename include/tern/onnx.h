/* ONNX models: loading, describing, running with whatever shapes come, turning into graphs and back. */
#ifndef TERN_ONNX_H
#define TERN_ONNX_H

#include <tern/base.h>
#include <tern/device.h>
#include <tern/graph.h>
#include <tern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A library built without ONNX has all these functions; they give TERN_E_UNSUPPORTED and name the packages that were missing. */

typedef struct tern_onnx tern_onnx;

typedef enum tern_onnx_kind { TERN_ONNX_NOTHING, TERN_ONNX_TENSOR, TERN_ONNX_SEQUENCE } tern_onnx_kind;

/* What goes into a model or comes out: a host tensor, a sequence of such values, or nothing (an empty optional). */
typedef struct tern_onnx_value {
    tern_onnx_kind kind;
    tern_tensor *tensor;           /* TENSOR */
    struct tern_onnx_value *items; /* SEQUENCE: n_items of them */
    int n_items;
} tern_onnx_value;
/* Destroys the tensors and items inside and leaves NOTHING. For values that the library made. */
TERN_API void tern_onnx_value_clear(tern_onnx_value *v);
/* Reads a TensorProto, SequenceProto or OptionalProto from a file, told apart by the expected kind: in ONNX's test data the file does not say.
 * optional: the file holds an OptionalProto. */
TERN_API tern_status tern_onnx_value_load(const char *path, tern_onnx_kind kind, bool optional, tern_onnx_value *out) TERN_MUST_CHECK;
/* Writes a tensor as a TensorProto file. */
TERN_API tern_status tern_onnx_tensor_save(const tern_tensor *t, const char *name, const char *path) TERN_MUST_CHECK;

/* Reads a model. Large weights stay in the mapped file: while the model, or a graph made of it, lives, the file may be removed or replaced by
 * another of its name (as Tern writes its own), but not written to. Operators that Tern lacks are no failure yet: tern_onnx_op tells. TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT, TERN_E_NOMEM. */
TERN_API tern_status tern_onnx_load(const char *path, tern_onnx **out) TERN_MUST_CHECK;
/* Writes the model again with its own nodes, weights of other files inside: for models that are no single graph (below). */
TERN_API tern_status tern_onnx_copy(const tern_onnx *m, const char *path) TERN_MUST_CHECK;
TERN_API void tern_onnx_destroy(tern_onnx *m); /* NULL is fine. Sessions made from it must be gone before. */

/* An input or output as the model declares it. Names live as long as the model. */
typedef struct tern_onnx_port {
    const char *name;
    tern_onnx_kind kind;
    bool optional;
    bool typed;                            /* dtype is known, and it is one Tern has */
    tern_dtype dtype;                      /* of a tensor, or of a sequence's elements */
    int rank;                              /* -1: not said */
    int64_t dim[TERN_MAX_RANK];            /* -1: symbolic or not said */
    const char *dim_name[TERN_MAX_RANK];   /* of a symbolic extent; NULL if it has no name */
} tern_onnx_port;
/* Inputs that have an initial value in the model (IR version 3 lists weights so) are not counted: they are constants. */
TERN_API int tern_onnx_n_inputs(const tern_onnx *m);
TERN_API int tern_onnx_n_outputs(const tern_onnx *m);
TERN_API tern_status tern_onnx_input(const tern_onnx *m, int i, tern_onnx_port *out) TERN_MUST_CHECK;
TERN_API tern_status tern_onnx_output(const tern_onnx *m, int i, tern_onnx_port *out) TERN_MUST_CHECK;

typedef struct tern_onnx_info {
    int64_t ir_version, opset;   /* opset of the default domain, 0: none imported */
    const char *producer, *producer_version, *graph_name; /* never NULL; live as long as the model */
    int n_nodes, n_initializers; /* nodes of subgraphs counted too */
    int64_t n_parameters;        /* elements of floating-point initialisers */
    int64_t weight_bytes;
} tern_onnx_info;
TERN_API void tern_onnx_get_info(const tern_onnx *m, tern_onnx_info *out);

/* The operators that the model uses, each once, subgraphs and function bodies included. */
typedef struct tern_onnx_op {
    const char *domain, *name;   /* domain "" is ai.onnx */
    int opset, count;
    bool supported;
    const char *node;            /* name of the first node with it, or of its first output */
} tern_onnx_op;
TERN_API int tern_onnx_n_ops(const tern_onnx *m);
TERN_API tern_status tern_onnx_get_op(const tern_onnx *m, int i, tern_onnx_op *out) TERN_MUST_CHECK;

/* --- As one graph ---------------------------------------------------------------------------------------------- */

/* An extent for a symbolic dimension; a list ends with {0}. */
typedef struct tern_onnx_dim {
    const char *name;
    int64_t extent;
} tern_onnx_dim;

typedef struct tern_onnx_graph_params {
    const tern_onnx_dim *dims;       /* NULL: none given. A dimension that is not given is 1. */
    const tern_shape *input_shapes;  /* one per input, instead of what the model says; NULL: as it says */
    const tern_onnx_value *known;    /* one per input: what is given here is part of the graph and no input of it; NOTHING stays an input.
                                        NULL: all are inputs */
    bool variables;                  /* floating-point weights become trainable variables by their names, else constants */
    /* For training; all need `variables`. */
    bool training;                   /* batch normalisation uses the batch's statistics and keeps the running ones, dropout drops */
    const char *freeze;              /* patterns (* ? [ ]) of weights that do not learn, separated by commas; each must fit one. NULL: all learn */
    int64_t classes;                 /* the last Gemm, MatMul or Conv gets fresh weights for so many outputs; 0: stays as it is */
    uint64_t seed;                   /* of the fresh weights */
    int64_t batch;                   /* leading extent of every input, and of constant reshapes that begin with 1; 0: as the model says */
    bool scores;                     /* an output that is a softmax gives what goes into it, and one of [N, C, 1, 1] is made [N, C] */
} tern_onnx_graph_params;
/* The whole model as a graph with these shapes, all loops unrolled. TERN_E_UNSUPPORTED names the first operator that Tern lacks, TERN_E_DYNAMIC the
 * first place where control or a shape depends on what only a run knows: such models run through tern_onnx_session. p may be NULL. */
TERN_API tern_status tern_onnx_graph(tern_onnx *m, const tern_onnx_graph_params *p, tern_graph **out) TERN_MUST_CHECK;

/* Writes a graph as an ONNX model (opset 17 unless an op needs more) that gives the same numbers; weights keep their variables' names, and free
 * axes stay open where nothing in the graph depends on their extent. A model over 2 GB has its weights in a second file, PATH.data. Dropout does
 * nothing in it, and random numbers are those of whoever runs it. TERN_E_UNSUPPORTED names an op that ONNX cannot say; TERN_E_INVALID for a graph
 * that assigns to variables (a training step) or has no outputs. */
TERN_API tern_status tern_onnx_save(const tern_graph *g, const char *path) TERN_MUST_CHECK;

/* --- Running --------------------------------------------------------------------------------------------------- */

/* A model on a device. Plans are made for the shapes that come, kept and bounded; where control or shapes depend on data the model is
 * cut into several plans and the host decides between them. One thread at a time. */
typedef struct tern_onnx_session tern_onnx_session;

typedef struct tern_onnx_session_params {
    const char *disable, *force_impl; /* as in tern_session_params */
    bool exact, no_tuned;             /* the same */
    int max_shapes;                   /* sets of input shapes that are kept; 0: 16 */
} tern_onnx_session_params;
TERN_API tern_status tern_onnx_session_create(tern_device *d, tern_onnx *m, const tern_onnx_session_params *p,
                                              tern_onnx_session **out) TERN_MUST_CHECK;
TERN_API void tern_onnx_session_destroy(tern_onnx_session *s); /* NULL is fine */

/* Runs once. in[i] is the i-th input: host tensors whose dtype is the declared one; NOTHING for an empty optional. out[i] is filled with the
 * i-th output for the caller to clear; what out holds before is not looked at. out NULL: results are not fetched. */
TERN_API tern_status tern_onnx_session_run(tern_onnx_session *s, const tern_onnx_value *in, tern_onnx_value *out) TERN_MUST_CHECK;

/* What the session has made so far. */
typedef struct tern_onnx_session_info {
    int n_shapes;      /* sets of input shapes met and kept */
    int n_plans;       /* compiled graphs */
    int n_cuts;        /* places where the last run went over the host */
    double compile_s;  /* seconds spent making plans */
    int n_tuned;       /* groups of all plans that run as measured by tern tune */
    const char *tuned_note; /* as in tern_plan_info */
} tern_onnx_session_info;
TERN_API void tern_onnx_session_get_info(const tern_onnx_session *s, tern_onnx_session_info *out);

#ifdef __cplusplus
}
#endif
#endif
