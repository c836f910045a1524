/* Kernels made entirely by codegen: pointwise groups, reductions, and rows that are reduced and used again in one pass
 * (softmax, normalisations). */
#ifndef TERN_CODEGEN_FUSED_H
#define TERN_CODEGEN_FUSED_H

#include "codegen/body.h"
#include "device/device.h"

/* What to make. All lists are borrowed. */
typedef struct tern__fused {
    const tern_graph *g;
    bool (*inside)(const void *user, tern_value v); /* v is computed in this group */
    const void *user;
    const tern_value *outs;                         /* results to store */
    int n_outs;
    const tern_value *reductions;                   /* results of the group's reduction nodes */
    int n_reductions;
    const tern__node *concat;                       /* not NULL: of its result only what its input number `piece` brings */
    int piece;
    tern__family family;
    int compute_units, vector_width, max_work_group;
} tern__fused;

/* One kernel of the result. Its parameters are those of params in order, then the partial results where used. */
typedef struct tern__fused_kernel {
    tern__str text;            /* the kernel, its name spelled KERNEL */
    unsigned char uses[48];    /* which params it takes */
    bool partial;
    int dims;
    size_t global[3], local[3];
} tern__fused_kernel;

typedef struct tern__fused_code {
    tern__params params;
    tern__fused_kernel kernel[2];
    int n_kernels;
    size_t partial_bytes;      /* workspace between the two kernels */
    uint64_t in_place[48];     /* bit p of in_place[o]: written parameter o may lie where read parameter p does */
} tern__fused_code;

/* Makes the text and adds to needs. TERN_E_UNSUPPORTED with the reason if the group cannot be one kernel.
 * needs NULL: only says whether it could be. */
tern_status tern__fused_generate(const tern__fused *f, tern__needs *needs, tern__fused_code *code);
/* Same shape and layout: elements correspond one to one in memory. */
bool tern__same_space(const tern__type *a, const tern__type *b);
void tern__fused_code_finish(tern__fused_code *code);

/* Every value's parameter list as C: "global const float *h0, global int *h1". */
void tern__print_params(tern__str *out, const tern_graph *g, const tern__params *ps, const unsigned char *uses);
/* Parameters that each written one may share memory with: read at exactly the position that is written, as many bytes. */
void tern__find_in_place(tern__body *const *bodies, int n, const tern__params *ps, const tern_graph *g, uint64_t *in_place);

#endif
