/* Results of tern bench: what follows from them, and the tables that show one device or compare several. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_copy(char *to, size_t size, const char *from)
{
    size_t at = 0;
    for (const unsigned char *s = (const unsigned char *)(from ? from : ""); *s;) {
        int n = json_utf8_length(s);
        bool plain = n > 1 || (n == 1 && *s >= 0x20 && *s != 0x7f);
        if (at + (size_t)(plain ? n : 1) >= size)
            break;
        memcpy(to + at, plain ? (const char *)s : "?", (size_t)(plain ? n : 1));
        at += (size_t)(plain ? n : 1);
        s += n ? n : 1;
    }
    to[at] = 0;
}

bench_result *bench_set_add(bench_set *s)
{
    if (s->n == s->cap) {
        int cap = s->cap ? 2 * s->cap : 32;
        bench_result *grown = realloc(s->result, (size_t)cap * sizeof *grown);
        if (!grown) {
            cli_error(CLI_FAILED, "bench: out of memory for %d results", cap);
            return NULL;
        }
        s->result = grown;
        s->cap = cap;
    }
    s->result[s->n] = (bench_result){.n_groups = 0};
    return &s->result[s->n++];
}

void bench_set_finish(bench_set *s)
{
    free(s->result);
    *s = (bench_set){.n = 0};
}

const bench_result *bench_find(const bench_set *s, const char *problem, const char *dtype)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->result[i].problem, problem) && !strcmp(s->result[i].dtype, dtype))
            return *s->result[i].error ? NULL : &s->result[i];
    return NULL;
}

/* Whether another set before this one has the same label. */
static bool label_taken(const bench_set *sets, int i)
{
    for (int k = 0; k < i; k++)
        if (!strcmp(sets[k].label, sets[i].label))
            return true;
    return false;
}

void bench_label(bench_set *sets, int n)
{
    for (int i = 0; i < n; i++) {
        bool twin = false;
        for (int k = 0; k < n; k++)
            twin = twin || (k != i && !strcmp(sets[k].device, sets[i].device));
        snprintf(sets[i].label, sizeof sets[i].label, twin ? "%s, %.40s" : "%s", *sets[i].device ? sets[i].device : "?", sets[i].driver);
        size_t at = strlen(sets[i].label);
        for (int k = 2; label_taken(sets, i); k++)
            snprintf(sets[i].label + at, sizeof sets[i].label - at, " (%d)", k);
    }
}

bench_rates bench_rate(const bench_set *s, const bench_result *r)
{
    bench_rates x = {0};
    if (r->median_us <= 0 || (r->flops <= 0 && r->bytes <= 0))
        return x;
    x.known = true;
    x.gflops = r->flops / r->median_us * 1e-3;
    x.gbytes_per_s = r->bytes / r->median_us * 1e-3;
    x.intensity = r->bytes > 0 ? r->flops / r->bytes : 0;
    if (s->peak_gflops <= 0 || s->peak_gbytes <= 0)
        return x;
    x.of_compute = x.gflops / s->peak_gflops;
    x.of_memory = x.gbytes_per_s / s->peak_gbytes;
    x.memory_bound = x.intensity * s->peak_gbytes < s->peak_gflops;
    x.of_roof = x.memory_bound ? x.of_memory : x.of_compute;
    return x;
}

const char *bench_time(double us, char buf[24])
{
    static const char *const unit[] = {"us", "ms", "s"};
    int u = 0;
    while (us >= 999.5 && u < 2) {
        us /= 1000;
        u++;
    }
    snprintf(buf, 24, us < 9.995 ? "%.2f %s" : us < 99.95 ? "%.1f %s" : "%.0f %s", us, unit[u]);
    return buf;
}

static bool has_row(const bench_row *rows, int n, const bench_result *r)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(rows[i].problem, r->problem) && !strcmp(rows[i].dtype, r->dtype))
            return true;
    return false;
}

bench_row *bench_rows(const bench_set *sets, int n, int *n_rows)
{
    size_t most = 0;
    for (int i = 0; i < n; i++)
        most += (size_t)sets[i].n;
    bench_row *rows = cli_alloc(most, sizeof *rows);
    *n_rows = 0;
    for (int i = 0; rows && i < n; i++)
        for (int k = 0; k < sets[i].n; k++) {
            const bench_result *r = &sets[i].result[k];
            if (!has_row(rows, *n_rows, r))
                rows[(*n_rows)++] = (bench_row){r->problem, r->name, r->dtype};
        }
    return rows;
}

double bench_mean_ratio(const bench_set *a, const bench_set *b, int *n_shared)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < a->n; i++) {
        const bench_result *x = bench_find(a, a->result[i].problem, a->result[i].dtype);
        const bench_result *y = bench_find(b, a->result[i].problem, a->result[i].dtype);
        if (x && y && x->median_us > 0 && y->median_us > 0) {
            sum += log(x->median_us / y->median_us);
            n++;
        }
    }
    if (n_shared)
        *n_shared = n;
    return n ? exp(sum / n) : 0;
}

/* --- One device --- */

static int widest(const bench_row *rows, int n)
{
    int width = 8;
    for (int i = 0; i < n; i++) {
        int w = (int)strlen(rows[i].problem);
        width = w > width ? w : width;
    }
    return width < 64 ? width : 64;
}

static void print_result(const bench_set *s, const bench_result *r, int width)
{
    char a[24], b[24], c[24];
    printf("%-*s ", width, r->problem);
    if (*r->error) {
        printf("failed: %s\n", r->error);
        return;
    }
    bench_rates x = bench_rate(s, r);
    if (!x.known) {
        printf("%9s %9s %9s %8s %8s %8s %8s  %-7s %s\n", bench_time(r->median_us, a), bench_time(r->min_us, b), bench_time(r->p90_us, c), "-", "-", "-",
               "-", "-", r->impl);
        return;
    }
    printf("%9s %9s %9s %8.1f %8.1f %6.0f %% %6.0f %%  %-7s %s\n", bench_time(r->median_us, a), bench_time(r->min_us, b), bench_time(r->p90_us, c), x.gflops,
           x.gbytes_per_s, 100 * x.of_compute, 100 * x.of_memory, x.memory_bound ? "memory" : "compute", r->impl);
}

int bench_print(const bench_set *s)
{
    int n;
    bench_row *rows = bench_rows(s, 1, &n);
    if (!rows)
        return CLI_FAILED;
    printf("%s, driver %s: measured peaks %.1f GFLOPS and %.1f GB/s; ", s->device, s->driver, s->peak_gflops, s->peak_gbytes);
    printf("memory-bound below %.1f operations a byte\n\n", s->peak_gbytes > 0 ? s->peak_gflops / s->peak_gbytes : 0.0);
    int width = widest(rows, n);
    printf("%-*s %9s %9s %9s %8s %8s %8s %8s  %-7s %s\n", width, "problem", "median", "min", "p90", "GFLOPS", "GB/s", "compute", "memory", "bound", "kernels");
    for (int i = 0; i < s->n; i++)
        print_result(s, &s->result[i], width);
    free(rows);
    return CLI_OK;
}

/* --- Several --- */

static void print_row(const bench_set *sets, int n, const bench_row *row, int width)
{
    char a[24];
    const bench_result *first = bench_find(&sets[0], row->problem, row->dtype);
    printf("%-*s", width, row->problem);
    for (int i = 0; i < n; i++) {
        const bench_result *r = bench_find(&sets[i], row->problem, row->dtype);
        if (!r) {
            printf(" %9s %8s %6s %6s", "-", "", "", "");
            continue;
        }
        bench_rates x = bench_rate(&sets[i], r);
        if (x.known)
            printf(" %9s %8.1f %4.0f %% ", bench_time(r->median_us, a), x.gflops, 100 * x.of_roof);
        else
            printf(" %9s %8s %6s ", bench_time(r->median_us, a), "-", "-");
        if (first && i)
            printf("%6.2f", first->median_us / r->median_us);
        else
            printf("%6s", "");
    }
    putchar('\n');
}

int bench_print_comparison(const bench_set *sets, int n)
{
    int n_rows;
    bench_row *rows = bench_rows(sets, n, &n_rows);
    if (!rows)
        return CLI_FAILED;
    for (int i = 0; i < n; i++) {
        int shared;
        double mean = bench_mean_ratio(&sets[0], &sets[i], &shared);
        printf("%c  %s, %s%s%s%s: %.1f GFLOPS, %.1f GB/s", 'A' + i, sets[i].device, *sets[i].driver ? "driver " : "", sets[i].driver,
               *sets[i].driver ? ", " : "", sets[i].date, sets[i].peak_gflops, sets[i].peak_gbytes);
        if (i && shared)
            printf("; %.2f times as fast as A (geometric mean of %d)", mean, shared);
        putchar('\n');
    }
    int width = widest(rows, n_rows);
    printf("\n%-*s", width, "problem");
    for (int i = 0; i < n; i++)
        printf(" %7s %c %8s %6s %6s", "time", 'A' + i, "GFLOPS", "roof", i ? "to A" : "");
    putchar('\n');
    for (int i = 0; i < n_rows; i++)
        print_row(sets, n, &rows[i], width);
    free(rows);
    return CLI_OK;
}

static void json_cell(cli_json *j, const bench_set *sets, int i, const bench_row *row)
{
    const bench_result *r = bench_find(&sets[i], row->problem, row->dtype), *first = bench_find(&sets[0], row->problem, row->dtype);
    json_object(j, NULL);
    json_text(j, "device", sets[i].label);
    json_real(j, "median_us", r ? r->median_us : (double)NAN);
    bool known = r && bench_rate(&sets[i], r).known;
    json_real(j, "gflops", known ? bench_rate(&sets[i], r).gflops : (double)NAN);
    json_real(j, "share_of_roof", known ? bench_rate(&sets[i], r).of_roof : (double)NAN);
    json_real(j, "ratio", r && first ? first->median_us / r->median_us : (double)NAN);
    json_close(j);
}

int bench_json_comparison(const bench_set *sets, int n)
{
    int n_rows;
    bench_row *rows = bench_rows(sets, n, &n_rows);
    if (!rows)
        return CLI_FAILED;
    cli_json j;
    json_begin(&j, stdout);
    json_array(&j, "devices");
    for (int i = 0; i < n; i++) {
        json_object(&j, NULL);
        json_text(&j, "label", sets[i].label);
        json_text(&j, "driver", sets[i].driver);
        json_text(&j, "date", sets[i].date);
        json_real(&j, "gflops", sets[i].peak_gflops);
        json_real(&j, "gbytes_per_s", sets[i].peak_gbytes);
        double mean = bench_mean_ratio(&sets[0], &sets[i], NULL);
        json_real(&j, "mean_ratio", mean > 0 ? mean : (double)NAN);
        json_close(&j);
    }
    json_close(&j);
    json_array(&j, "problems");
    for (int i = 0; i < n_rows; i++) {
        json_object(&j, NULL);
        json_text(&j, "problem", rows[i].problem);
        json_text(&j, "dtype", rows[i].dtype);
        json_array(&j, "results");
        for (int k = 0; k < n; k++)
            json_cell(&j, sets, k, &rows[i]);
        json_close(&j);
        json_close(&j);
    }
    json_close(&j);
    json_end(&j);
    free(rows);
    return CLI_OK;
}
