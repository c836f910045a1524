/* The demo's page: one HTML file with everything inside, written to a temporary name and renamed. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"
#include "style.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_WORST = 24 };

void html_text(FILE *to, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        default: fputc(*text, to);
        }
}

/* A whole number in groups of three. */
static const char *grouped(double x, char buf[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%.0f", x), at = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-')
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}

static void tile(FILE *to, const char *label, const char *fmt, ...) TERN_PRINTF(3, 4);
static void tile(FILE *to, const char *label, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("<div class=\"tile\"><b>", to);
    vfprintf(to, fmt, ap);
    fprintf(to, "</b><span>%s</span></div>\n", label);
    va_end(ap);
}

static void write_head(FILE *to, const report_data *r)
{
    char a[32], b[32];
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>", to);
    html_text(to, r->title);
    fprintf(to, "</title>\n<style>\n%s</style></head>\n<body><main>\n<header><h1>", report_style);
    html_text(to, r->title);
    fprintf(to, "</h1>\n<p>A convolutional network (%s parameters) trained from nothing on %s images by Tern %s on ", grouped((double)r->training->n_parameters, a),
            grouped((double)r->training->n_images / (double)r->fit->epochs, b), tern_version());
    html_text(to, r->device->name);
    fputs(", saved, then loaded in a fresh process which classified the test images with the fused inference plan.</p>\n", to);
    double unfused = r->training->plan.bytes_unfused ? (double)r->training->plan.bytes_unfused : 1;
    fputs("<div class=\"tiles\">\n", to);
    tile(to, "right answers on the test images", "%.2f %%", 100.0 * (double)r->answers->n_right / (double)r->answers->n);
    tile(to, "of training", "%.1f s", r->training->train_s);
    tile(to, "images a second in training", "%s", grouped(r->training->images_per_s, a));
    tile(to, "images a second classified", "%s", grouped(r->answers->images_per_s, a));
    tile(to, "of the unfused step's memory traffic is left", "%.0f %%", 100 * (double)r->training->plan.bytes_fused / unfused);
    fputs("</div></header>\n", to);
}

/* Running mean over a few looks, because one batch says little. */
static void smooth(const fit_point *p, int n, double *x, double *loss, double *accuracy)
{
    const int reach = 4;
    for (int i = 0; i < n; i++) {
        double l = 0, a = 0;
        int from = i < reach ? 0 : i - reach, used = 0;
        for (int k = from; k <= i + reach && k < n; k++, used++) {
            l += p[k].loss;
            a += p[k].accuracy;
        }
        x[i] = p[i].epoch;
        loss[i] = l / used;
        accuracy[i] = a / used;
    }
}

static void write_curves(FILE *to, const report_data *r)
{
    const fit_result *t = r->training;
    size_t n = (size_t)t->n_steps, m = (size_t)t->n_epochs;
    double *v = malloc((3 * n + 3 * m + 1) * sizeof *v);
    if (!v)
        return;
    double *x = v, *loss = x + n, *acc = loss + n, *ex = acc + n, *eloss = ex + m, *eacc = eloss + m;
    double top = 0, floor_acc = 1;
    smooth(t->steps, t->n_steps, x, loss, acc);
    for (size_t i = 0; i < n; i++)
        top = fmax(top, loss[i]);
    for (size_t i = 0; i < m; i++) {
        ex[i] = t->epochs[i].epoch;
        eloss[i] = t->epochs[i].loss;
        eacc[i] = t->epochs[i].accuracy;
        floor_acc = fmin(floor_acc, eacc[i]);
    }
    floor_acc = fmax(0, floor(floor_acc * 10 - 2) / 10);
    svg_series losses[] = {{"training batches", "ca", x, loss, (int)n, false}, {"test set", "cb", ex, eloss, (int)m, true}};
    svg_series accuracies[] = {{"training batches", "ca", x, acc, (int)n, false}, {"test set", "cb", ex, eacc, (int)m, true}};
    svg_chart loss_chart = {"Loss", "epoch", losses, 2, 0, fmin(top, 1.2), (double)r->fit->epochs, false};
    svg_chart acc_chart = {"Accuracy", "epoch", accuracies, 2, floor_acc, 1, (double)r->fit->epochs, true};
    fprintf(to, "<section><h2>Training</h2>\n<p>%lld epoch%s in batches of %lld with %s, learning rate %g%s%s, seed %llu. "
                "Curves of the training batches are running means.</p>\n<div class=\"pair\">\n",
            (long long)r->fit->epochs, r->fit->epochs == 1 ? "" : "s", (long long)r->fit->batch, r->fit->optimizer, r->fit->lr, r->fit->cosine ? " falling along a half cosine" : "",
            r->fit->augment ? ", half of the images mirrored" : "", (unsigned long long)r->fit->seed);
    svg_chart_write(to, &loss_chart);
    svg_chart_write(to, &acc_chart);
    fputs("</div></section>\n", to);
    free(v);
}

/* n of a row's total. Mistakes are few, so their shade grows faster. */
static void write_cell(FILE *to, int n, int total, bool hit)
{
    double share = total ? (double)n / total : 0;
    if (n)
        fprintf(to, "<td class=\"%s\" style=\"--w:%.2f\">%d</td>", hit ? "hit" : "miss", hit ? 0.08 + 0.6 * share : fmin(0.85, sqrt(share) * 1.6), n);
    else
        fputs("<td class=\"zero\">0</td>", to);
}

static void write_confusion(FILE *to, const report_data *r)
{
    int64_t k = r->answers->n_classes;
    int *count = calloc((size_t)(k * k), sizeof *count);
    if (!count)
        return;
    for (int64_t i = 0; i < r->answers->n; i++)
        count[r->test->labels[i] * k + r->answers->answer[i]]++;
    fputs("<section><h2>Confusion</h2>\n<p>Rows are what an image shows, columns what the network said; the last column is the share it got right.</p>\n"
          "<div class=\"card\"><table class=\"confusion\"><thead><tr><th></th>", to);
    for (int64_t c = 0; c < k; c++) {
        fputs("<th scope=\"col\"><span>", to);
        html_text(to, r->test->class_names[c]);
        fputs("</span></th>", to);
    }
    fputs("<th scope=\"col\"><span>right</span></th></tr></thead><tbody>\n", to);
    for (int64_t row = 0; row < k; row++) {
        int total = 0;
        for (int64_t c = 0; c < k; c++)
            total += count[row * k + c];
        fputs("<tr><th scope=\"row\">", to);
        html_text(to, r->test->class_names[row]);
        fputs("</th>", to);
        for (int64_t c = 0; c < k; c++)
            write_cell(to, count[row * k + c], total, row == c);
        fprintf(to, "<td class=\"share\">%.1f&#8239;%%</td></tr>\n", total ? 100.0 * count[row * k + row] / total : 0.0);
    }
    fputs("</tbody></table></div></section>\n", to);
    free(count);
}

typedef struct mistake {
    int64_t index;
    float sure; /* how sure the network was of the wrong answer */
} mistake;

static int surest_first(const void *a, const void *b)
{
    const mistake *x = a, *y = b;
    return x->sure != y->sure ? (x->sure < y->sure) - (x->sure > y->sure) : (x->index > y->index) - (x->index < y->index);
}

static void write_mistakes(FILE *to, const report_data *r)
{
    const classify_result *a = r->answers;
    const tern_dataset *t = r->test;
    mistake *m = malloc(((size_t)(a->n - a->n_right) + 1) * sizeof *m);
    int64_t n = 0, size = t->channels * t->height * t->width;
    if (!m)
        return;
    for (int64_t i = 0; i < a->n; i++)
        if (a->answer[i] != t->labels[i])
            m[n++] = (mistake){i, a->probability[i * a->n_classes + a->answer[i]]};
    qsort(m, (size_t)n, sizeof *m, surest_first);
    fprintf(to, "<section><h2>The worst mistakes</h2>\n<p>Of the %lld test images it got wrong, those where it was surest.</p>\n<div class=\"wrong\">\n", (long long)n);
    for (int64_t i = 0; i < n && i < N_WORST; i++) {
        int64_t at = m[i].index;
        fputs("<div><img alt=\"\" src=\"", to);
        png_write_uri(to, t->images + at * size, (int)t->width, (int)t->height, true);
        fputs("\"><em>", to);
        html_text(to, t->class_names[a->answer[at]]);
        fprintf(to, "</em> %.1f&#8239;%%<br>is ", 100 * (double)m[i].sure);
        html_text(to, t->class_names[t->labels[at]]);
        fprintf(to, "<small>test image %lld</small></div>\n", (long long)at);
    }
    fputs("</div></section>\n", to);
    free(m);
}

/* "conv+add+relu"; of a long list the beginning, with all of it in a tooltip. */
static void write_ops(FILE *to, const char *ops)
{
    enum { SHOWN = 4 };
    int n = 1, left = SHOWN;
    const char *cut = ops;
    for (const char *s = ops; *s; s++)
        n += *s == '+';
    while (n > SHOWN + 1 && *cut && (*cut != '+' || --left > 0))
        cut++;
    if (n <= SHOWN + 1) {
        html_text(to, ops);
        return;
    }
    char head[160];
    snprintf(head, sizeof head, "%.*s", (int)(cut - ops), ops);
    fputs("<span title=\"", to);
    html_text(to, ops);
    fputs("\">", to);
    html_text(to, head);
    fprintf(to, " and %d more</span>", n - SHOWN);
}

static void write_row(FILE *to, const char *name, const char *ops, double before, double after, double scale)
{
    char a[24], b[24];
    fputs("<tr><td class=\"ops\">", to);
    write_ops(to, ops);
    fputs("<small>", to);
    html_text(to, name);
    fprintf(to, "</small></td><td class=\"bars\"><div class=\"bar before cb\" style=\"width:%.1f%%\"></div><div class=\"bar ca\" style=\"width:%.1f%%\"></div></td>"
                "<td class=\"num\">%s</td><td class=\"num\">%s</td></tr>\n",
            100 * before / scale, 100 * after / scale, cli_bytes(before, a), cli_bytes(after, b));
}

static int most_traffic_first(const void *a, const void *b)
{
    const fit_group *x = a, *y = b;
    int64_t p = x->bytes_unfused > x->bytes_fused ? x->bytes_unfused : x->bytes_fused;
    int64_t q = y->bytes_unfused > y->bytes_fused ? y->bytes_unfused : y->bytes_fused;
    return (p < q) - (p > q);
}

static void write_rows(FILE *to, const fit_group *g, int from, int until, double scale)
{
    fputs("<table class=\"ledger\"><thead><tr><th>ops in the group</th><th>bytes</th><th class=\"num\">unfused</th><th class=\"num\">fused</th></tr></thead><tbody>\n", to);
    for (int i = from; i < until; i++)
        write_row(to, g[i].name, g[i].ops, (double)g[i].bytes_unfused, (double)g[i].bytes_fused, scale);
    fputs("</tbody></table>\n", to);
}

static void write_ledger(FILE *to, const char *title, const tern_plan_info *p, const fit_group *groups, int n)
{
    enum { SHOWN = 14 };
    char a[24], b[24], c[24];
    fit_group *g = malloc(((size_t)n + 1) * sizeof *g);
    if (!g)
        return;
    memcpy(g, groups, (size_t)n * sizeof *g);
    qsort(g, (size_t)n, sizeof *g, most_traffic_first);
    double scale = n ? fmax(fmax((double)g[0].bytes_unfused, (double)g[0].bytes_fused), 1) : 1;
    fprintf(to, "<div class=\"card\" style=\"margin-bottom:16px\"><figcaption>%s<span class=\"legend\"><span class=\"cb\" style=\"opacity:.6\"><i class=\"key\"></i>unfused %s</span>"
                "<span class=\"ca\"><i class=\"key\"></i>fused %s</span><span>lower bound %s</span></span></figcaption>\n",
            title, cli_bytes((double)p->bytes_unfused, a), cli_bytes((double)p->bytes_fused, b), cli_bytes((double)p->bytes_lower, c));
    fprintf(to, "<p>%d ops became %d launches. Intermediates peak at %s; the least that any order of these launches needs is %s.</p>\n", p->n_nodes, p->n_launches,
            cli_bytes((double)p->arena_bytes, a), cli_bytes((double)p->arena_lower_bytes, b));
    write_rows(to, g, 0, n < SHOWN ? n : SHOWN, scale);
    if (n > SHOWN) {
        fprintf(to, "<details><summary>%d smaller groups</summary>\n", n - SHOWN);
        write_rows(to, g, SHOWN, n, scale);
        fputs("</details>\n", to);
    }
    fputs("</div>\n", to);
    free(g);
}

static void write_traffic(FILE *to, const report_data *r)
{
    fputs("<section><h2>Memory traffic</h2>\n<p>On every device the bytes a network moves cost more than its arithmetic. Each row is one group of ops that runs as one "
          "piece: what its ops would move one by one, and what the group moves.</p>\n", to);
    write_ledger(to, "One training step: forward, backward, update", &r->training->plan, r->training->groups, r->training->n_groups);
    write_ledger(to, "One inference batch", r->inference, r->inference_groups, r->n_inference_groups);
    fputs("</section>\n", to);
}

static void fact(FILE *to, const char *name, const char *fmt, ...) TERN_PRINTF(3, 4);
static void fact(FILE *to, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(to, "<dt>%s</dt><dd>", name);
    html_text(to, text);
    fputs("</dd>\n", to);
}

static void write_device(FILE *to, const report_data *r)
{
    const tern_device_info *d = r->device;
    char a[24], b[24], c[24];
    fputs("<section><h2>Device</h2>\n<div class=\"card\"><dl class=\"facts\">\n", to);
    fact(to, "Name", "%s", d->name);
    fact(to, "Platform", "%s, %s", d->platform, d->vendor);
    fact(to, "Driver", "%s, %s", d->version, d->driver);
    fact(to, "Compute units", "%u%s", d->compute_units, d->unified_memory ? ", memory shared with the host" : "");
    fact(to, "Float vector", "%u wide", d->native_vector_f32);
    fact(to, "Memory", "%s, single allocation to %s, local %s", cli_bytes((double)d->global_mem_bytes, a), cli_bytes((double)d->max_alloc_bytes, b),
         cli_bytes((double)d->local_mem_bytes, c));
    fact(to, "Choice", "%s", d->why);
    fact(to, "Fresh process", "session ready in %.0f ms, first batch %.0f ms", r->answers->ready_s * 1e3, r->answers->first_s * 1e3);
    fact(to, "Whole demo", "%.1f s", r->total_s);
    fputs("</dl></div></section>\n", to);
}

static void write_page(FILE *to, const void *data)
{
    const report_data *r = data;
    write_head(to, r);
    write_curves(to, r);
    write_confusion(to, r);
    write_mistakes(to, r);
    write_traffic(to, r);
    write_device(to, r);
    fprintf(to, "<footer>Written by tern demo, Tern %s.</footer>\n</main></body></html>\n", tern_version());
}

int page_write(const char *path, void (*write)(FILE *to, const void *data), const void *data)
{
    char temp[4096];
    if (snprintf(temp, sizeof temp, "%s.%ld.part", path, (long)getpid()) >= (int)sizeof temp)
        return cli_error(CLI_FAILED, "the report's name is too long: %s", path);
    FILE *to = fopen(temp, "wb");
    if (!to)
        return cli_error(CLI_FAILED, "cannot write the report %s: %s", path, strerror(errno));
    write(to, data);
    bool good = !ferror(to);
    good = fclose(to) == 0 && good;
    if (good && rename(temp, path) == 0)
        return CLI_OK;
    int error = errno;
    remove(temp);
    return cli_error(CLI_FAILED, "cannot write the report %s: %s", path, strerror(error));
}

int report_write(const char *path, const report_data *r)
{
    return page_write(path, write_page, r);
}
