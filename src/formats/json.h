/* JSON: text that reads back exactly, and a strict reader whose every failure, lack of memory too, is a sentence. */
#ifndef TERN_FORMATS_JSON_H
#define TERN_FORMATS_JSON_H

#include "base/str.h"

/* The length of the well-formed UTF-8 character at p, which ends with a NUL; 0 if there is none. */
int tern__utf8_length(const unsigned char *p);

/* --- Writing --- */

/* Appends text as a JSON string with its quotes. false: text is not UTF-8, and nothing was added. */
bool tern__json_add_string(tern__str *s, const char *text);
/* Appends a number that reads back to the same bits; what JSON cannot say becomes "nan", "inf" or "-inf". */
void tern__json_add_double(tern__str *s, double x);
/* Appends [d, d, ...]. */
void tern__json_add_ints(tern__str *s, const int64_t *v, int n);

/* --- Reading --- */

typedef enum tern__json_kind {
    TERN__JSON_NULL,
    TERN__JSON_FALSE,
    TERN__JSON_TRUE,
    TERN__JSON_INT,  /* no fraction, no exponent, fits int64 */
    TERN__JSON_REAL, /* finite */
    TERN__JSON_STRING,
    TERN__JSON_LIST,
    TERN__JSON_OBJECT,
} tern__json_kind;

/* A value. What a list or object holds follows it in memory, so the next value at the same level is span further on. */
typedef struct tern__json {
    tern__json_kind kind;
    int n;           /* LIST, OBJECT: values in it */
    int span;        /* values in it at all depths, and itself */
    const char *key; /* its name in an object, else NULL */
    union {
        int64_t i;
        double f;
        const char *s;
    } as;
} tern__json;

typedef struct tern__json_doc {
    tern__json *values; /* values[0] is the root */
    int n, cap;
    char *text; /* the keys and strings */
} tern__json_doc;

/* Parses an object that fills text[size] (RFC 8259). TERN_E_CORRUPT says where it stops making sense: also for a key given twice, the
 * character U+0000, integers beyond int64 and nesting beyond 64. TERN_E_NOMEM. */
tern_status tern__json_parse(const char *text, size_t size, tern__json_doc *out);
void tern__json_finish(tern__json_doc *doc);

/* The accessors take NULL, and give NULL or false for a value of another kind. */
const tern__json *tern__json_get(const tern__json *object, const char *key);
const char *tern__json_string(const tern__json *v);
bool tern__json_is(const tern__json *v, tern__json_kind kind);
/* Values of a list or object in order; NULL at the end. */
const tern__json *tern__json_first(const tern__json *of);
const tern__json *tern__json_next(const tern__json *of, const tern__json *v);
/* An integer or real, or what tern__json_add_double wrote. */
bool tern__json_double(const tern__json *v, double *out);
/* A list of at most TERN_MAX_RANK extents >= 0. TERN_E_CORRUPT, TERN_E_UNSUPPORTED for more. */
tern_status tern__json_shape(const tern__json *v, tern_shape *out);

#endif
