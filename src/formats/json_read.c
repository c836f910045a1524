/* A strict JSON reader: one pass, two blocks of memory, strings decoded in place. */
#include "formats/json.h"

#include "base/alloc.h"
#include "base/status.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_LIMIT = 64, NUMBER_LIMIT = 64 };

typedef struct parser {
    tern__json_doc doc;
    char *at, *end; /* *end is 0 */
} parser;

/* The length of the well-formed UTF-8 character at p (Unicode, table 3-7), 0 if there is none. */
int tern__utf8_length(const unsigned char *p)
{
    int more = p[0] < 0x80 ? 0 : p[0] >= 0xc2 && p[0] < 0xe0 ? 1 : p[0] >= 0xe0 && p[0] < 0xf0 ? 2 : p[0] >= 0xf0 && p[0] < 0xf5 ? 3 : -1;
    for (int i = 1; i <= more; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || outside ? 0 : more + 1;
}

static tern_status broken(const parser *p, const char *what)
{
    return tern__fail(TERN_E_CORRUPT, "JSON: byte %zu of %zu: %s", (size_t)(p->at - p->doc.text), (size_t)(p->end - p->doc.text), what);
}

static void skip_space(parser *p)
{
    while (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')
        p->at++;
}

/* --- Strings --- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX, -1 if there are not four. */
static int32_t hex_unit(const char *s)
{
    int32_t x = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s[i]); /* a NUL ends it early */
        if (d < 0)
            return -1;
        x = 16 * x + d;
    }
    return x;
}

static char *put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | c >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
    return to;
}

/* The escape at p->at, after the backslash. */
static tern_status unescape(parser *p, char **to)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *known = *p->at ? strchr(names, *p->at) : NULL;
    if (known) {
        *(*to)++ = meant[known - names];
        p->at++;
        return TERN_OK;
    }
    int32_t c = *p->at == 'u' ? hex_unit(p->at + 1) : -1;
    if (c <= 0)
        return broken(p, c == 0 ? "the character U+0000" : "an unknown escape");
    p->at += 5;
    if (c >= 0xd800 && c < 0xe000) { /* half of a surrogate pair */
        int32_t low = c < 0xdc00 && p->at[0] == '\\' && p->at[1] == 'u' ? hex_unit(p->at + 2) : -1;
        if (low < 0xdc00 || low >= 0xe000)
            return broken(p, "half of a surrogate pair");
        p->at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, (uint32_t)c);
    return TERN_OK;
}

/* Decodes over its own text: no character grows. */
static tern_status parse_string(parser *p, const char **out)
{
    char *start = ++p->at, *to = start;
    while (*p->at != '"') {
        if (*p->at == '\\') {
            p->at++;
            TERN_TRY(unescape(p, &to));
            continue;
        }
        int n = (unsigned char)*p->at < 0x20 ? 0 : tern__utf8_length((const unsigned char *)p->at);
        if (n == 0)
            return broken(p, p->at == p->end ? "a string has no end" : "a control character or broken UTF-8 in a string");
        memmove(to, p->at, (size_t)n);
        to += n;
        p->at += n;
    }
    p->at++;
    *to = 0;
    *out = start;
    return TERN_OK;
}

/* --- Numbers --- */

static int skip_digits(parser *p)
{
    int n = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        n++;
    return n;
}

/* strtod reads the application's decimal point, JSON has '.'. */
static double local_strtod(const char *text, size_t n)
{
    char copy[NUMBER_LIMIT + 1];
    memcpy(copy, text, n);
    copy[n] = 0;
    char *dot = strchr(copy, '.');
    if (dot)
        *dot = localeconv()->decimal_point[0];
    return strtod(copy, NULL);
}

static bool to_int(const char *s, const char *end, int64_t *out)
{
    bool negative = *s == '-';
    uint64_t x = 0, most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (s += negative; s < end; s++) {
        unsigned digit = (unsigned)(*s - '0');
        if (x > (most - digit) / 10)
            return false;
        x = 10 * x + digit;
    }
    *out = negative ? (int64_t)(0 - x) : (int64_t)x;
    return true;
}

static tern_status parse_number(parser *p, tern__json *v)
{
    const char *start = p->at;
    bool real = false;
    if (*p->at == '-')
        p->at++;
    bool zero = *p->at == '0';
    int whole = skip_digits(p);
    if (whole == 0 || (zero && whole > 1))
        return broken(p, "a number is expected");
    if (*p->at == '.') {
        real = true;
        p->at++;
        if (!skip_digits(p))
            return broken(p, "no digit after the decimal point");
    }
    if (*p->at == 'e' || *p->at == 'E') {
        real = true;
        p->at++;
        if (*p->at == '+' || *p->at == '-')
            p->at++;
        if (!skip_digits(p))
            return broken(p, "no digit in the exponent");
    }
    if (p->at - start > NUMBER_LIMIT)
        return broken(p, "a number of too many digits");
    v->kind = real ? TERN__JSON_REAL : TERN__JSON_INT;
    if (real)
        v->as.f = local_strtod(start, (size_t)(p->at - start));
    if (real ? isinf(v->as.f) : !to_int(start, p->at, &v->as.i))
        return broken(p, "a number too large");
    return TERN_OK;
}

/* --- Values --- */

static tern_status parse_value(parser *p, const char *key, int depth);

static tern_status parse_word(parser *p, tern__json *v)
{
    static const struct { const char *word; tern__json_kind kind; } words[] = {
        {"true", TERN__JSON_TRUE}, {"false", TERN__JSON_FALSE}, {"null", TERN__JSON_NULL}};
    for (int i = 0; i < TERN_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (strncmp(p->at, words[i].word, n) == 0) {
            p->at += n;
            v->kind = words[i].kind;
            return TERN_OK;
        }
    }
    return broken(p, p->at == p->end ? "the text ends too early" : "a value is expected");
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static tern_status check_keys(parser *p, const tern__json *object)
{
    const char **keys = tern__alloc_array((size_t)object->n, sizeof *keys);
    if (!keys)
        return tern__fail(TERN_E_NOMEM, "JSON: no memory for %d keys", object->n);
    int n = 0;
    for (const tern__json *v = tern__json_first(object); v; v = tern__json_next(object, v))
        keys[n++] = v->key;
    qsort(keys, (size_t)n, sizeof *keys, by_text);
    tern_status st = TERN_OK;
    for (int i = 1; i < n && st == TERN_OK; i++)
        if (!strcmp(keys[i - 1], keys[i]))
            st = tern__fail(TERN_E_CORRUPT, "JSON: byte %zu: the key \"%.80s\" is a duplicate", (size_t)(p->at - p->doc.text), keys[i]);
    tern__free(keys);
    return st;
}

static tern_status parse_member(parser *p, bool object, int depth)
{
    const char *key = NULL;
    skip_space(p);
    if (object) {
        if (*p->at != '"')
            return broken(p, "a key is expected");
        TERN_TRY(parse_string(p, &key));
        skip_space(p);
        if (*p->at != ':')
            return broken(p, "a colon is expected");
        p->at++;
    }
    return parse_value(p, key, depth + 1);
}

/* A list or an object, from its bracket; values[index] is already there. */
static tern_status parse_group(parser *p, int index, int depth)
{
    bool object = *p->at++ == '{';
    char close = object ? '}' : ']';
    int n = 0;
    if (depth == DEPTH_LIMIT)
        return broken(p, "it is nested too deeply");
    skip_space(p);
    if (*p->at == close) {
        p->at++;
    } else {
        char c;
        do {
            TERN_TRY(parse_member(p, object, depth));
            n++;
            skip_space(p);
            c = *p->at;
            if (c != ',' && c != close)
                return broken(p, object ? "',' or '}' is expected" : "',' or ']' is expected");
            p->at++;
        } while (c == ',');
    }
    tern__json *v = &p->doc.values[index];
    v->kind = object ? TERN__JSON_OBJECT : TERN__JSON_LIST;
    v->n = n;
    v->span = p->doc.n - index;
    return object && n > 1 ? check_keys(p, v) : TERN_OK;
}

static tern_status parse_value(parser *p, const char *key, int depth)
{
    if (!TERN_GROW(p->doc.values, p->doc.n, p->doc.cap))
        return tern__fail(TERN_E_NOMEM, "JSON: no memory for value %d", p->doc.n);
    int index = p->doc.n++;
    tern__json *v = &p->doc.values[index];
    *v = (tern__json){.key = key, .span = 1};
    skip_space(p);
    if (*p->at == '{' || *p->at == '[')
        return parse_group(p, index, depth);
    if (*p->at == '"') {
        v->kind = TERN__JSON_STRING;
        return parse_string(p, &v->as.s);
    }
    return *p->at == '-' || (*p->at >= '0' && *p->at <= '9') ? parse_number(p, v) : parse_word(p, v);
}

static tern_status parse_root(parser *p)
{
    TERN_TRY(parse_value(p, NULL, 0));
    skip_space(p);
    if (p->at != p->end)
        return broken(p, "something follows the value");
    return p->doc.values[0].kind == TERN__JSON_OBJECT ? TERN_OK : tern__fail(TERN_E_CORRUPT, "JSON: an object is expected");
}

tern_status tern__json_parse(const char *text, size_t size, tern__json_doc *out)
{
    parser p = {.doc = {.text = tern__alloc(size + 1)}};
    if (!p.doc.text)
        return tern__fail(TERN_E_NOMEM, "JSON: no memory for %zu bytes of text", size);
    if (size)
        memcpy(p.doc.text, text, size);
    p.at = p.doc.text;
    p.end = p.at + size;
    tern_status st = parse_root(&p);
    if (st != TERN_OK) {
        tern__json_finish(&p.doc);
        return st;
    }
    *out = p.doc;
    return TERN_OK;
}

void tern__json_finish(tern__json_doc *doc)
{
    tern__free(doc->values);
    tern__free(doc->text);
    *doc = (tern__json_doc){0};
}

/* --- Access --- */

bool tern__json_is(const tern__json *v, tern__json_kind kind) { return v && v->kind == kind; }

const char *tern__json_string(const tern__json *v) { return tern__json_is(v, TERN__JSON_STRING) ? v->as.s : NULL; }

const tern__json *tern__json_first(const tern__json *of) { return of && of->n ? of + 1 : NULL; }

const tern__json *tern__json_next(const tern__json *of, const tern__json *v)
{
    const tern__json *next = v + v->span;
    return next < of + of->span ? next : NULL;
}

const tern__json *tern__json_get(const tern__json *object, const char *key)
{
    if (!tern__json_is(object, TERN__JSON_OBJECT))
        return NULL;
    for (const tern__json *v = tern__json_first(object); v; v = tern__json_next(object, v))
        if (!strcmp(v->key, key))
            return v;
    return NULL;
}

bool tern__json_double(const tern__json *v, double *out)
{
    const char *word = tern__json_string(v);
    bool special = word && (!strcmp(word, "nan") || !strcmp(word, "inf") || !strcmp(word, "-inf"));
    if (special)
        *out = word[0] == 'n' ? (double)NAN : word[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    else if (tern__json_is(v, TERN__JSON_INT))
        *out = (double)v->as.i;
    else if (tern__json_is(v, TERN__JSON_REAL))
        *out = v->as.f;
    else
        return false;
    return true;
}

tern_status tern__json_shape(const tern__json *v, tern_shape *out)
{
    tern_shape s = {0};
    if (!tern__json_is(v, TERN__JSON_LIST))
        return tern__fail(TERN_E_CORRUPT, "its shape is not a list");
    if (v->n > TERN_MAX_RANK)
        return tern__fail(TERN_E_UNSUPPORTED, "its rank %d is above %d", v->n, TERN_MAX_RANK);
    for (const tern__json *d = tern__json_first(v); d; d = tern__json_next(v, d)) {
        if (d->kind != TERN__JSON_INT || d->as.i < 0)
            return tern__fail(TERN_E_CORRUPT, "extent %d of its shape is not a number from 0", s.rank);
        s.dim[s.rank++] = d->as.i;
    }
    *out = s;
    return TERN_OK;
}
