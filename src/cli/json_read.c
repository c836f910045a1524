/* A small strict JSON reader for the command's own documents: a text becomes a flat list of values. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20, DEEPEST = 32 };

typedef struct reader {
    json_doc *doc;
    char *at, *end;      /* *end is 0 */
    const char *problem; /* the first; NULL: none yet */
} reader;

static bool broken(reader *r, const char *what)
{
    if (!r->problem)
        r->problem = what;
    return false;
}

static void skip_space(reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')
        r->at++;
}

static json_value *add_value(reader *r, const char *key)
{
    json_doc *d = r->doc;
    if (d->n == d->cap) {
        int cap = d->cap ? 2 * d->cap : 256;
        json_value *grown = realloc(d->value, (size_t)cap * sizeof *grown);
        if (!grown) {
            broken(r, "there is no memory for it");
            return NULL;
        }
        d->value = grown;
        d->cap = cap;
    }
    d->value[d->n] = (json_value){.kind = JSON_NULL, .key = key, .span = 1};
    return &d->value[d->n++];
}

/* Four hexadecimal digits as UTF-8 at *to, which moves; a surrogate, which no document of ours has, becomes U+FFFD. */
static bool read_unicode(reader *r, char **to)
{
    uint32_t c = 0;
    for (int i = 0; i < 4; i++) {
        char h = *r->at;
        int digit = h >= '0' && h <= '9' ? h - '0' : h >= 'a' && h <= 'f' ? h - 'a' + 10 : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;
        if (digit < 0)
            return broken(r, "an unknown escape");
        c = 16 * c + (uint32_t)digit;
        r->at++;
    }
    if (c == 0)
        return broken(r, "the character U+0000 in a string");
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    if (c < 0x80) {
        *(*to)++ = (char)c;
    } else if (c < 0x800) {
        *(*to)++ = (char)(0xc0 | c >> 6);
        *(*to)++ = (char)(0x80 | (c & 0x3f));
    } else {
        *(*to)++ = (char)(0xe0 | c >> 12);
        *(*to)++ = (char)(0x80 | (c >> 6 & 0x3f));
        *(*to)++ = (char)(0x80 | (c & 0x3f));
    }
    return true;
}

/* From its quote; decoded over its own text, for no escape grows. */
static bool read_string(reader *r, const char **out)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char *start = ++r->at, *to = start;
    while (*r->at != '"') {
        if ((unsigned char)*r->at < 0x20)
            return broken(r, r->at == r->end ? "a string has no end" : "a control character in a string");
        if (*r->at != '\\') {
            *to++ = *r->at++;
            continue;
        }
        char escape = *++r->at;
        const char *known = escape ? strchr(names, escape) : NULL;
        if (known) {
            *to++ = meant[known - names];
            r->at++;
        } else if (escape != 'u') {
            return broken(r, "an unknown escape");
        } else {
            r->at++;
            if (!read_unicode(r, &to))
                return false;
        }
    }
    r->at++;
    *to = 0;
    *out = start;
    return true;
}

static bool read_number(reader *r, double *out)
{
    size_t n = strspn(r->at, "+-.0123456789eE");
    char *end;
    *out = strtod(r->at, &end);
    if (n == 0 || n > 64 || end != r->at + n || *r->at == '+' || *r->at == '.' || !isfinite(*out))
        return broken(r, "a value is expected");
    r->at = end;
    return true;
}

static bool read_value(reader *r, const char *key, int depth);

static bool read_group(reader *r, int index, int depth)
{
    bool object = *r->at++ == '{';
    char close = object ? '}' : ']', c = ',';
    if (depth == DEEPEST)
        return broken(r, "it is nested too deeply");
    skip_space(r);
    if (*r->at == close) {
        r->at++;
        c = close;
    }
    while (c == ',') {
        const char *key = NULL;
        skip_space(r);
        if (object) {
            if (*r->at != '"')
                return broken(r, "a key is expected");
            if (!read_string(r, &key))
                return false;
            skip_space(r);
            if (*r->at != ':')
                return broken(r, "a colon is expected");
            r->at++;
        }
        if (!read_value(r, key, depth + 1))
            return false;
        skip_space(r);
        c = *r->at;
        if (c != ',' && c != close)
            return broken(r, "a comma or the end of a list or object is expected");
        r->at++;
    }
    json_value *v = &r->doc->value[index];
    v->kind = object ? JSON_OBJECT : JSON_ARRAY;
    v->span = r->doc->n - index;
    return true;
}

static bool read_word(reader *r, json_value *v)
{
    static const char *const words[] = {"null", "false", "true"};
    for (int i = 0; i < 3; i++)
        if (!strncmp(r->at, words[i], strlen(words[i]))) {
            r->at += strlen(words[i]);
            v->kind = i ? JSON_BOOL : JSON_NULL;
            v->number = i == 2;
            return true;
        }
    v->kind = JSON_NUMBER;
    return read_number(r, &v->number);
}

static bool read_value(reader *r, const char *key, int depth)
{
    int index = r->doc->n;
    json_value *v = add_value(r, key);
    if (!v)
        return false;
    skip_space(r);
    if (*r->at == '{' || *r->at == '[')
        return read_group(r, index, depth);
    if (*r->at != '"')
        return read_word(r, v);
    v->kind = JSON_TEXT;
    return read_string(r, &v->text);
}

/* The whole file with a NUL behind it; NULL with errno set. */
static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0, cap = 0;
    if (!f)
        return NULL;
    while (!feof(f) && !ferror(f)) {
        if (n + 1 >= cap) {
            cap = cap ? 2 * cap : 1 << 16;
            char *grown = cap <= MOST_BYTES ? realloc(text, cap) : NULL;
            if (!grown) {
                errno = cap <= MOST_BYTES ? ENOMEM : EFBIG;
                break;
            }
            text = grown;
        }
        errno = 0;
        n += fread(text + n, 1, cap - n - 1, f);
    }
    bool good = feof(f) && !ferror(f);
    int error = errno ? errno : EIO;
    fclose(f);
    if (!good) {
        free(text);
        errno = error;
        return NULL;
    }
    text[n] = 0;
    *size = n;
    return text;
}

int json_read(const char *command, const char *path, json_doc *out)
{
    size_t size = 0;
    json_doc d = {.text = read_file(path, &size)};
    if (!d.text)
        return cli_error(CLI_FAILED, "%s: cannot read %s: %s", command, path, strerror(errno));
    reader r = {.doc = &d, .at = d.text, .end = d.text + size};
    bool good = read_value(&r, NULL, 0);
    skip_space(&r);
    if (good && r.at != r.end)
        good = broken(&r, "something follows the value");
    if (!good) {
        size_t at = (size_t)(r.at - d.text);
        json_finish(&d);
        return cli_error(CLI_FAILED, "%s: %s is no JSON document: byte %zu of %zu: %s", command, path, at, size, r.problem);
    }
    *out = d;
    return CLI_OK;
}

void json_finish(json_doc *d)
{
    free(d->value);
    free(d->text);
    *d = (json_doc){.n = 0};
}

const json_value *json_first(const json_value *of)
{
    return of && (of->kind == JSON_OBJECT || of->kind == JSON_ARRAY) && of->span > 1 ? of + 1 : NULL;
}

const json_value *json_next(const json_value *of, const json_value *v)
{
    const json_value *next = v + v->span;
    return next < of + of->span ? next : NULL;
}

const json_value *json_get(const json_value *object, const char *key)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (const json_value *v = json_first(object); v; v = json_next(object, v))
        if (!strcmp(v->key, key))
            return v;
    return NULL;
}

double json_number(const json_value *object, const char *key, double otherwise)
{
    const json_value *v = json_get(object, key);
    return v && v->kind == JSON_NUMBER ? v->number : otherwise;
}

const char *json_string(const json_value *object, const char *key)
{
    const json_value *v = json_get(object, key);
    return v && v->kind == JSON_TEXT ? v->text : NULL;
}
