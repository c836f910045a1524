/* A growing text with a latched failure: append freely, check failed once. */
#ifndef TERN_BASE_STR_H
#define TERN_BASE_STR_H

#include <stdarg.h>
#include <tern/base.h>

typedef struct tern__str {
    char *s;     /* NUL-terminated once something was appended; NULL before */
    size_t len, cap;
    bool failed; /* no memory: everything after is ignored */
} tern__str;

void tern__str_add(tern__str *b, const char *text);
void tern__str_addn(tern__str *b, const char *text, size_t n);
void tern__str_addf(tern__str *b, const char *fmt, ...) TERN_PRINTF(2, 3);
void tern__str_addv(tern__str *b, const char *fmt, va_list ap);
/* The text, "" when empty. */
const char *tern__str_text(const tern__str *b);
void tern__str_clear(tern__str *b); /* keeps the memory */
void tern__str_finish(tern__str *b);
/* A float literal that OpenCL C reads back to the same bits: "0.1f", "INFINITY", "-0.0f". */
void tern__str_add_f32(tern__str *b, double x);

#endif
