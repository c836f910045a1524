/* Test cases of ops: inputs and attributes that an op takes, for every op of the registry. */
#ifndef TERN_CERTIFY_CASE_H
#define TERN_CERTIFY_CASE_H

#include "ops/op.h"

enum { TERN__CASE_INPUTS = 8, TERN__CASE_ATTRS = 8, TERN__CASE_INTS = 48, TERN__CASE_OUTPUTS = 8 };

/* What an input is filled with. */
typedef struct tern__fill {
    double lo, hi;   /* numbers drawn from here; integers include both ends */
    bool no_zero;    /* divisors */
    bool whole;      /* whole numbers only, so that equal ones occur */
    bool specials;   /* floats: a few round numbers first (0, 1, -1, ...) */
} tern__fill;

/* One application of one op. Holds everything by value, so cases can be collected in an array. */
typedef struct tern__case {
    const tern__op *op;
    tern_dtype dtype;                     /* of the inputs that do not say otherwise */
    int n_in, n_out;
    tern__type in[TERN__CASE_INPUTS];     /* dtype TERN_DTYPE_COUNT: a missing optional input */
    tern__fill fill[TERN__CASE_INPUTS];
    int n_attrs, n_ints;
    tern_attr attr[TERN__CASE_ATTRS];     /* names and strings are borrowed; ints are filled in from ints[] when used */
    int first_int[TERN__CASE_ATTRS];
    int64_t ints[TERN__CASE_INTS];
    char text[160];                       /* "f32[2,3] i64[4] axis=1" */
} tern__case;

/* All cases of an op in one element type, in order; quick: the first of each kind only. An op that does not take the type has none.
 * TERN_E_NOT_FOUND if no table has a case for the op in any type: whoever adds an op adds a line to cases.c. */
tern_status tern__cases(const tern__op *op, tern_dtype dtype, bool quick, tern__case **cases, int *n);

/* Adds the case's node to g over in[]; outs[c->n_out]. */
void tern__case_add(const tern__case *c, tern_graph *g, const tern_value *in, tern_value *outs);

/* Random contents of the i-th input, the same in every run. */
void tern__case_fill(const tern__case *c, int i, const tern__array *a);

/* The largest |x - ref| / (1 + |ref|) that is allowed of a result of type out; 0: equal. */
double tern__case_tolerance(const tern__case *c, tern_dtype out);

#endif
