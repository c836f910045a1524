/* The page of tern bench: rooflines and tables, one device or several side by side, one HTML file with everything inside. */
#include "bench.h"
#include "style.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Colours by device, shapes by kind of problem. */
static const char style[] =
    ":root{--s0:#0b6e8f;--s1:#d1603d;--s2:#4f8a2c;--s3:#8456b3;--s4:#a97a08;--s5:#c2417f;--s6:#4a6fd1;--s7:#6b6f76}\n"
    "@media(prefers-color-scheme:dark){:root{--s0:#4fb3d3;--s1:#f08a66;--s2:#94c75f;--s3:#b998e0;--s4:#e0b84a;--s5:#ef7fb0;--s6:#8aa6f5;--s7:#a9b0b8}}\n"
    ".s0{color:var(--s0)}.s1{color:var(--s1)}.s2{color:var(--s2)}.s3{color:var(--s3)}.s4{color:var(--s4)}.s5{color:var(--s5)}.s6{color:var(--s6)}.s7{color:var(--s7)}\n"
    "main{max-width:1180px}.roof{fill:none;stroke:currentColor;stroke-width:2.5;stroke-linejoin:round}.minor{stroke:var(--line);opacity:.45}\n"
    ".mark{fill:currentColor;fill-opacity:.75;stroke:var(--card);stroke-width:1.5}.mark:hover{fill-opacity:1;stroke:var(--ink)}svg text.value{fill:currentColor;font-weight:600}\n"
    "figure .legend{margin:0 0 10px}.legend svg{display:inline-block;width:13px;height:13px;vertical-align:-2px;margin-right:6px}.legend b{color:var(--ink);font-weight:600}\n"
    "@media(max-width:700px){.plot{min-width:640px}}\n"
    ".bench{min-width:720px}.bench td,.bench thead th{border-top:1px solid var(--line);vertical-align:top}.bench thead tr:first-child th{border-top:0;vertical-align:bottom}\n"
    ".bench .problem{overflow-wrap:anywhere;min-width:210px}.bench small{color:var(--soft);display:block;font-size:12px}.bench td.kind{padding-top:18px;font-weight:600;border-top:0}\n"
    ".meter{height:6px;border-radius:3px;background:var(--line);min-width:70px;margin-top:7px;overflow:hidden}.meter i{display:block;height:100%;background:currentColor;border-radius:3px}\n"
    ".up{background:rgba(var(--good),var(--w))}.down{background:rgba(var(--bad),var(--w))}.ratio{border-radius:4px;padding:1px 6px}.failed{color:var(--b)}\n";

enum { N_COLOURS = 8 };

static int colour(int i) { return i % N_COLOURS; }

/* --- Small pieces --- */

static void write_time(FILE *to, double us)
{
    char text[24];
    bench_time(us, text);
    char *unit = strchr(text, ' ');
    *unit++ = 0;
    fprintf(to, "%s&#8239;%s", text, !strcmp(unit, "us") ? "&#181;s" : unit);
}

/* Three digits, or all in front of the point. */
static const char *number(double x, char buf[24])
{
    snprintf(buf, 24, x < 9.995 ? "%.2f" : x < 99.95 ? "%.1f" : "%.0f", x);
    return buf;
}

static void tile(FILE *to, const char *value, const char *label)
{
    fputs("<div class=\"tile\"><b>", to);
    html_text(to, value);
    fputs("</b><span>", to);
    html_text(to, label);
    fputs("</span></div>\n", to);
}

/* The result of a row, failed or not; NULL: not there. */
static const bench_result *any_result(const bench_set *s, const bench_row *row)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->result[i].problem, row->problem) && !strcmp(s->result[i].dtype, row->dtype))
            return &s->result[i];
    return NULL;
}

/* "conv" of "conv:relu mb1...". */
static int kind_length(const char *problem)
{
    return (int)strcspn(problem, ": ");
}

/* --- Rooflines --- */

/* The drawing's own units; the page scales it. */
enum { WIDTH = 1100, HEIGHT = 520, LEFT = 62, RIGHT = 20, TOP = 14, BOTTOM = 46 };

typedef struct plane {
    double x0, x1, y0, y1; /* powers of ten at the edges */
} plane;

static double x_at(const plane *p, double x) { return LEFT + (log10(x) - p->x0) / (p->x1 - p->x0) * (WIDTH - LEFT - RIGHT); }
static double y_at(const plane *p, double y) { return HEIGHT - BOTTOM - (log10(y) - p->y0) / (p->y1 - p->y0) * (HEIGHT - TOP - BOTTOM); }

static void widen(double *lo, double *hi, double x)
{
    *lo = fmin(*lo, log10(x));
    *hi = fmax(*hi, log10(x));
}

static bool has_peaks(const bench_set *s)
{
    return s->peak_gflops > 0 && s->peak_gbytes > 0;
}

/* Room for every ridge and every mark. False: there is nothing to draw. */
static bool fit_plane(const bench_set *sets, int n, plane *p)
{
    *p = (plane){INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int i = 0; i < n; i++) {
        if (has_peaks(&sets[i])) {
            widen(&p->x0, &p->x1, sets[i].peak_gflops / sets[i].peak_gbytes);
            widen(&p->y0, &p->y1, sets[i].peak_gflops);
        }
        for (int k = 0; k < sets[i].n; k++) {
            bench_rates r = bench_rate(&sets[i], &sets[i].result[k]);
            if (r.gflops > 0 && r.intensity > 0) {
                widen(&p->x0, &p->x1, r.intensity);
                widen(&p->y0, &p->y1, r.gflops);
            }
        }
    }
    if (!(p->x0 <= p->x1 && p->y0 <= p->y1))
        return false;
    p->x0 = floor(p->x0 * 2 - 0.3) / 2; /* edges at halves of a power of ten */
    p->x1 = ceil(p->x1 * 2 + 0.3) / 2;
    p->y0 = floor(p->y0 * 2 - 0.2) / 2;
    p->y1 = ceil(p->y1 * 2 + 0.2) / 2;
    return true;
}

/* 0.01, 10, 1k, 1M. */
static void write_tick(FILE *to, double power)
{
    if (power >= 3)
        fprintf(to, "%g%s", pow(10, power - (power >= 6 ? 6 : 3)), power >= 6 ? "M" : "k");
    else
        fprintf(to, "%g", pow(10, power));
}

static void grid_line(FILE *to, const plane *p, bool vertical, double value, bool minor)
{
    const char *css = minor ? "minor" : "grid";
    if (vertical)
        fprintf(to, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", css, x_at(p, value), x_at(p, value), TOP, HEIGHT - BOTTOM);
    else
        fprintf(to, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", css, LEFT, WIDTH - RIGHT, y_at(p, value), y_at(p, value));
}

static void write_scale(FILE *to, const plane *p, bool vertical)
{
    double lo = vertical ? p->x0 : p->y0, hi = vertical ? p->x1 : p->y1;
    for (double power = floor(lo); power <= hi; power++) {
        for (int i = 2; i < 10; i++) {
            double value = i * pow(10, power);
            if (log10(value) >= lo && log10(value) <= hi)
                grid_line(to, p, vertical, value, true);
        }
        if (power < lo)
            continue;
        double value = pow(10, power);
        grid_line(to, p, vertical, value, false);
        if (vertical)
            fprintf(to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x_at(p, value), HEIGHT - BOTTOM + 18);
        else
            fprintf(to, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, y_at(p, value) + 4);
        write_tick(to, power);
        fputs("</text>", to);
    }
    fputc('\n', to);
}

static void write_roof(FILE *to, const plane *p, const bench_set *s, int i, bool labels)
{
    char a[24];
    double ridge = s->peak_gflops / s->peak_gbytes, left = pow(10, p->x0), right = pow(10, p->x1), bottom = pow(10, p->y0);
    if (left * s->peak_gbytes < bottom) /* the slope begins on the lower edge */
        left = bottom / s->peak_gbytes;
    left = fmin(left, ridge);
    double x = x_at(p, left), y = y_at(p, left * s->peak_gbytes), rx = x_at(p, ridge), ry = y_at(p, s->peak_gflops);
    fprintf(to, "<polyline class=\"roof s%d\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"><title>", colour(i), x, y, rx, ry, x_at(p, right), ry);
    html_text(to, s->label);
    fputs("</title></polyline>\n", to);
    if (!labels)
        return;
    fprintf(to, "<text class=\"value s%d\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s GFLOPS</text>", colour(i), WIDTH - RIGHT - 6, ry - 8,
            number(s->peak_gflops, a));
    double mx = (x + rx) / 2, my = (y + ry) / 2, angle = atan2(ry - y, rx - x) * 180 / M_PI;
    if (rx - x > 120)
        fprintf(to, "<text class=\"value s%d\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(%.1f %.1f %.1f)\">%s GB/s</text>\n",
                colour(i), mx, my - 8, angle, mx, my, number(s->peak_gbytes, a));
}

/* Circle: convolution, square: product, triangle: model, diamond: the rest. */
static void write_shape(FILE *to, const char *problem, double x, double y)
{
    int n = kind_length(problem);
    if (n == 4 && !strncmp(problem, "conv", 4))
        fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/>", x, y);
    else if ((n == 4 && !strncmp(problem, "gemm", 4)) || (n == 6 && !strncmp(problem, "matmul", 6)))
        fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\"/>", x - 5, y - 5);
    else if (n == 5 && !strncmp(problem, "model", 5))
        fprintf(to, "<path d=\"M%.1f %.1fl6.5 11h-13z\"/>", x, y - 6.5);
    else
        fprintf(to, "<path d=\"M%.1f %.1fl6.5 6.5l-6.5 6.5l-6.5 -6.5z\"/>", x, y - 6.5);
}

static void write_mark(FILE *to, const plane *p, const bench_set *s, const bench_result *r, int i)
{
    char a[24], b[24], c[24];
    bench_rates x = bench_rate(s, r);
    if (*r->error || x.gflops <= 0 || x.intensity <= 0)
        return;
    fprintf(to, "<g class=\"mark s%d\"><title>", colour(i));
    html_text(to, r->problem);
    if (*r->name)
        fputs("\n", to);
    html_text(to, r->name);
    fputs("\n", to);
    html_text(to, s->label);
    fputs("\n", to);
    write_time(to, r->median_us);
    fprintf(to, ", %s GFLOPS, %s GB/s, %s operations a byte", number(x.gflops, a), number(x.gbytes_per_s, b), number(x.intensity, c));
    if (has_peaks(s))
        fprintf(to, "\n%.0f %% of the roof, which is %s", 100 * x.of_roof, x.memory_bound ? "memory" : "compute");
    fputs("</title>", to);
    write_shape(to, r->problem, x_at(p, x.intensity), y_at(p, x.gflops));
    fputs("</g>\n", to);
}

static void write_legend(FILE *to, const bench_set *sets, int n)
{
    static const char *const shape[][2] = {{"conv ", "convolution"}, {"gemm ", "matrix product"}, {"model ", "model"}, {"softmax ", "other"}};
    char a[24], b[24];
    fputs("<div class=\"legend\">", to);
    for (int i = 0; i < n; i++) {
        fprintf(to, "<span><i class=\"key s%d\"></i><b>", colour(i));
        html_text(to, sets[i].label);
        if (has_peaks(&sets[i]))
            fprintf(to, "</b> %s GFLOPS, %s GB/s</span>", number(sets[i].peak_gflops, a), number(sets[i].peak_gbytes, b));
        else
            fputs("</b></span>", to);
    }
    fputs("</div><div class=\"legend\">", to);
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        fputs("<span><svg viewBox=\"0 0 14 14\" aria-hidden=\"true\"><g class=\"mark\">", to);
        write_shape(to, shape[i][0], 7, 7);
        fprintf(to, "</g></svg>%s</span>", shape[i][1]);
    }
    fputs("</div>\n", to);
}

static void write_rooflines(FILE *to, const bench_set *sets, int n)
{
    plane p;
    fputs("<section><h2>Rooflines</h2>\n<p>To the right there is more arithmetic for each byte. The slope is what the memory allows, measured by copying, "
          "the level what the arithmetic units allow, measured by multiply-adds in f32. A mark's distance to its device's line is what could still be "
          "won; marks above it live in a cache, or need fewer operations than the textbook counts. Point at a mark for its figures.</p>\n", to);
    if (!fit_plane(sets, n, &p)) {
        fputs("<p>Nothing here could be drawn: there is no result.</p></section>\n", to);
        return;
    }
    fputs("<figure>", to);
    write_legend(to, sets, n);
    fprintf(to, "<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Roofline plot\">\n", WIDTH, HEIGHT);
    write_scale(to, &p, true);
    write_scale(to, &p, false);
    fprintf(to, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
    fprintf(to, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations a byte</text>", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6);
    fprintf(to, "<text x=\"14\" y=\"%d\" text-anchor=\"middle\" transform=\"rotate(-90 14 %d)\">GFLOPS</text>\n", (TOP + HEIGHT - BOTTOM) / 2,
            (TOP + HEIGHT - BOTTOM) / 2);
    for (int i = 0; i < n; i++)
        if (has_peaks(&sets[i]))
            write_roof(to, &p, &sets[i], i, n <= 2);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < sets[i].n; k++)
            write_mark(to, &p, &sets[i], &sets[i].result[k], i);
    fputs("</svg></figure></section>\n", to);
}

/* --- Tables --- */

static void write_problem(FILE *to, const bench_row *row)
{
    fputs("<td class=\"problem\">", to);
    html_text(to, row->problem);
    fputs("<small>", to);
    html_text(to, row->name);
    fputs(*row->name ? ", " : "", to);
    html_text(to, row->dtype);
    fputs("</small></td>", to);
}

/* A heading row wherever the kind changes. */
static void write_kind(FILE *to, const bench_row *rows, int i, int columns)
{
    int n = kind_length(rows[i].problem);
    char name[64];
    if (i && kind_length(rows[i - 1].problem) == n && !strncmp(rows[i].problem, rows[i - 1].problem, (size_t)n))
        return;
    snprintf(name, sizeof name, "%.*s", n < 60 ? n : 60, rows[i].problem);
    fprintf(to, "<tr><td class=\"kind\" colspan=\"%d\">", columns);
    html_text(to, name);
    fputs("</td></tr>\n", to);
}

static void write_meter(FILE *to, double share, int i)
{
    fprintf(to, "<div class=\"meter s%d\"><i style=\"width:%.1f%%\"></i></div>", colour(i), 100 * fmin(fmax(share, 0), 1));
}

static void write_failure(FILE *to, const bench_result *r, int columns)
{
    fprintf(to, "<td class=\"failed\" colspan=\"%d\">", columns);
    html_text(to, r->error);
    fputs("</td>", to);
}

/* Five cells. */
static void write_rates(FILE *to, const bench_rates *x)
{
    char a[24], b[24];
    if (!x->known) {
        fputs("<td class=\"num\">&#8211;</td><td class=\"num\">&#8211;</td><td colspan=\"3\">not counted</td>", to);
        return;
    }
    fprintf(to, "<td class=\"num\">%s<small>%.0f&#8239;%%</small></td><td class=\"num\">%s<small>%.0f&#8239;%%</small></td>", number(x->gflops, a),
            100 * x->of_compute, number(x->gbytes_per_s, b), 100 * x->of_memory);
    fprintf(to, "<td>%s</td><td class=\"num\">%.0f&#8239;%%</td><td>", x->memory_bound ? "memory" : "compute", 100 * x->of_roof);
    write_meter(to, x->of_roof, 0);
    fputs("</td>", to);
}

static void write_single_row(FILE *to, const bench_set *s, const bench_row *row)
{
    const bench_result *r = any_result(s, row);
    fputs("<tr>", to);
    write_problem(to, row);
    if (*r->error) {
        write_failure(to, r, 7);
    } else {
        bench_rates x = bench_rate(s, r);
        fputs("<td class=\"num\">", to);
        write_time(to, r->median_us);
        fputs("<small>", to);
        write_time(to, r->min_us);
        fputs(" &#8211; ", to);
        write_time(to, r->p90_us);
        fputs("</small></td>", to);
        write_rates(to, &x);
        fputs("<td>", to);
        html_text(to, r->impl);
        fputs("</td>", to);
    }
    fputs("</tr>\n", to);
}

static void write_single(FILE *to, const bench_set *s, const bench_row *rows, int n_rows)
{
    fputs("<section><h2>Figures</h2>\n<p>Median time, with the least and the 90th percentile; rates with their share of the peaks; the bound that a problem "
          "of so many operations a byte sits under, and how much of it is reached.</p>\n<div class=\"card\"><table class=\"bench\"><thead><tr>"
          "<th>problem</th><th class=\"num\">time</th><th class=\"num\">GFLOPS</th><th class=\"num\">GB/s</th><th>bound</th>"
          "<th class=\"num\" colspan=\"2\">of the roof</th><th>kernels</th></tr></thead><tbody>\n", to);
    for (int i = 0; i < n_rows; i++) {
        write_kind(to, rows, i, 8);
        write_single_row(to, s, &rows[i]);
    }
    fputs("</tbody></table></div></section>\n", to);
}

/* Faster is one colour, slower the other, and stronger the further from 1. */
static void write_ratio(FILE *to, double ratio)
{
    char a[24];
    fprintf(to, "<span class=\"ratio %s\" style=\"--w:%.2f\">%s&#8239;&#215;</span>", ratio >= 1 ? "up" : "down", fmin(0.55, 0.35 * fabs(log2(ratio))),
            number(ratio, a));
}

static void write_cell(FILE *to, const bench_set *sets, int i, const bench_row *row)
{
    char a[24];
    const bench_result *r = any_result(&sets[i], row), *first = bench_find(&sets[0], row->problem, row->dtype);
    if (!r || *r->error) {
        fputs(r ? "<td class=\"num failed\" title=\"" : "<td class=\"num\" title=\"not measured", to);
        html_text(to, r ? r->error : "");
        fputs(r ? "\">failed</td>" : "\">&#8211;</td>", to);
        fputs(i ? "<td></td>" : "", to);
        return;
    }
    bench_rates x = bench_rate(&sets[i], r);
    fputs("<td class=\"num\" title=\"", to);
    html_text(to, r->impl);
    fputs("\">", to);
    write_time(to, r->median_us);
    if (x.known)
        fprintf(to, "<small>%s GFLOPS", number(x.gflops, a));
    if (x.known && has_peaks(&sets[i]))
        fprintf(to, ", %.0f&#8239;%%", 100 * x.of_roof);
    if (x.known) {
        fputs("</small>", to);
        write_meter(to, x.of_roof, i);
    }
    fputs("</td>", to);
    if (!i)
        return;
    fputs("<td class=\"num\">", to);
    if (first)
        write_ratio(to, first->median_us / r->median_us);
    fputs("</td>", to);
}

static void write_mean_row(FILE *to, const bench_set *sets, int n)
{
    fputs("<tr class=\"sum\"><td>geometric mean</td><td></td>", to);
    for (int i = 1; i < n; i++) {
        int shared;
        double mean = bench_mean_ratio(&sets[0], &sets[i], &shared);
        fprintf(to, "<td class=\"num\"><small>%d in common</small></td><td class=\"num\">", shared);
        if (mean > 0)
            write_ratio(to, mean);
        fputs("</td>", to);
    }
    fputs("</tr>\n", to);
}

static void write_several(FILE *to, const bench_set *sets, int n, const bench_row *rows, int n_rows)
{
    fputs("<section><h2>Side by side</h2>\n<p>Median time; operations a second and the share of the device's own roof that they are; how many times as fast "
          "as on the first device.</p>\n<div class=\"card\"><table class=\"bench\"><thead><tr><th>problem</th>", to);
    for (int i = 0; i < n; i++) {
        fprintf(to, "<th class=\"num s%d\" style=\"white-space:normal\" colspan=\"%d\">", colour(i), i ? 2 : 1);
        html_text(to, sets[i].label);
        fputs("</th>", to);
    }
    fputs("</tr></thead><tbody>\n", to);
    for (int i = 0; i < n_rows; i++) {
        write_kind(to, rows, i, 2 * n);
        fputs("<tr>", to);
        write_problem(to, &rows[i]);
        for (int k = 0; k < n; k++)
            write_cell(to, sets, k, &rows[i]);
        fputs("</tr>\n", to);
    }
    write_mean_row(to, sets, n);
    fputs("</tbody></table></div></section>\n", to);
}

/* --- Devices, head and all --- */

static void fact(FILE *to, const char *name, const char *value)
{
    fprintf(to, "<dt>%s</dt><dd>", name);
    html_text(to, *value ? value : "not known");
    fputs("</dd>\n", to);
}

static void write_devices(FILE *to, const bench_set *sets, int n)
{
    char a[24], b[24], c[24], text[128];
    fprintf(to, "<section><h2>Device%s</h2>\n<div class=\"pair\">\n", n > 1 ? "s" : "");
    for (int i = 0; i < n; i++) {
        const bench_set *s = &sets[i];
        fprintf(to, "<div class=\"card\"><figcaption class=\"s%d\">", colour(i));
        html_text(to, s->label);
        fputs("</figcaption><dl class=\"facts\">\n", to);
        fact(to, "Type", s->type);
        fact(to, "Vendor", s->vendor);
        fact(to, "Platform", s->platform);
        fact(to, "Version", s->version);
        fact(to, "Driver", s->driver);
        if (has_peaks(s)) {
            snprintf(text, sizeof text, "%s GFLOPS, %s GB/s", number(s->peak_gflops, a), number(s->peak_gbytes, b));
            fact(to, "Measured peaks", text);
            snprintf(text, sizeof text, "below %s operations a byte", number(s->peak_gflops / s->peak_gbytes, c));
            fact(to, "Memory-bound", text);
        }
        fact(to, "Measured", s->date);
        fact(to, "Tern", s->tern);
        fputs("</dl></div>\n", to);
    }
    fputs("</div></section>\n", to);
}

/* The median over what was measured; false: nothing was. */
static bool median_share(const bench_set *s, double *out)
{
    double *share = cli_alloc((size_t)s->n, sizeof *share);
    int n = 0;
    for (int i = 0; i < s->n && share; i++)
        if (!*s->result[i].error && bench_rate(s, &s->result[i]).known)
            share[n++] = bench_rate(s, &s->result[i]).of_roof;
    if (n) {
        qsort(share, (size_t)n, sizeof *share, cli_compare_doubles);
        *out = share[n / 2];
    }
    free(share);
    return n > 0;
}

static void write_tiles(FILE *to, const bench_set *sets, int n)
{
    char a[24], text[64];
    double share;
    fputs("<div class=\"tiles\">\n", to);
    if (n == 1) {
        snprintf(text, sizeof text, "%s GFLOPS", number(sets->peak_gflops, a));
        tile(to, text, "multiply-adds, measured peak");
        snprintf(text, sizeof text, "%s GB/s", number(sets->peak_gbytes, a));
        tile(to, text, "copying, measured peak");
        snprintf(text, sizeof text, "%d", sets->n);
        tile(to, text, sets->n == 1 ? "problem" : "problems");
        if (median_share(sets, &share)) {
            snprintf(text, sizeof text, "%.0f %%", 100 * share);
            tile(to, text, "of its roof, the median problem");
        }
    }
    for (int i = 1; i < n; i++) {
        int shared;
        double mean = bench_mean_ratio(&sets[0], &sets[i], &shared);
        char label[224];
        if (!shared)
            continue;
        snprintf(text, sizeof text, "%s times", number(mean, a));
        snprintf(label, sizeof label, "as fast: %s, mean of %d problems", sets[i].label, shared);
        tile(to, text, label);
    }
    fputs("</div></header>\n", to);
}

static void write_head(FILE *to, const bench_set *sets, int n)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>tern bench: ", to);
    html_text(to, sets[0].label);
    fprintf(to, "%s</title>\n<style>\n%s%s</style></head>\n<body><main>\n<header><h1>", n > 1 ? " and others" : "", report_style, style);
    if (n > 1) {
        fprintf(to, "%d devices side by side</h1>\n<p>What others reach is compared with ", n);
        html_text(to, sets[0].label);
        fputs(".</p>\n", to);
    } else {
        html_text(to, sets[0].label);
        fputs("</h1>\n<p>Operations and models timed by tern bench and held against the device's own measured peaks.</p>\n", to);
    }
    write_tiles(to, sets, n);
}

typedef struct page {
    const bench_set *sets;
    const bench_row *rows;
    int n, n_rows;
} page;

static void write_page(FILE *to, const void *data)
{
    const page *p = data;
    write_head(to, p->sets, p->n);
    write_rooflines(to, p->sets, p->n);
    if (p->n == 1)
        write_single(to, p->sets, p->rows, p->n_rows);
    else
        write_several(to, p->sets, p->n, p->rows, p->n_rows);
    write_devices(to, p->sets, p->n);
    fprintf(to, "<footer>Written by tern bench, Tern %s.</footer>\n</main></body></html>\n", tern_version());
}

int bench_page(const char *path, const bench_set *sets, int n)
{
    page p = {.sets = sets, .n = n};
    bench_row *rows = bench_rows(sets, n, &p.n_rows);
    if (!rows)
        return CLI_FAILED;
    p.rows = rows;
    int code = page_write(path, write_page, &p);
    free(rows);
    return code;
}
