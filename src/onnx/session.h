/* The tree of steps that the runs of a model follow. */
#ifndef TERN_ONNX_SESSION_H
#define TERN_ONNX_SESSION_H

#include <tern/session.h>

#include "base/hash.h"
#include "onnx/trace.h"

/* A compiled part; parts that are alike share one. */
typedef struct tern__onnx_plan {
    tern__digest digest;
    tern_session *session;
    tern__blob **held;
    int n_held;
    int refs; /* steps that run it */
} tern__onnx_plan;

/* An output of the model: where its tensors are when the run ends. */
typedef struct tern__onnx_result {
    tern_onnx_kind kind;
    tern__onnx_ref ref;
    struct tern__onnx_result *items;
    int n_items;
} tern__onnx_result;

typedef enum tern__onnx_step_kind { TERN__ONNX_STEP_PLAN, TERN__ONNX_STEP_CALL, TERN__ONNX_STEP_READ, TERN__ONNX_STEP_END } tern__onnx_step_kind;

typedef struct tern__onnx_edge {
    void *key; /* what the step found out, or the types of the inputs */
    size_t size;
    struct tern__onnx_step *next;
} tern__onnx_edge;

typedef struct tern__onnx_step {
    tern__onnx_step_kind kind;
    int n_in, n_out;
    tern__onnx_plan *plan;          /* PLAN: slots in, slots out */
    int *in, *out;
    tern__onnx_host_fn fn;          /* CALL */
    const Onnx__NodeProto *proto;
    int opset;
    tern__onnx_ref *call_in;
    int slot;                       /* READ: which; CALL: its first result */
    tern__onnx_result *results;     /* END: n_out of them */
    tern__onnx_edge *edges;
    int n_edges, cap_edges;
} tern__onnx_step;

struct tern_onnx_session {
    tern_device *device;
    tern_onnx *m;
    char *disable, *force_impl;
    bool exact, no_tuned;
    int max_shapes;
    tern__onnx_edge *roots;         /* by the types of the inputs */
    int n_roots, cap_roots;
    int n_steps;
    tern__onnx_plan **plans;
    int n_plans, cap_plans;
    int n_cuts;
    int64_t n_runs;
    double compile_s;
};

#endif
