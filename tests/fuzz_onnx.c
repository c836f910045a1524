/* libFuzzer target: ONNX models. They are imported with all shapes inferred; a graph that comes out must be valid, and a small one is evaluated.
 * Bytes that start with '#' are the text of a model, whose lines and words are what is changed, so that changes reach the operators rather than break
 * lengths. Its lines:
 *     o DOMAIN|- OPSET                      i NAME TYPE DIMS        r NAME (a result)
 *     w NAME DIMS (float weights)           l NAME LIST|- (int64)   t NAME TYPE DIMS LIST (a tensor of any type)
 *     x NAME TYPE DIMS LOCATION [OFFSET [LENGTH]]   an initialiser in another file; "-" leaves something out
 *     s NAME DIMS PLACES VALUES             a sparse initialiser of floats
 *     n OP INPUTS OUTPUTS [NAME=VALUE ...]  as in onnx_node, names with commas between; "1" and "1,2," are integers, "1.5" and "1.5,2.5," floats,
 *                                           "a|b|" texts, "@a" an attribute of the calling function
 *     b NAME                                starts a body for the next node; its lines follow until
 *     f DOMAIN NAME INPUTS OUTPUTS [ATTR ...]  starts the body of a function, until
 *     e */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_folder.h"
#include "fuzz_lines.h"
#include "onnx_build.h"

#include "base/status.h"
#include "graph/graph.h"
#include "graph/interpret.h"
#include "onnx/import.h"
#include "ops/op.h"
#include <tern/onnx.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BODIES = 6, MAX_DIMS = 9, MAX_ELEMS = 4096, MAX_WORK = 5000 };

/* --- A model from text ------------------------------------------------------------------------------------------- */

typedef struct writer {
    onnx_message opsets, functions, graphs[MAX_BODIES], attributes[MAX_BODIES]; /* a graph per body, and what waits for its next node */
    char names[MAX_BODIES][64];
    bool function[MAX_BODIES]; /* the body of one, whose head is in graphs */
    int depth;
} writer;

/* "-" is no list, "-5" is one. */
static int list_of(char *word, int64_t *out, int most)
{
    if (!word || strcmp(word, "-") == 0)
        return 0;
    int n = 0;
    for (char *s = word; s && *s && n < most;) {
        char *end;
        out[n++] = strtoll(s, &end, 10);
        s = *end == ',' ? end + 1 : NULL;
    }
    return n;
}

/* How many elements it has; -1 for more than are written. */
static int64_t small(const int64_t *dims, int rank)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || dims[i] > MAX_ELEMS)
            return -1;
        n *= dims[i];
        if (n > MAX_ELEMS)
            return -1;
    }
    return n;
}

static void add_tensor(onnx_message *g, const char *name, int type, char *dims_word, char *values_word)
{
    int64_t dims[MAX_DIMS], values[256];
    int rank = list_of(dims_word, dims, MAX_DIMS), n = list_of(values_word, values, 256);
    int64_t elems = small(dims, rank);
    onnx_message t = onnx_tensor_head(name, type, rank, dims);
    static const struct { unsigned field, wire; } ways[] = {[ONNX_FLOAT] = {4, 5}, [ONNX_INT64] = {7, 0}, [ONNX_DOUBLE] = {10, 1},
                                                            [ONNX_UINT32] = {11, 0}, [ONNX_UINT64] = {11, 0}};
    unsigned field = type > 0 && type <= ONNX_UINT64 && ways[type].field ? ways[type].field : 5;
    unsigned wire = field == 5 ? 0 : ways[type].wire;
    for (int64_t i = 0; i < elems; i++) {
        int64_t v = n > 0 ? values[i % n] : i % 7 - 3;
        float f = (float)v * (n > 0 ? 1.0f : 0.25f);
        double d = (double)f;
        if (wire)
            onnx_number(&t, (uint64_t)field << 3 | wire);
        if (wire == 5)
            onnx_raw(&t, &f, 4);
        else if (wire == 1)
            onnx_raw(&t, &d, 8);
        else
            onnx_put_int(&t, field, v);
    }
    onnx_initializer(g, &t);
}

static void put_entry(onnx_message *tensor, const char *key, const char *value)
{
    onnx_message e = {0};
    onnx_put_text(&e, 1, key);
    onnx_put_text(&e, 2, value);
    onnx_put_message(tensor, 13, &e);
}

static void add_external(onnx_message *g, char **words, int n)
{
    static const char *const keys[] = {"location", "offset", "length"};
    int64_t dims[MAX_DIMS];
    onnx_message t = onnx_tensor_head(words[1], atoi(words[2]), list_of(words[3], dims, MAX_DIMS), dims);
    onnx_put_int(&t, 14, 1);
    for (int i = 4; i < n && i < 7; i++)
        if (strcmp(words[i], "-"))
            put_entry(&t, keys[i - 4], words[i]);
    onnx_initializer(g, &t);
}

static void add_sparse(onnx_message *g, char **words)
{
    int64_t dims[MAX_DIMS], places[256], values[256];
    float v[256];
    const int rank = list_of(words[2], dims, MAX_DIMS), n_places = list_of(words[3], places, 256), n = list_of(words[4], values, 256);
    for (int i = 0; i < n; i++)
        v[i] = (float)values[i];
    onnx_message s = {0}, of = onnx_tensor(words[1], ONNX_FLOAT, 1, &(int64_t){n}, v), at = onnx_tensor("", ONNX_INT64, 1, &(int64_t){n_places}, places);
    onnx_put_message(&s, 1, &of);
    onnx_put_message(&s, 2, &at);
    for (int i = 0; i < rank; i++)
        onnx_put_int(&s, 3, dims[i]);
    onnx_put_message(g, 15, &s);
}

static void add_attribute(onnx_message *node, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return;
    *value++ = 0;
    int64_t ints[64];
    float floats[64];
    int n = 0;
    bool number = *value == '-' || (*value >= '0' && *value <= '9'), list = strchr(value, ',') != NULL, real = strchr(value, '.') != NULL;
    if (*value == '@') {
        onnx_attr_ref(node, word, 2, value + 1);
    } else if (strchr(value, '|')) {
        for (char *c = value; *c; c++)
            *c = *c == '|' ? ' ' : *c;
        onnx_attr_strings(node, word, value);
    } else if (!number) {
        onnx_attr_string(node, word, value);
    } else if (!real && !list) {
        onnx_attr_int(node, word, strtoll(value, NULL, 10));
    } else if (!real) {
        n = list_of(value, ints, 64);
        onnx_attr_ints(node, word, n, ints);
    } else {
        for (char *s = value; s && *s && n < 64;) {
            floats[n++] = strtof(s, &s);
            s = *s == ',' ? s + 1 : NULL;
        }
        if (list)
            onnx_attr_floats(node, word, n, floats);
        else
            onnx_attr_float(node, word, floats[0]);
    }
}

static void blanks(char *word)
{
    for (char *c = word; *c; c++)
        *c = *c == ',' ? ' ' : *c;
}

static void add_node(writer *w, char **words, int n)
{
    blanks(words[2]);
    blanks(words[3]);
    onnx_message node = onnx_node(words[1], strcmp(words[2], "-") ? words[2] : "", words[3]);
    for (int i = 4; i < n; i++)
        add_attribute(&node, words[i]);
    onnx_raw(&node, w->attributes[w->depth].data, w->attributes[w->depth].len);
    onnx_free(&w->attributes[w->depth]);
    onnx_put_message(&w->graphs[w->depth], w->function[w->depth] ? 7 : 1, &node);
}

/* Its operators are those of the model's first lines. */
static void begin_function(writer *w, char **words, int n)
{
    w->depth++;
    w->function[w->depth] = true;
    onnx_message *f = &w->graphs[w->depth];
    blanks(words[3]);
    blanks(words[4]);
    onnx_put_text(f, 10, words[1]);
    onnx_put_text(f, 1, words[2]);
    onnx_put_names(f, 4, words[3]);
    onnx_put_names(f, 5, words[4]);
    for (int i = 5; i < n; i++)
        onnx_put_text(f, 6, words[i]);
    onnx_message o = {0};
    onnx_put_text(&o, 1, "");
    onnx_put_int(&o, 2, 17);
    onnx_put_message(f, 9, &o);
}

static void end_body(writer *w)
{
    onnx_message *g = &w->graphs[w->depth];
    onnx_free(&w->attributes[w->depth]);
    w->depth--;
    if (w->function[w->depth + 1]) {
        w->function[w->depth + 1] = false;
        onnx_put_message(&w->functions, 25, g);
        return;
    }
    onnx_attr_graph(&w->attributes[w->depth], w->names[w->depth + 1], g);
}

static void add_line(writer *w, char **words, int n)
{
    onnx_message *g = &w->graphs[w->depth];
    int64_t dims[MAX_ELEMS];
    switch (n > 0 ? words[0][0] : 0) {
    case 'o':
        if (n == 3)
            onnx_opset(&w->opsets, strcmp(words[1], "-") ? words[1] : "", atoi(words[2]));
        break;
    case 'i':
        if (n == 4)
            onnx_input(g, words[1], atoi(words[2]), list_of(words[3], dims, MAX_DIMS), dims);
        break;
    case 'r':
        if (n == 2)
            onnx_output(g, words[1], ONNX_FLOAT);
        break;
    case 'w':
        if (n == 3)
            add_tensor(g, words[1], ONNX_FLOAT, words[2], NULL);
        break;
    case 't':
        if (n == 5)
            add_tensor(g, words[1], atoi(words[2]), words[3], words[4]);
        break;
    case 'l':
        if (n == 3)
            onnx_list(g, words[1], list_of(words[2], dims, 256), dims);
        break;
    case 'x':
        if (n >= 5)
            add_external(g, words, n);
        break;
    case 's':
        if (n == 5)
            add_sparse(g, words);
        break;
    case 'f':
        if (n >= 5 && w->depth + 1 < MAX_BODIES)
            begin_function(w, words, n);
        break;
    case 'n':
        if (n >= 4)
            add_node(w, words, n);
        break;
    case 'b':
        if (n == 2 && w->depth + 1 < MAX_BODIES)
            snprintf(w->names[++w->depth], sizeof w->names[0], "%s", words[1]);
        break;
    case 'e':
        if (w->depth > 0)
            end_body(w);
        break;
    default: break;
    }
}

static onnx_message model_of_text(char *text)
{
    writer w = {0};
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *words[40];
        int n = 0;
        for (char *s = line; *s && n < 40;) {
            words[n++] = s;
            s += strcspn(s, " ");
            if (*s)
                *s++ = 0;
        }
        add_line(&w, words, n);
    }
    while (w.depth > 0)
        end_body(&w);
    onnx_free(&w.attributes[0]);
    onnx_message m = {0};
    onnx_put_int(&m, 1, 8);
    onnx_put_message(&m, 7, &w.graphs[0]);
    onnx_raw(&m, w.opsets.data, w.opsets.len);
    onnx_raw(&m, w.functions.data, w.functions.len);
    onnx_free(&w.opsets);
    onnx_free(&w.functions);
    return m;
}

/* --- What is done with a model ----------------------------------------------------------------------------------- */

static const char *path_of(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[96];
    if (fd < 0) {
        snprintf(path, sizeof path, "%s/model.onnx", fuzz_folder());
        fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    }
    if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || ftruncate(fd, (off_t)size))
        abort();
    return path;
}

static bool cheap(const tern_graph *g)
{
    int64_t work = 0;
    for (int i = 0; i < g->n_values && work <= MAX_WORK; i++)
        work += TERN_MIN(tern__elems(&g->values[i].type.shape), (int64_t)MAX_WORK + 1);
    return work <= MAX_WORK;
}

static void evaluate(const tern_graph *g)
{
    static double zeros[MAX_WORK]; /* as large as any input of a cheap graph */
    tern__interp it;
    tern__array *in = calloc((size_t)g->n_inputs + 1, sizeof *in);
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = (tern__array){.type = g->values[g->inputs[i]].type, .data = zeros};
    if (tern__interp_init(&it, g) == TERN_OK)
        (void)!tern__interp_run(&it, in);
    tern__interp_finish(&it);
    free(in);
}

static void import(const uint8_t *data, size_t size)
{
    tern_onnx_info info;
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    if (tern_onnx_load(path_of(data, size), &m) != TERN_OK)
        return;
    tern_onnx_get_info(m, &info);
    for (int i = 0; i < tern_onnx_n_inputs(m); i++) {
        tern_onnx_port port;
        if (tern_onnx_input(m, i, &port) != TERN_OK)
            abort();
    }
    tern_onnx_graph_params p = {.variables = size % 2 == 1}; /* as good as any other way to get at both */
    if (tern_onnx_graph(m, &p, &g) == TERN_OK) {
        char *text = NULL;
        if (tern__graph_verify(g) != TERN_OK || tern_graph_print(g, &text) != TERN_OK)
            abort();
        tern_text_free(text);
        if (cheap(g))
            evaluate(g);
    }
    tern_graph_destroy(g);
    tern_onnx_destroy(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != '#') {
        import(data, size);
        return 0;
    }
    char *text = calloc(1, size + 1);
    memcpy(text, data, size);
    onnx_message m = model_of_text(text);
    import(m.data, m.len);
    onnx_free(&m);
    free(text);
    return 0;
}

/* --- Changing texts ---------------------------------------------------------------------------------------------- */

/* All operators there are. */
static const char *const *operators(int *n)
{
    static const tern__onnx_map *const maps[] = {
        tern__onnx_map_math, tern__onnx_map_reduce, tern__onnx_map_shape, tern__onnx_map_index, tern__onnx_map_nn,      tern__onnx_map_image,
        tern__onnx_map_rnn,  tern__onnx_map_quant,  tern__onnx_map_loss,  tern__onnx_map_signal, tern__onnx_map_control};
    static const char *names[1024];
    static int n_names;
    if (n_names == 0) {
        int n_ops;
        const tern__op *const *ops = tern__op_all(&n_ops);
        for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
            for (const tern__onnx_map *m = maps[i]; m->name && n_names < 512; m++)
                names[n_names++] = m->name;
        for (int i = 0; i < n_ops; i++)
            if (ops[i]->onnx && n_names < 1024)
                names[n_names++] = ops[i]->onnx;
    }
    *n = n_names;
    return names;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    int n;
    const char *const *names = operators(&n);
    fuzz_seed(seed);
    if (size < 3 || data[0] != '#' || fuzz_draw(8) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    return fuzz_change_text(data, size, max_size, names, n);
}
