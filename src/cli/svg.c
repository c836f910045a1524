/* Line charts as inline SVG, coloured by the page's style sheet. */
#include "cli.h"

#include <math.h>

/* The drawing's own units; the page scales it. */
enum { WIDTH = 640, HEIGHT = 300, LEFT = 52, RIGHT = 14, TOP = 16, BOTTOM = 40 };

static double x_at(const svg_chart *c, double x) { return LEFT + x / c->x_max * (WIDTH - LEFT - RIGHT); }

static double y_at(const svg_chart *c, double y)
{
    double t = (y - c->y_min) / (c->y_max - c->y_min);
    return HEIGHT - BOTTOM - fmin(fmax(t, 0), 1) * (HEIGHT - TOP - BOTTOM);
}

/* A step of 1, 2 or 5 times a power of ten that gives about n ticks. */
static double tick_step(double span, int n)
{
    double raw = span / n, power = pow(10, floor(log10(raw))), digit = raw / power;
    return power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
}

static void write_axes(FILE *to, const svg_chart *c)
{
    double step = tick_step(c->y_max - c->y_min, 5);
    for (double y = ceil(c->y_min / step) * step; y <= c->y_max + step * 1e-6; y += step) {
        fprintf(to, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, y_at(c, y), y_at(c, y));
        fprintf(to, c->percent ? "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f %%</text>" : "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.2g</text>",
                LEFT - 8, y_at(c, y) + 4, c->percent ? y * 100 : y);
    }
    step = fmax(tick_step(c->x_max, 6), 1);
    for (double x = 0; x <= c->x_max + 1e-6; x += step)
        fprintf(to, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>", x_at(c, x), HEIGHT - BOTTOM + 18, x);
    fprintf(to, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM);
    fprintf(to, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4);
    html_text(to, c->x_label);
    fputs("</text>\n", to);
}

static void write_series(FILE *to, const svg_chart *c, const svg_series *s)
{
    fprintf(to, "<polyline class=\"line %s\" points=\"", s->css_class);
    for (int i = 0; i < s->n; i++)
        fprintf(to, "%.1f,%.1f ", x_at(c, s->x[i]), y_at(c, s->y[i]));
    fputs("\"/>\n", to);
    for (int i = 0; i < s->n && s->dots; i++)
        fprintf(to, c->percent ? "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%.2f %%</title></circle>"
                               : "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%.4f</title></circle>",
                s->css_class, x_at(c, s->x[i]), y_at(c, s->y[i]), c->percent ? s->y[i] * 100 : s->y[i]);
}

void svg_chart_write(FILE *to, const svg_chart *c)
{
    fprintf(to, "<figure><figcaption>%s<span class=\"legend\">", c->title);
    for (int i = 0; i < c->n_series; i++)
        fprintf(to, "<span><i class=\"key %s\"></i>%s</span>", c->series[i].css_class, c->series[i].name);
    fprintf(to, "</span></figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, c->title);
    write_axes(to, c);
    for (int i = 0; i < c->n_series; i++)
        write_series(to, c, &c->series[i]);
    fputs("</svg></figure>\n", to);
}
