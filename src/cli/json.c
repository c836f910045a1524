/* A JSON writer that keeps the commas and quotes right, and the objects that several commands print. */
#include "cli.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A file name may hold any bytes, a JSON document may not. */
int json_utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
        return 0;
    return n;
}

static void quoted(FILE *to, const char *text)
{
    fputc('"', to);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = json_utf8_length(s);
        if (*s == '"' || *s == '\\')
            fprintf(to, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", to);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(to, "\\u%04x", *s);
        else if (n)
            fwrite(s, 1, (size_t)n, to);
        else
            fputs("\\ufffd", to);
        s += n ? n : 1;
    }
    fputc('"', to);
}

/* Comma, line and key before whatever comes next. */
static void next(cli_json *j, const char *key)
{
    assert((key == NULL) == j->in_array[j->depth]);
    fprintf(j->to, "%s\n%*s", j->used[j->depth] ? "," : "", 2 * (j->depth + 1), "");
    j->used[j->depth] = true;
    if (key) {
        quoted(j->to, key);
        fputs(": ", j->to);
    }
}

static void open_level(cli_json *j, const char *key, bool array)
{
    assert(j->depth + 1 < (int)(sizeof j->used));
    next(j, key);
    fputc(array ? '[' : '{', j->to);
    j->depth++;
    j->used[j->depth] = false;
    j->in_array[j->depth] = array;
}

void json_begin(cli_json *j, FILE *to)
{
    *j = (cli_json){.to = to};
    fputc('{', to);
}

void json_end(cli_json *j)
{
    assert(j->depth == 0);
    fputs(j->used[0] ? "\n}\n" : "}\n", j->to);
}

void json_object(cli_json *j, const char *key) { open_level(j, key, false); }
void json_array(cli_json *j, const char *key) { open_level(j, key, true); }

void json_close(cli_json *j)
{
    assert(j->depth > 0);
    bool used = j->used[j->depth], array = j->in_array[j->depth];
    j->depth--;
    if (used)
        fprintf(j->to, "\n%*s", 2 * (j->depth + 1), "");
    fputc(array ? ']' : '}', j->to);
}

void json_text(cli_json *j, const char *key, const char *value)
{
    next(j, key);
    if (value)
        quoted(j->to, value);
    else
        fputs("null", j->to);
}

void json_int(cli_json *j, const char *key, int64_t value)
{
    next(j, key);
    fprintf(j->to, "%" PRId64, value);
}

void json_real(cli_json *j, const char *key, double value)
{
    next(j, key);
    if (isfinite(value))
        fprintf(j->to, "%.9g", value);
    else
        fputs("null", j->to);
}

void json_bool(cli_json *j, const char *key, bool value)
{
    next(j, key);
    fputs(value ? "true" : "false", j->to);
}

bool json_find_number(const char *document, const char *key, double *out)
{
    char wanted[80];
    int n = snprintf(wanted, sizeof wanted, "\"%s\": ", key);
    const char *at = n > 0 && n < (int)sizeof wanted ? strstr(document, wanted) : NULL;
    if (!at)
        return false;
    char *end;
    double x = strtod(at + n, &end);
    if (end == at + n)
        return false;
    *out = x;
    return true;
}

void json_shape(cli_json *j, const char *key, const tern_shape *s)
{
    json_array(j, key);
    for (int i = 0; i < s->rank; i++)
        json_int(j, NULL, s->dim[i]);
    json_close(j);
}

void json_device(cli_json *j, const char *key, const tern_device_info *d)
{
    static const char *const type[] = {"cpu", "gpu", "accelerator", "null"};
    json_object(j, key);
    json_int(j, "index", d->index);
    json_text(j, "name", d->name);
    json_text(j, "type", type[d->type]);
    json_text(j, "vendor", d->vendor);
    json_text(j, "platform", d->platform);
    json_text(j, "version", d->version);
    json_text(j, "driver", d->driver);
    json_int(j, "compute_units", d->compute_units);
    json_int(j, "clock_mhz", d->clock_mhz);
    json_int(j, "global_mem_bytes", (int64_t)d->global_mem_bytes);
    json_int(j, "max_alloc_bytes", (int64_t)d->max_alloc_bytes);
    json_int(j, "local_mem_bytes", (int64_t)d->local_mem_bytes);
    json_bool(j, "local_mem_dedicated", d->local_mem_dedicated);
    json_int(j, "cache_bytes", (int64_t)d->cache_bytes);
    json_int(j, "max_work_group", d->max_work_group);
    json_int(j, "base_align_bytes", d->base_align_bytes);
    json_int(j, "native_vector_f32", d->native_vector_f32);
    json_bool(j, "unified_memory", d->unified_memory);
    json_bool(j, "fp16", d->fp16);
    json_bool(j, "fp64", d->fp64);
    json_bool(j, "compiler", d->compiler);
    json_bool(j, "chosen", d->chosen);
    json_text(j, "why", d->why);
    json_array(j, "extensions");
    for (const char *s = d->extensions; *s; s += strspn(s, " ")) {
        char word[128];
        size_t n = strcspn(s, " ");
        if (n) {
            snprintf(word, sizeof word, "%.*s", (int)n, s);
            json_text(j, NULL, word);
        }
        s += n;
    }
    json_close(j);
    json_close(j);
}

void json_plan(cli_json *j, const char *key, const tern_plan_info *p)
{
    json_object(j, key);
    json_int(j, "nodes", p->n_nodes);
    json_int(j, "groups", p->n_groups);
    json_int(j, "kernels", p->n_kernels);
    json_int(j, "launches", p->n_launches);
    json_int(j, "programs", p->n_programs);
    json_int(j, "programs_from_cache", p->n_programs_cached);
    json_int(j, "bytes_unfused", p->bytes_unfused);
    json_int(j, "bytes_fused", p->bytes_fused);
    json_int(j, "bytes_bound", p->bytes_bound);
    json_int(j, "bytes_lower", p->bytes_lower);
    json_int(j, "flops", p->flops);
    json_int(j, "tuned", p->n_tuned);
    json_int(j, "arena_bytes", p->arena_bytes);
    json_int(j, "arena_lower_bytes", p->arena_lower_bytes);
    json_int(j, "constant_bytes", p->constant_bytes);
    json_int(j, "variable_bytes", p->variable_bytes);
    json_real(j, "compile_s", p->compile_s);
    json_real(j, "build_s", p->build_s);
    json_close(j);
}
