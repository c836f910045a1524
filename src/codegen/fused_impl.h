/* What the analysis of a fused group (fused.c) hands to the writers of its text (fused_cpu.c, fused_simt.c). */
#ifndef TERN_CODEGEN_FUSED_IMPL_H
#define TERN_CODEGEN_FUSED_IMPL_H

#include "base/status.h"
#include "codegen/fused.h"

#define TERN__MAX_REDS 12
#define TERN__MAX_LOOPS 6

typedef struct tern__red {
    tern_value value;
    const tern__node *node;
    const tern__op *op;
    int loop;          /* 1-based: which pass over the elements computes it */
    int reg;           /* the element register it folds, in that loop's body */
    int index_reg;     /* argmax, argmin: the position's register; else -1 */
    tern_dtype acc;    /* accumulator type */
    char name[16];     /* "q3": the finished result */
} tern__red;

typedef struct tern__fz {
    const tern__fused *f;
    tern__type space;  /* the elements' shape and layout */
    unsigned mask;     /* reduced logical axes */
    tern__params params;
    tern__red red[TERN__MAX_REDS];
    int n_reds, n_loops;
    tern__body *loop[TERN__MAX_LOOPS + 1]; /* [1..n_loops]: the element passes */
    tern__body *rows;  /* what is done with finished reductions; NULL if nothing is stored */
    tern__body *all[TERN__MAX_LOOPS + 2];
    int n_all;
    int axis[TERN_MAX_RANK + 1], kind[TERN_MAX_RANK + 1], n_axes; /* after collapsing; kind 1: reduced */
    int kept[TERN_MAX_RANK + 1], n_kept, reduced[TERN_MAX_RANK + 1], n_reduced;
    unsigned kept_mask;
    int64_t n_rows, n_folded;
    bool lane_kept;    /* vectors run along a kept axis */
    int lane;          /* -1: no axis to vectorise */
    int last;          /* the axis, as the space lays them out, that is to be the innermost; -1: the one that is */
    int width;         /* 1: scalars only */
    bool has_index;    /* argmax or argmin among the reductions */
    tern__needs *needs;
} tern__fz;

static inline int64_t tern__fz_extent(const tern__fz *z, int axis)
{
    return z->all[0]->var[axis].extent;
}
static inline const char *tern__fz_name(const tern__fz *z, int axis)
{
    return z->all[0]->var[axis].name;
}

/* Elements that one work-group of a CPU handles at least: enough to hide its start (about a microsecond). */
enum { TERN__FZ_ELEMS_PER_GROUP = 8192 };
/* Rows of so many elements each that a CPU's work-group handles: enough, leaving some groups for every compute unit. */
int64_t tern__fz_rows_per_group(const tern__fz *z, int64_t rows, int64_t elements);
#define TERN__FZ_CPU_ATTRIBUTES "__attribute__((reqd_work_group_size(1, 1, 1))) "

/* A group that moves elements read side by side along one axis to where those along another are: see fused_transpose.c. */
typedef struct tern__transposition {
    const tern__ins *from, *to;
    int read, written; /* axes */
    int tiled, other;  /* the same two: the one that tiles divide, the one that they may leave a rest of */
    int width;         /* of a tile, both ways */
} tern__transposition;
bool tern__fz_transposes(const tern__fz *z, tern__transposition *t);
void tern__fz_write_transpose(tern__fz *z, const tern__transposition *t, tern__fused_kernel *k);

tern_status tern__fused_write_cpu(tern__fz *z, tern__fused_code *code);
tern_status tern__fused_write_simt(tern__fz *z, tern__fused_code *code);

/* Pieces of text both use. */
void tern__fz_decompose(const tern__fz *z, tern__str *s, const char *from, const int *axes, int n, int indent);
/* "T acc = init;" for each reduction of a loop, at a width, name prefix p. */
void tern__fz_declare(const tern__fz *z, tern__str *s, int loop, int width, const char *p, int indent);
/* acc = step(acc, element) for each reduction of a loop. */
void tern__fz_step(const tern__fz *z, tern__str *s, int loop, int width, const char *p, int indent);
/* "const T q = finish(acc, n);" */
void tern__fz_finish(const tern__fz *z, tern__str *s, const tern__red *r, int width, const char *p, int indent);
void tern__fz_call(const tern__fz *z, tern__str *s, const tern__red *r, int width, const char *part);
void tern__fz_open(const tern__fz *z, tern__str *s, const tern__fused_kernel *k, const char *attributes);
void tern__fz_uses(const tern__fz *z, tern__body *const *bodies, int n, unsigned char *uses);

#endif
