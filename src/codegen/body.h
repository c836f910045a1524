/* The inner form of generated code: a short list of typed instructions over index expressions, built once and printed at any vector width.
 *
 * A body computes elements of values at given coordinates. Values inside the group become instructions, the others loads; movement ops
 * only change coordinates; broadcasting drops them. Nothing here knows loops: variables are what the loops (or a hook's caller) provide. */
#ifndef TERN_CODEGEN_BODY_H
#define TERN_CODEGEN_BODY_H

#include "codegen/affine.h"
#include "graph/graph.h"
#include "ops/op.h"

/* Index variables: axes are given from outside, the rest is computed from others. */
typedef enum tern__var_kind { TERN__VAR_AXIS, TERN__VAR_DIV, TERN__VAR_MOD, TERN__VAR_CLAMP, TERN__VAR_REFLECT, TERN__VAR_REG } tern__var_kind;
typedef struct tern__var {
    tern__var_kind kind;
    char name[16];
    int64_t extent;       /* values are 0 .. extent-1 */
    int64_t multiple_of;  /* AXIS: starts of vectors are multiples of this (1: nothing known) */
    tern__aff from;       /* DIV, MOD, CLAMP, REFLECT: of this; k: by this, or into [0, k) */
    int64_t k;
    int reg;              /* REG: from this integer register, negative counted from the end, clamped to the extent */
    unsigned deps;        /* axes it depends on, as a bit mask */
    int64_t period;       /* 0: the lane does not matter; else uniform over vectors whose width divides it */
} tern__var;

typedef enum tern__ins_op {
    TERN__INS_PRESET,  /* text: a register made elsewhere */
    TERN__INS_CONST,   /* x */
    TERN__INS_LOAD,    /* param[index] */
    TERN__INS_CALL,    /* op(args) */
    TERN__INS_CONVERT, /* dtype(args[0]) */
    TERN__INS_INDEX,   /* index as a number */
    TERN__INS_RANGE,   /* lo <= index < hi ? args[0] : args[1] */
    TERN__INS_SELECT,  /* args[0] ? args[1] : args[2] */
    TERN__INS_INBOUND, /* -hi <= args[0] < hi, as a bool */
    TERN__INS_RANDOM,  /* node's random number for element `index` of stream args[0] */
    TERN__INS_STORE,   /* param[index] = args[0] */
} tern__ins_op;

typedef struct tern__ins {
    tern__ins_op op;
    tern_dtype dtype;      /* of the register */
    tern_value value;      /* what it is, for sharing; TERN_NONE for helpers */
    const tern__node *node;
    int args[4];
    int n_args;
    int param;
    tern__aff index;
    int64_t lo, hi;
    double x;
    char text[24];
    unsigned deps;
    bool lane;             /* differs from lane to lane */
    bool anywhere;         /* PRESET: the same at all coordinates */
    int rank;
    tern__aff coord[TERN_MAX_RANK]; /* where value was asked for */
} tern__ins;

/* Buffers that the kernel's code touches, shared by all bodies of one kernel. */
typedef struct tern__params {
    struct { tern_value v; bool reads, writes; } p[48];
    int n;
} tern__params;
/* Index of the parameter for v; -1 when there are too many. */
int tern__params_add(tern__params *ps, tern_value v, bool writes);

#define TERN__MAX_VARS 64
#define TERN__MAX_INS 256
typedef struct tern__body {
    const tern_graph *g;
    bool (*inside)(const void *user, tern_value v); /* may v be computed here? else it is loaded */
    const void *user;
    tern__params *params;
    int tag;               /* keeps the names of one kernel's bodies apart */
    int lane;              /* variable along which vectors run; -1 none */
    tern__var var[TERN__MAX_VARS];
    int n_vars;
    tern__ins ins[TERN__MAX_INS];
    int n_ins;
    bool failed;           /* why: in reason */
    char reason[128];
} tern__body;

void tern__body_init(tern__body *b, const tern_graph *g, tern__params *params, bool (*inside)(const void *, tern_value), const void *user);
void tern__body_fail(tern__body *b, const char *fmt, ...) TERN_PRINTF(2, 3);
/* An axis; extent 1 gives no variable: use the returned expression. */
tern__aff tern__body_axis(tern__body *b, const char *name, int64_t extent, int64_t multiple_of, int *var);
/* Quotient and remainder by a positive constant of an expression that is never negative. */
void tern__body_divmod(tern__body *b, tern__aff a, int64_t k, tern__aff *q, tern__aff *r);
/* max(0, min(a, extent - 1)); a may be negative. */
tern__aff tern__body_clamp(tern__body *b, tern__aff a, int64_t extent);
/* a folded back at both ends as often as it takes: ... 2 1 [0 1 2 ... extent-1] extent-2 ... */
tern__aff tern__body_reflect(tern__body *b, tern__aff a, int64_t extent);
/* An index from an integer register (gather). */
tern__aff tern__body_index_from(tern__body *b, int reg, int64_t extent);

/* Registers (instruction numbers). -1 once the body has failed. */
int tern__body_value(tern__body *b, tern_value v, const tern__aff *coord);
int tern__body_preset(tern__body *b, tern_value v, const tern__aff *coord, const char *text, bool lane, unsigned deps);
int tern__body_const(tern__body *b, tern_dtype t, double x);
int tern__body_range(tern__body *b, tern__aff index, int64_t lo, int64_t hi, int yes, int no);
/* The index as a number of type i64. */
int tern__body_index_value(tern__body *b, tern__aff index);
int tern__body_inbound(tern__body *b, int reg, int64_t extent);
/* yes where cond (a bool register) holds, else no; all of one element a lane. */
int tern__body_select(tern__body *b, int cond, int yes, int no);
int tern__body_convert(tern__body *b, int reg, tern_dtype to);
void tern__body_store(tern__body *b, tern_value v, const tern__aff *coord, int reg);
/* The same at a position in memory. */
void tern__body_store_at(tern__body *b, tern_value v, tern__aff at, int reg);

/* Position in memory of the element of v at coord, by v's layout. */
tern__aff tern__body_address(tern__body *b, tern_value v, const tern__aff *coord);
/* Row-major position in v's logical shape. */
tern__aff tern__body_linear(const tern_shape *s, const tern__aff *coord);

/* Merges neighbouring axes wherever every index of all the bodies allows and kind[] is the same (bodies number their axes alike).
 * in: axes outermost first; out: the ones left, extents updated; returns how many. Nothing may be added to the bodies after. */
int tern__body_collapse(tern__body *const *bodies, int n_bodies, int *axes, int *kind, int n);

/* Whether the body can be printed with vectors of this width along its lane. */
bool tern__body_vectorizable(const tern__body *b, int width);

/* What a text needs to exist before it: pointwise functions, by op, register dtype and width. */
typedef struct tern__needs {
    struct { const tern__op *op; tern_dtype t; int width; } f[256];
    int n;
    bool transposes, prefetches;
    int random;             /* 0: no random numbers; else the width they are drawn at, 1 or that of the vectors */
} tern__needs;

/* Prints the instructions whose dependence on axes satisfies (deps & mask) and that were not printed yet (done, one flag per instruction
 * and one per variable). width 1: scalars. Indented by indent blanks. */
typedef struct tern__printed { bool ins[TERN__MAX_INS], var[TERN__MAX_VARS]; bool scalar_ins[TERN__MAX_INS]; } tern__printed;
void tern__body_print(const tern__body *b, tern__str *out, tern__needs *needs, int width, unsigned allowed, tern__printed *done, int indent);
/* Prints a request for each cache line that its vectors of this width will load beside what every row of them shares. False: there is none. */
bool tern__body_print_ahead(const tern__body *b, tern__str *out, tern__needs *needs, int width, int indent);
/* The name of a register as an operand at this width (a uniform one is spread). */
void tern__body_operand(const tern__body *b, tern__str *out, int reg, int width);

/* "float16", "int", "uint8": register type of a dtype at a width. */
void tern__print_type(tern__str *out, tern_dtype t, int width);
/* An index as an address, whose numbers may become parameters. */
void tern__print_address(const tern__body *b, tern__str *out, const tern__aff *a);
void tern__print_aff(const tern__body *b, tern__str *out, const tern__aff *a);
/* Text of the functions that are needed. */
tern_status tern__print_needs(const tern__needs *needs, tern__str *out);
/* Name of a pointwise function: "relu_f32x16". */
void tern__print_function(tern__str *out, const tern__op *op, tern_dtype t, int width);
/* Adds to needs; false when full. */
bool tern__need(tern__needs *needs, const tern__op *op, tern_dtype t, int width);

/* What a movement op's hook gets: the coordinates of an output element; it answers with a register. */
typedef struct tern__emit_move {
    tern__body *body;
    int output;               /* which output */
    const tern__aff *coord;   /* of that output's element */
    int reg;                  /* out: usually tern__body_value(body, input, its coordinates) */
} tern__emit_move;

#endif
