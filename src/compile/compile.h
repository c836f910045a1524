/* The compiler's own data: groups of nodes, the kernels they become, and the plan made of them. */
#ifndef TERN_COMPILE_COMPILE_H
#define TERN_COMPILE_COMPILE_H

#include <tern/session.h>

#include "codegen/fused.h"
#include "compile/lower.h"
#include "exec/plan.h"

/* A fixed argument of a template's kernel. */
typedef struct tern__kern_arg {
    enum { TERN__KARG_VALUE, TERN__KARG_SLOT, TERN__KARG_SCALAR, TERN__KARG_LOCAL } kind;
    tern_value v;     /* VALUE; written if it is a call's result */
    int slot;         /* SLOT: index into the compile's slots */
    bool writes;
    uint8_t scalar[8];
    size_t size;
} tern__kern_arg;

struct tern__kern {
    tern__lower *l;
    const char *template_name;   /* NULL: code holds the kernel */
    tern__str defines, undefs, hooks, code;
    tern__params params;         /* the hooks' buffers, or a fused kernel's */
    unsigned char uses[48];      /* which params are taken (fused kernels) */
    bool load_reads[48];         /* params that load hooks read */
    uint64_t in_place[48];       /* see tern__fused_code */
    bool stores;                 /* has a store hook */
    tern__kern_arg *args;        /* fixed ones; for fused kernels those after the params */
    int n_args, cap_args;
    int dims;
    size_t global[3], local[3];
    tern__plan_call call;        /* not a kernel but this, with call_data */
    void *call_data;
    size_t call_size;
    bool prepare;                /* runs once at load time */
    size_t written;              /* bytes of its result that it writes; 0: all */
    int parts;                   /* so many launches share its operands and results, a part to each; 0: one */
    bool empty;                  /* no items: nothing to launch */
    bool failed;                 /* a hook or an argument could not be made; its sentence is recorded */
    bool no_memory;              /* ... because host memory ran out */
    char name[80];
    struct tern__kern *shared_with; /* the kernel whose text is launched instead, NULL: its own */
    int *offset_of;              /* per number in the text that may differ: the parameter that holds it, -1: written out; NULL: all are */
    uint32_t offsets[24];        /* what this launch gives for those parameters */
    int n_offsets;
    bool unchained;              /* cannot be a step of a chain */
    struct tern__chain *chain;   /* the chain whose step it is, NULL: a launch of its own */
    bool as_item, as_kernel;     /* whether its text is wanted as a chain's function, as a kernel */
};

/* Bytes that intermediates are aligned to, and chains count their places in. */
enum { TERN__CHAIN_UNIT = 256 };

/* Kernels that follow each other as one launch (chain.c). */
typedef struct tern__chain {
    tern__kern **steps;          /* as they run */
    int n_steps, cap_steps;
    tern__kern **kinds;          /* the different texts among them */
    int n_kinds, cap_kinds;
    tern__kern_arg *buffers;     /* the different values and slots among their arguments */
    int n_buffers, cap_buffers;
    int max_args;                /* of a step */
    uint32_t workers;            /* work-groups of the launch */
    bool arena;                  /* intermediates are not among the buffers: they are parts of the arena, one more parameter */
    char name[24];
} tern__chain;

typedef struct tern__group {
    int *nodes;                  /* indices into the graph, in order */
    int n_nodes, cap_nodes;
    int anchor;                  /* node lowered through impl; -1: fused kernels */
    const tern__impl *impl;
    tern_value *outs;            /* results in memory */
    int n_outs;
    tern__kern **kerns;
    int n_kerns, cap_kerns;
    struct tern__lower *lower;   /* what its kernels point to */
    bool no_memory;              /* a kernel or a workspace is missing */
    tern__str ops, name;
    tern__str choice, problem;   /* of an anchor that can be tuned: see tern__choice_print, tern__problem_print */
    int64_t bytes_unfused, bytes_fused, flops;
    int64_t bytes_bound;         /* what it reads and writes of the graph, each value once */
} tern__group;

/* Memory of the compiler's own beside the values': workspaces and packed operands. */
typedef struct tern__slot_info {
    size_t size;
    bool packed;                 /* holds a repacked operand */
    bool prepare;                /* made at load time, lives with the session */
    tern_value of;               /* packed: of which value, under which key */
    char key[48];
} tern__slot_info;

/* What runs an anchor: the implementation, and the numbers of its space that were chosen for it. */
typedef enum tern__origin { TERN__BY_MODEL, TERN__BY_FORCE, TERN__BY_STORE, TERN__BY_TABLE } tern__origin;
typedef struct tern__choice {
    const tern__impl *impl;            /* NULL: codegen's */
    tern__origin origin;
    int32_t value[TERN__MAX_PARAMS];   /* 0: the cost model's */
} tern__choice;

typedef struct tern__compile {
    tern_device *device;
    tern_graph *g;               /* after passes and layout; owned */
    tern__family family;
    const char *force_impl;
    bool exact;                  /* no approximate implementations */
    const struct tern__tuned *tuned; /* what was measured on the device; NULL: not to be used */
    int *only_user;              /* per value of g: see tern__only_users */
    int *group_of;               /* per node: its group, -1: inlined where it is used */
    const tern__impl **impl_of;  /* per node: chosen implementation, NULL: codegen's */
    tern__choice *choice_of;     /* per node: the same with its numbers */
    bool *direct;                /* per value: some kernel reads or writes it as a whole buffer argument */
    int *first_use, *next_use, *use_node; /* consumers of a value: linked lists over (use_node, next_use) */
    int n_uses;
    bool *is_output;             /* per value: leaves the graph (output or assignment) */
    tern__group **groups;        /* after fusion, in the order they run */
    int n_groups;
    tern__chain **chains;
    int n_chains, cap_chains;
    tern__slot_info *slots;
    int n_slots, cap_slots;
    tern__needs needs;
} tern__compile;

struct tern__lower {
    tern__compile *c;
    tern__group *group;
    const tern__choice *choice; /* of the anchor; NULL: everything as the cost model says */
};

/* --- Fusion (fuse.c) --- */
/* Chooses implementations, then forms groups. fuse false: a group per node. Fills groups (outs included). */
tern_status tern__fuse(tern__compile *c, bool fuse);
/* A value whose bytes are those of another (reshape of something plain in memory): that one; else v itself. */
tern_value tern__alias_of(const tern__compile *c, tern_value v);
/* group->outs from what is used outside. */
tern_status tern__group_outputs(const tern__compile *c, tern__group *gr);
/* inside() of codegen for one group. */
bool tern__group_inside(const void *lower, tern_value v);

/* Frees everything inside, groups and graph included. */
void tern__compile_finish(tern__compile *c);

/* --- Lowering (lower.c) --- */
tern_status tern__lower_group(tern__compile *c, tern__group *gr);
/* Would the group's hooks work out? Dry run for fusion; fails only where memory runs out. */
tern_status tern__lower_possible(tern__compile *c, tern__group *gr, bool *possible);
void tern__kern_destroy(tern__kern *k);
/* The whole text of a kernel with its defines and hooks; item: as a function item_NAME(..., uint4 tern_at, uint4 tern_of) of an item's place and the
 * range's extents. */
tern_status tern__kern_text(const tern__kern *k, const tern_graph *g, bool item, tern__str *out);
/* The arguments of a launch in their order; there are tern__kern_max_args(k) at most. Gives their number. */
int tern__kern_args(const tern__kern *k, tern__kern_arg *out);
int tern__kern_max_args(const tern__kern *k);
/* A group's account: bytes of each buffer of each kernel once, but for workspaces that stay in the cache. */
void tern__group_account(const tern__compile *c, tern__group *gr);

/* --- Chains (chain.c) --- */
/* Joins what follows each other, and says of every kernel in which form its text is wanted. After sharing, before printing. */
tern_status tern__chain_kernels(tern__compile *c, bool enable);
tern_status tern__chain_text(const tern__chain *ch, tern__str *out);
/* What the launch reads about its steps: tern__chain_words() of these, zeroed by the caller. */
typedef struct tern__chain_word {
    uint32_t number;
    bool is_offset;              /* instead: where in the arena this lies, in units: */
    tern__kern_arg of;
} tern__chain_word;
int tern__chain_words(const tern__chain *ch);
tern_status tern__chain_table(const tern__compile *c, const tern__chain *ch, tern__chain_word *words);
/* Is the argument reached through the arena? */
bool tern__chain_in_arena(const tern__compile *c, const tern__chain *ch, const tern__kern_arg *a);
/* What the launch counts its progress in, zero before the first one and after each. */
size_t tern__chain_progress_bytes(const tern__chain *ch);
void tern__chain_destroy(tern__chain *ch);

/* --- Layout (layout.c) --- */
/* Gives blocked layouts to what the implementations want so, with reorder nodes at the borders. c says how they are chosen; its graph is not looked at. */
tern_status tern__layout_pass(const tern__compile *c, const tern_graph *in, tern_graph **out);

/* The implementation of an anchor: the forced one, or the first that accepts. NULL impl with TERN_OK: codegen does it. */
tern_status tern__choose_impl(const tern__compile *c, const tern__node *n, tern__choice *out);
/* Reads "cpu_tile:tp=7:nv=2", len characters of it, for an op. TERN_E_NOT_FOUND for names that there are not, TERN_E_INVALID for other values. */
tern_status tern__choice_parse(const struct tern__op *op, const char *text, size_t len, tern__choice *out);
/* The reverse of tern__choice_parse; numbers that are left to the cost model are left out. */
void tern__choice_print(tern__str *s, const tern__choice *choice);
/* Does an implementation take the node with the numbers it was given? Says why not. */
bool tern__choice_fits(const tern__compile *c, const tern__node *n, const tern__choice *choice, tern__str *why);

#endif
