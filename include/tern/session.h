/* Sessions: a graph compiled for a device, ready to run, with the account of the bytes it moves. */
#ifndef TERN_SESSION_H
#define TERN_SESSION_H

#include <tern/base.h>
#include <tern/device.h>
#include <tern/graph.h>
#include <tern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_session tern_session;
/* The variables of one or more sessions, by name, on one device. Sessions that share a store
 * (train, evaluate, act) see each other's updates. */
typedef struct tern_store tern_store;

TERN_API tern_status tern_store_create(tern_device *d, tern_store **out) TERN_MUST_CHECK;
TERN_API void tern_store_destroy(tern_store *s); /* gives up the caller's reference; NULL is fine */
/* Copies a variable out to, or in from, a host tensor. TERN_E_NOT_FOUND, TERN_E_SHAPE, TERN_E_DTYPE. Waits. */
TERN_API tern_status tern_store_read(tern_store *s, const char *name, tern_tensor *t) TERN_MUST_CHECK;
TERN_API tern_status tern_store_write(tern_store *s, const char *name, const tern_tensor *t) TERN_MUST_CHECK;
/* Sets every variable of g that the store holds as the graph's initial value (for saving a trained model). */
TERN_API tern_status tern_store_into_graph(tern_store *s, tern_graph *g) TERN_MUST_CHECK;

typedef struct tern_session_params {
    tern_store *store;       /* shared variables; NULL: a store of its own */
    bool freeze;             /* inference: variables become constants, weights are packed once; forbids assignments */
    const char *disable;     /* comma-separated passes to leave out: "fuse,layout,..." or "all" */
    const char *force_impl;  /* "op=name[,op=name...]" or "name": take this implementation or fail; "name:tp=7:nv=2" also with these of its numbers */
    bool exact;              /* only kernels that add up what the op's formula says: no Winograd convolutions, which round a little more */
    bool no_tuned;           /* leave out what tern tune measured: every choice is the cost model's. So does TERN_TUNED=0, force_impl, and disabling layout */
    const tern_shape *input_shapes; /* one per graph input where free axes get other extents; NULL: as built */
} tern_session_params;

/* Compiles g (which is copied) for d. Kernels are built here, so the first run only launches them. params may be NULL. */
TERN_API tern_status tern_session_create(tern_device *d, const tern_graph *g, const tern_session_params *p, tern_session **out) TERN_MUST_CHECK;
TERN_API void tern_session_destroy(tern_session *s); /* NULL is fine */

/* Runs once: in[i] is the graph's i-th input, out[i] receives its i-th output. Host tensors are copied,
 * device tensors are used where they are. out may be NULL, and so may any out[i],
 * to leave results on the device. With host outputs the call returns when they are written; without any it only enqueues. */
TERN_API tern_status tern_session_run(tern_session *s, tern_tensor *const *in, tern_tensor *const *out) TERN_MUST_CHECK;
/* Type and shape of the i-th output for the input shapes this session was made for. */
TERN_API tern_status tern_session_output_info(const tern_session *s, int i, tern_dtype *dtype, tern_shape *shape) TERN_MUST_CHECK;
/* Waits for everything enqueued. */
TERN_API tern_status tern_session_finish(tern_session *s) TERN_MUST_CHECK;

/* The session's variables (its own store or the shared one); borrowed. */
TERN_API tern_store *tern_session_store(tern_session *s);

/* The plan in numbers. Bytes are per run: what all kernels read and write in device memory. */
typedef struct tern_plan_info {
    int n_nodes, n_groups, n_kernels, n_launches, n_programs, n_programs_cached;
    int64_t bytes_unfused;     /* every op on its own: each input read once, each output written once */
    int64_t bytes_fused;       /* this plan; workspaces within a group that fill at most half of the device's last cache are not counted */
    int64_t bytes_bound;       /* these groups, if each moved every weight, input and result just once, as the model has them */
    int64_t bytes_lower;       /* inputs, outputs and variables once: no plan can move less */
    int64_t flops;
    int n_tuned;               /* groups whose implementation or numbers were chosen by measurement */
    const char *tuned_note;    /* why the store of measured choices was left out, NULL: it was not; lives as long as the device */
    int64_t arena_bytes, arena_lower_bytes; /* peak of the intermediates, and the largest sum of live ones */
    int64_t constant_bytes, variable_bytes;
    double compile_s, build_s; /* whole creation, and the part inside the OpenCL compiler or cache */
} tern_plan_info;
TERN_API void tern_session_get_info(const tern_session *s, tern_plan_info *out);

/* One group of the plan: a launch or a few that belong together. Strings live as long as the session. */
typedef struct tern_group_info {
    const char *name;          /* kernel name */
    const char *impl;          /* implementation, e.g. "pointwise", "cpu_tile" */
    const char *ops;           /* the ops in it, in order: "conv+add+relu" */
    const char *choice;        /* implementation and measured numbers as force_impl takes them; NULL: nothing can be tuned */
    const char *problem;       /* what tern tune calls its contraction; NULL: nothing can be tuned */
    const char *tuned;         /* where the choice comes from: "store", "table" (Tern's own), "": the cost model */
    int64_t bytes_unfused, bytes_fused, flops;
    int n_launches;
    double time_us;            /* median of profiled runs; 0 without profiling */
} tern_group_info;
TERN_API int tern_session_n_groups(const tern_session *s);
TERN_API tern_status tern_session_group(const tern_session *s, int i, tern_group_info *out) TERN_MUST_CHECK;

/* The generated source of all kernels, as handed to the compiler. Owned by the session. */
TERN_API const char *tern_session_source(const tern_session *s);

/* Writes the last runs' events in Chrome's trace format. The device must have been opened with profile. */
TERN_API tern_status tern_session_trace(tern_session *s, const char *path) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
