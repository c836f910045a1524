/* Passes: graph in, better graph out. One file each; the order is in pipeline.c. */
#ifndef TERN_PASSES_PASS_H
#define TERN_PASSES_PASS_H

#include "graph/graph.h"

typedef struct tern__pass {
    const char *name;
    const char *doc; /* one sentence for --help and docs */
    tern_status (*run)(const tern_graph *in, tern_graph **out); /* NULL: done while compiling, where the device is known */
} tern__pass;

extern const tern__pass tern__pass_qdq, tern__pass_integer, tern__pass_attention, tern__pass_expand, tern__pass_widen, tern__pass_fold, tern__pass_simplify,
    tern__pass_cse, tern__pass_bnfold, tern__pass_dce;

/* Every pass once, in the order in which each first runs; *n of them. */
const tern__pass *const *tern__pass_list(int *n);

/* disable: comma-separated names, "all", or NULL. TERN_E_NOT_FOUND for a name that no pass has, listing those there are. */
tern_status tern__passes_check(const char *disable);
bool tern__pass_disabled(const char *disable, const char *name);

/* Runs the pipeline on a graph whose shapes are bound. Debug builds verify the graph after each pass. */
enum {
    TERN__PASSES_WIDE = 1 << 0,  /* the device computes in f32 only, so widen has its place */
    TERN__PASSES_EXACT = 1 << 1, /* results are to be what the ops say: without qdq */
};
tern_status tern__passes_run(const tern_graph *g, const char *disable, unsigned flags, tern_graph **out);

/* --- What passes share --- */
/* True and *x if every element of v is the same number: a constant, also behind movement ops and casts that keep its value. */
bool tern__number_of(const tern_graph *g, tern_value v, double *x);
/* An 8-bit value, widened to i32, and the zero point taken off it, TERN_NONE for none. */
typedef struct tern__centred {
    tern_value x, zero;
} tern__centred;
bool tern__read_centred(const tern_graph *g, tern_value v, tern__centred *c);
/* The zero point is one number, or one for each position of that axis of x and no other; axis -1: one number. */
bool tern__centred_along(const tern_graph *g, const tern__centred *c, int axis);
/* v's producer is this op. */
bool tern__made_by(const tern_graph *g, tern_value v, const char *op);

#endif
