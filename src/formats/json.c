/* JSON text that reads back exactly, and jansson's errors as sentences. */
#include "formats/json.h"

#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The length of the well-formed UTF-8 character at p (Unicode, table 3-7), 0 if there is none. */
static int utf8_length(const unsigned char *p)
{
    int more = p[0] < 0x80 ? 0 : p[0] >= 0xc2 && p[0] < 0xe0 ? 1 : p[0] >= 0xe0 && p[0] < 0xf0 ? 2 : p[0] >= 0xf0 && p[0] < 0xf5 ? 3 : -1;
    for (int i = 1; i <= more; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || outside ? 0 : more + 1;
}

bool tern__json_add_string(tern__str *s, const char *text)
{
    for (const char *p = text; *p;) {
        int n = utf8_length((const unsigned char *)p);
        if (n == 0)
            return false;
        p += n;
    }
    tern__str_add(s, "\"");
    for (const char *p = text; *p; p++) {
        size_t plain = 0;
        while ((unsigned char)p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\')
            plain++;
        tern__str_addn(s, p, plain);
        p += plain;
        if (!*p)
            break;
        if (*p == '"' || *p == '\\')
            tern__str_addf(s, "\\%c", *p);
        else
            tern__str_addf(s, "\\u%04x", (unsigned)*p);
    }
    tern__str_add(s, "\"");
    return true;
}

void tern__json_add_double(tern__str *s, double x)
{
    if (isnan(x) || isinf(x)) {
        tern__str_add(s, isnan(x) ? "\"nan\"" : x < 0 ? "\"-inf\"" : "\"inf\"");
        return;
    }
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    bool whole = true;
    for (char *c = text; *c; c++) {
        if (!strchr("0123456789+-e", *c))
            *c = '.'; /* the application's locale may write a decimal comma */
        whole = whole && *c != '.' && *c != 'e';
    }
    tern__str_add(s, text);
    if (whole)
        tern__str_add(s, ".0"); /* stays a real, and keeps the sign of -0 */
}

void tern__json_add_ints(tern__str *s, const int64_t *v, int n)
{
    tern__str_add(s, "[");
    for (int i = 0; i < n; i++)
        tern__str_addf(s, "%s%lld", i ? "," : "", (long long)v[i]);
    tern__str_add(s, "]");
}

tern_status tern__json_parse(const char *text, size_t size, json_t **out)
{
    json_error_t error = {0};
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return tern__fail(TERN_E_NOMEM, "JSON: no memory for %zu bytes of text", size);
    if (!root)
        return tern__fail(TERN_E_CORRUPT, "JSON: %s (byte %d of %zu)", error.text, error.position, size);
    if (!json_is_object(root)) {
        json_decref(root);
        return tern__fail(TERN_E_CORRUPT, "JSON: an object is expected");
    }
    *out = root;
    return TERN_OK;
}

bool tern__json_double(const json_t *v, double *out)
{
    const char *word = json_string_value(v);
    if (word && (!strcmp(word, "nan") || !strcmp(word, "inf") || !strcmp(word, "-inf"))) {
        *out = word[0] == 'n' ? (double)NAN : word[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (!json_is_number(v))
        return false;
    *out = json_number_value(v);
    return true;
}

tern_status tern__json_shape(const json_t *v, tern_shape *out)
{
    tern_shape s = {0};
    size_t rank = json_array_size(v);
    if (!json_is_array(v))
        return tern__fail(TERN_E_CORRUPT, "its shape is not a list");
    if (rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_UNSUPPORTED, "its rank %zu is above %d", rank, TERN_MAX_RANK);
    for (; s.rank < (int)rank; s.rank++) {
        const json_t *d = json_array_get(v, (size_t)s.rank);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return tern__fail(TERN_E_CORRUPT, "extent %d of its shape is not a number from 0", s.rank);
        s.dim[s.rank] = (int64_t)json_integer_value(d);
    }
    *out = s;
    return TERN_OK;
}
