/* The inside of a session, shared by building (build.c), running (session.c) and reporting (report.c). */
#ifndef TERN_COMPILE_SESSION_IMPL_H
#define TERN_COMPILE_SESSION_IMPL_H

#include "compile/compile.h"
#include "compile/store.h"

/* A copy that a run ends with: results that have no memory of their own, variables that could not be updated in place. */
typedef struct tern__tail_copy {
    tern_value from;
    int output;          /* index of the graph output, or -1: */
    int assign;          /* index of the assignment */
    tern__buffer *stage; /* assignments whose source another assignment overwrites pass through here */
} tern__tail_copy;

struct tern_session {
    tern_device *device;
    tern_store *store;
    tern__compile c;
    tern__plan *plan, *prepare;
    tern__program *program;
    int *slot_of;              /* per value: its slot in the plan, -1: none */
    int *prepare_slot_of;      /* per value, in the prepare plan */
    int *temp_slot, *temp_prepare; /* per compile slot: in either plan, -1 */
    tern__buffer **const_buffer;   /* per value: a constant's memory */
    tern__buffer **input_buffer;   /* per graph input: where host tensors go */
    tern__buffer **output_buffer;  /* per graph output: where results lie unless a device tensor is given */
    bool *output_in_plan;      /* per graph output: a kernel writes it, rather than a tail copy */
    tern__tail_copy *tail;
    int n_tail;
    tern__str source;
    tern_plan_info info;
    bool cached;
};

/* Passes, layout, fusion, kernels, plans: fills s. */
tern_status tern__session_build(tern_session *s, const tern_graph *g, const tern_session_params *p);
/* Bytes of a slot for v: no buffer is empty. */
size_t tern__value_bytes(const tern_session *s, tern_value v);
/* A constant that is only packed: it need not stay on the device. Tiny ones do, slots are larger than they are. */
bool tern__is_passing(const tern_session *s, tern_value v);
/* Packs the constants by the prepare plan, whose memory is bound but for that of passing ones: these come and go one after the other. */
tern_status tern__prepare(tern_session *s);
/* What g would move with every op on its own. */
int64_t tern__bytes_unfused(const tern_graph *g);

#endif
