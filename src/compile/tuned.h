/* Choices that were measured to be best: which problem a node is, and what the user's store or the table that comes with Tern says of it. */
#ifndef TERN_COMPILE_TUNED_H
#define TERN_COMPILE_TUNED_H

#include "compile/compile.h"

/* --- Problems (problem.c) --- */

/* Can anything be chosen for this op? */
bool tern__is_tunable(const struct tern__op *op);
/* What measurements of a node are kept under: op, operands (which are constants), attributes, what follows it, exactness:
 *     conv(f32[1,64,56,56],const f32[64,64,3,3]) pads=1,1,1,1 +pointwise
 * The same in the graph before and after the layout pass. +pointwise: elementwise ops follow; +residual: one of them takes another operand of the
 * result's shape. */
void tern__problem_print(tern__str *s, const tern_graph *g, const tern__node *n, const int *only_user, bool exact);
/* A graph of one such problem: inputs x0, x1 ..., constants of random numbers, output y. TERN_E_INVALID for a text that is no problem. */
tern_status tern__problem_graph(const char *problem, tern_graph **out);
/* An operand's element made of u in [0, 1): small numbers of both signs, of unsigned types of one, whole for integers. */
double tern__problem_number(tern_dtype t, float u);
/* The op of a problem; NULL: none that can be tuned. */
const struct tern__op *tern__problem_op(const char *problem);
/* Digest of the kernels of all the op's implementations, as they are now, 16 digits. */
tern_status tern__problem_sources(const struct tern__op *op, char out[17]);

/* --- What is known (tuned.c) --- */

typedef struct tern__tuned_entry {
    char *problem, *choice;
    tern__origin origin;
} tern__tuned_entry;

typedef struct tern__tuned {
    struct tern__tuned *next;       /* of the same device, when it had other properties */
    char device[33];
    tern__tuned_entry *entry;       /* by problem */
    int n, cap;
    char note[512];                 /* why the store was left out; "" it was not */
} tern__tuned;

/* What is known of a device; read once and kept with it. A store that cannot be read leaves a note; only want of memory fails. */
tern_status tern__tuned_of(tern_device *d, const tern__tuned **out);
/* The choice for a problem that still fits the node. out->impl is NULL where there is none. */
tern_status tern__tuned_find(const tern__compile *c, const tern__node *n, tern__choice *out);

#endif
