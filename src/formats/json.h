/* JSON: what is written as text, and reading with sentences for what is wrong. */
#ifndef TERN_FORMATS_JSON_H
#define TERN_FORMATS_JSON_H

#include <jansson.h>

#include "base/str.h"

/* Appends text as a JSON string with its quotes. false: text is not UTF-8, and nothing was added. */
bool tern__json_add_string(tern__str *s, const char *text);
/* Appends a number that reads back to the same bits; what JSON cannot say becomes "nan", "inf" or "-inf". */
void tern__json_add_double(tern__str *s, double x);
/* Appends [d, d, ...]. */
void tern__json_add_ints(tern__str *s, const int64_t *v, int n);

/* Parses one object that fills text[size]. TERN_E_CORRUPT says where it stops making sense. */
tern_status tern__json_parse(const char *text, size_t size, json_t **out);
/* Reads back what tern__json_add_double wrote. */
bool tern__json_double(const json_t *v, double *out);
/* A list of at most TERN_MAX_RANK extents >= 0. TERN_E_CORRUPT, TERN_E_UNSUPPORTED for more. */
tern_status tern__json_shape(const json_t *v, tern_shape *out);

#endif
