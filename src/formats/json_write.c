/* JSON text that reads back exactly. */
#include "formats/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool tern__json_add_string(tern__str *s, const char *text)
{
    for (const char *p = text; *p;) {
        int n = tern__utf8_length((const unsigned char *)p);
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

