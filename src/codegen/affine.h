/* Index arithmetic: sums of variables times constants, so that strides are known and divisions mostly vanish. */
#ifndef TERN_CODEGEN_AFFINE_H
#define TERN_CODEGEN_AFFINE_H

#include "base/str.h"

#define TERN__AFF_TERMS 10

/* c + sum of coef * variable. Variables are numbered by the body that owns them; terms are sorted by variable, no zero coefficients. */
typedef struct tern__aff {
    int n;
    struct { int var; int64_t coef; } term[TERN__AFF_TERMS];
    int64_t c;
    bool overflow; /* more terms than fit: the expression cannot be used */
} tern__aff;

tern__aff tern__aff_const(int64_t c);
tern__aff tern__aff_var(int var);
tern__aff tern__aff_add(tern__aff a, tern__aff b);
/* a + k * b */
tern__aff tern__aff_axpy(tern__aff a, int64_t k, tern__aff b);
bool tern__aff_equal(const tern__aff *a, const tern__aff *b);
/* Coefficient of a variable, 0 if absent. */
int64_t tern__aff_coef(const tern__aff *a, int var);
/* The same without one variable. */
tern__aff tern__aff_without(tern__aff a, int var);

#endif
