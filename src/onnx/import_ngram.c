/* TfIdfVectorizer: how often each n-gram of a pool of integers occurs in each row.
 *
 * One n-gram matches at a place if its items equal those of the row from there on, skip + 1 apart: a conjunction of comparisons between shifted
 * slices of the rows and columns of the pool, summed over places. Fusion makes one reduction of it, and no match is ever written to memory. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_index.h"
#include "onnx/import_shape.h"

enum { MAX_COMPARISONS = 4096 };

typedef struct vectorizer {
    int64_t min, max, skips;
    const int64_t *starts, *pool, *columns; /* where the grams of each length begin, their items, the output column of each gram */
    const float *weights;                   /* of each gram, NULL: 1 */
    int n_starts, n_pool, n_columns, n_weights;
    const char *mode;
    int64_t width;                          /* columns of the output */
} vectorizer;

/* The grams of one length: rows [first, first + count) of all grams, items from pool[at]. */
typedef struct section {
    int64_t length, at, count, first;
} section;

static section section_of(const vectorizer *v, int64_t length)
{
    section s = {.length = length};
    for (int64_t k = 1; k <= length && k <= v->n_starts; k++) {
        s.first += s.count;
        s.at = v->starts[k - 1];
        s.count = ((k < v->n_starts ? v->starts[k] : v->n_pool) - s.at) / k;
    }
    return s;
}

static tern_status check(const tern__onnx_node *n, vectorizer *v)
{
    int64_t grams = 0;
    if (strcmp(v->mode, "TF") != 0 && strcmp(v->mode, "IDF") != 0 && strcmp(v->mode, "TFIDF") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%.40s\"", v->mode);
    if (v->min < 1 || v->max < v->min || v->skips < 0)
        return tern__onnx_fail(n, TERN_E_INVALID, "lengths %" PRId64 " to %" PRId64 " with up to %" PRId64 " skips", v->min, v->max, v->skips);
    if (v->max > v->n_starts)
        return tern__onnx_fail(n, TERN_E_INVALID, "n-grams of length %" PRId64 ", but ngram_counts has %d", v->max, v->n_starts);
    for (int k = 0; k < v->n_starts; k++) {
        const int64_t end = k + 1 < v->n_starts ? v->starts[k + 1] : v->n_pool;
        if (v->starts[k] < 0 || v->starts[k] > end || end > v->n_pool || (end - v->starts[k]) % (k + 1) != 0 || (k == 0 && v->starts[0] != 0))
            return tern__onnx_fail(n, TERN_E_INVALID, "n-grams of length %d from %" PRId64 " to %" PRId64 " of a pool of %d", k + 1, v->starts[k], end, v->n_pool);
        grams += (end - v->starts[k]) / (k + 1);
    }
    if (grams != v->n_columns || (v->weights && v->n_weights != grams))
        return tern__onnx_fail(n, TERN_E_INVALID, "%" PRId64 " n-grams, but %d ngram_indexes and %d weights", grams, v->n_columns, v->n_weights);
    for (int i = 0; i < v->n_columns; i++) {
        if (v->columns[i] < 0 || v->columns[i] >= INT32_MAX)
            return tern__onnx_fail(n, TERN_E_INVALID, "column %" PRId64 " for n-gram %d", v->columns[i], i);
        v->width = TERN_MAX(v->width, v->columns[i] + 1);
    }
    if (v->width > 16 * (int64_t)v->n_columns + 65536)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%" PRId64 " columns for %d n-grams", v->width, v->n_columns);
    return TERN_OK;
}

/* [rows, grams]: matches of a section's grams at every place of x [rows, 1, length], items `step` apart. */
static tern_value matches(tern__onnx_node *n, const vectorizer *v, const section *s, tern_value x, int64_t step)
{
    tern_graph *g = n->g;
    const int64_t length = tern__shape_of(g, x)->dim[2], places = length - (s->length - 1) * step;
    const tern_shape column = {.rank = 2, .dim = {s->count, 1}};
    tern_value all = TERN_NONE;
    for (int64_t k = 0; k < s->length; k++) {
        int64_t *items = tern__onnx_scratch(n, (size_t)s->count, sizeof *items);
        if (!items)
            return TERN_NONE;
        for (int64_t i = 0; i < s->count; i++)
            items[i] = v->pool[s->at + i * s->length + k];
        tern_value here = tern__onnx_cut_axis(g, x, 2, k * step, k * step + places, 1);
        tern_value same = tern_graph_op2(g, "equal", here, tern__onnx_const_ints(n, TERN_I64, &column, items), NULL);
        all = k == 0 ? same : tern_graph_op2(g, "logical_and", all, same, NULL);
    }
    return tern__sum_axes(g, tern__cast(g, all, TERN_F32), 1u << 2, false);
}

/* [rows, grams] of all skips; TERN_NONE if the rows are too short for any. Single items know no skips. */
static tern_value count_section(tern__onnx_node *n, const vectorizer *v, const section *s, tern_value x)
{
    const int64_t length = tern__shape_of(n->g, x)->dim[2];
    tern_value sum = TERN_NONE;
    for (int64_t step = 1; step <= (s->length == 1 ? 1 : v->skips + 1) && step <= length && (s->length - 1) * step < length; step++) {
        tern_value some = matches(n, v, s, x, step);
        sum = sum == TERN_NONE ? some : tern__add(n->g, sum, some);
    }
    return sum;
}

/* How many comparisons the graph will have: every length, skip and item. */
static int64_t comparisons(const vectorizer *v, int64_t row)
{
    int64_t sum = 0;
    for (int64_t length = v->min; length <= v->max && length <= row && sum <= MAX_COMPARISONS; length++)
        sum += length * (length == 1 ? 1 : TERN_MIN(v->skips + 1, TERN_MAX((row - 1) / (length - 1), 1)));
    return sum;
}

/* y[r, columns[i]] = counts[r, place of gram i]; columns of no gram are 0. */
static tern_value arrange(tern__onnx_node *n, const vectorizer *v, tern_value counts, const int64_t *place)
{
    tern_graph *g = n->g;
    const tern_shape row = {.rank = 1, .dim = {v->width}};
    int64_t *from = tern__onnx_scratch(n, (size_t)v->width, sizeof *from);
    double *weight = tern__onnx_scratch(n, (size_t)v->width, sizeof *weight);
    if (!from || !weight)
        return TERN_NONE;
    const bool plain = strcmp(v->mode, "TF") == 0 || !v->weights; /* a weight of a TF model means nothing */
    for (int i = 0; i < v->n_columns; i++) {
        if (place[i] < 0)
            continue;
        from[v->columns[i]] = place[i];
        weight[v->columns[i]] = plain ? 1 : v->weights[i];
    }
    if (strcmp(v->mode, "IDF") == 0)
        counts = tern__cast(g, tern__compare(g, "greater", counts, 0), TERN_F32);
    tern_value y = tern_graph_op2(g, "gather", counts, tern__onnx_const_ints(n, TERN_I64, &row, from), TERN_ATTRS(TERN_INT("axis", 1)));
    return tern__mul(g, y, tern__onnx_const(n, TERN_F32, &row, weight));
}

/* Two n-grams of one column would have to be added up; no exporter writes that. */
static tern_status check_columns(tern__onnx_node *n, const vectorizer *v)
{
    bool *taken = tern__onnx_scratch(n, (size_t)v->width, sizeof *taken);
    for (int i = 0; taken && i < v->n_columns; i++) {
        if (taken[v->columns[i]])
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "column %" PRId64 " of two n-grams", v->columns[i]);
        taken[v->columns[i]] = true;
    }
    return taken || v->width == 0 ? TERN_OK : TERN_E_NOMEM;
}

tern_status tern__onnx_tf_idf(tern__onnx_node *n)
{
    char text[TERN__SHAPE_TEXT];
    vectorizer v = {.width = 0};
    TERN_TRY(tern__onnx_need(n, 1, 1));
    if (tern__onnx_attr_strings(n, "pool_strings", 0))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a pool of strings");
    v.min = tern__onnx_attr_int(n, "min_gram_length", 1);
    v.max = tern__onnx_attr_int(n, "max_gram_length", 1);
    v.skips = TERN_MIN(tern__onnx_attr_int(n, "max_skip_count", 0), INT32_MAX);
    v.mode = tern__onnx_attr_string(n, "mode", "TF");
    v.starts = tern__onnx_attr_ints(n, "ngram_counts", &v.n_starts);
    v.pool = tern__onnx_attr_ints(n, "pool_int64s", &v.n_pool);
    v.columns = tern__onnx_attr_ints(n, "ngram_indexes", &v.n_columns);
    v.weights = tern__onnx_attr_floats(n, "weights", &v.n_weights);
    TERN_TRY(check(n, &v));
    TERN_TRY(check_columns(n, &v));
    const tern_shape s = *tern__onnx_shape(n, 0);
    if (s.rank != 1 && s.rank != 2)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %s is neither a row nor rows", tern__shape_text(&s, text));
    const int64_t rows = s.rank == 2 ? s.dim[0] : 1, row = s.dim[s.rank - 1];
    const tern_shape result = {.rank = s.rank, .dim = {s.rank == 2 ? rows : v.width, v.width}};
    if (comparisons(&v, row) > MAX_COMPARISONS)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "n-grams up to %" PRId64 " with %" PRId64 " skips in rows of %" PRId64 " items", v.max, v.skips, row);

    int64_t *place = tern__onnx_scratch(n, (size_t)v.n_columns, sizeof *place);
    tern_value parts[MAX_COMPARISONS];
    int n_parts = 0;
    int64_t filled = 0;
    if (!place)
        return TERN_E_NOMEM;
    for (int i = 0; i < v.n_columns; i++)
        place[i] = -1;
    const tern_shape cube = {.rank = 3, .dim = {rows, 1, row}};
    tern_value x = rows > 0 && row > 0 ? tern__reshape(n->g, tern__cast(n->g, tern__onnx_in(n, 0), TERN_I64), &cube) : TERN_NONE;
    for (int64_t length = v.min; length <= v.max && x != TERN_NONE && length <= row; length++) {
        const section part = section_of(&v, length);
        tern_value counts = part.count > 0 ? count_section(n, &v, &part, x) : TERN_NONE;
        if (counts == TERN_NONE)
            continue;
        for (int64_t i = 0; i < part.count; i++)
            place[part.first + i] = filled + i;
        filled += part.count;
        parts[n_parts++] = counts;
    }
    if (n_parts == 0 || v.width == 0)
        return tern__onnx_put(n, 0, tern__expand_to(n->g, tern_graph_scalar(n->g, TERN_F32, 0), &result));
    tern_value counts = n_parts == 1 ? parts[0] : tern_graph_add(n->g, "concat", parts, n_parts, TERN_ATTRS(TERN_INT("axis", 1)));
    return tern__onnx_put(n, 0, tern__reshape(n->g, arrange(n, &v, counts, place), &result));
}
