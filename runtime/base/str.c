/* A growing text with a latched failure, and float literals that survive the trip. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

/* Room for n more bytes and the NUL. */
static bool reserve(tern__str *b, size_t n)
{
    size_t need;
    if (b->failed)
        return false;
    if (!tern__add_size(b->len, n, &need) || !tern__add_size(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : 2 * cap;
    char *grown = tern__realloc_array(b->s, cap, 1);
    if (!grown) {
        b->failed = true;
        return false;
    }
    b->s = grown;
    b->cap = cap;
    return true;
}

void tern__str_addn(tern__str *b, const char *text, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->s + b->len, text, n);
    b->len += n;
    b->s[b->len] = 0;
}

void tern__str_add(tern__str *b, const char *text) { tern__str_addn(b, text, strlen(text)); }

void tern__str_addv(tern__str *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof small, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        tern__str_addn(b, small, (size_t)n);
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void tern__str_addf(tern__str *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tern__str_addv(b, fmt, ap);
    va_end(ap);
}

const char *tern__str_text(const tern__str *b) { return b->s ? b->s : ""; }

void tern__str_clear(tern__str *b)
{
    b->len = 0;
    b->failed = false;
    if (b->s)
        b->s[0] = 0;
}

void tern__str_finish(tern__str *b)
{
    tern__free(b->s);
    *b = (tern__str){0};
}

void tern__str_add_f32(tern__str *b, double x)
{
    float f = (float)x;
    if (isnan(f)) {
        tern__str_add(b, "NAN");
        return;
    }
    if (isinf(f)) {
        tern__str_add(b, f < 0 ? "-INFINITY" : "INFINITY");
        return;
    }
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    /* The application's locale may write a decimal comma. */
    for (char *c = text; *c; c++)
        if (!strchr("0123456789+-e", *c))
            *c = '.';
    tern__str_add(b, text);
    tern__str_add(b, strpbrk(text, ".e") ? "f" : ".0f");
}
