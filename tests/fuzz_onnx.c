/* libFuzzer target: ONNX files. Bytes are read as a model and as test data, every tensor in them is decoded, and what is a model is imported; a graph that
 * comes out must be valid, and a small one is evaluated.
 * Bytes that start with '#' are the text of a model, so that changes reach the operators rather than break lengths. Its lines:
 *     o DOMAIN|- OPSET                      i NAME TYPE DIMS        r NAME (a result)
 *     w NAME DIMS (float weights)           l NAME LIST|- (int64)   t NAME TYPE DIMS LIST (a tensor of any type)
 *     n OP INPUTS OUTPUTS [NAME=VALUE ...]  as in onnx_node, names with commas between; "1" and "1,2," are integers, "1.5" and "1.5,2.5," floats,
 *                                           "a|b|" texts
 *     b NAME                                starts a body for the next node; its lines follow until
 *     e */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "onnx_build.h"

#include "base/status.h"
#include "graph/graph.h"
#include "graph/interpret.h"
#include "onnx-data.pb-c.h"
#include "onnx/proto.h"
#include <tern/onnx.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BODIES = 6, MAX_DIMS = 9, MAX_ELEMS = 4096, MAX_WORK = 20000 };

/* --- A model from text ------------------------------------------------------------------------------------------- */

typedef struct writer {
    onnx_message opsets, graphs[MAX_BODIES], attributes[MAX_BODIES]; /* a graph per body, and what waits for its next node */
    char names[MAX_BODIES][64];
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
    if (strchr(value, '|')) {
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

static void add_node(writer *w, char **words, int n)
{
    for (int i = 2; i <= 3; i++)
        for (char *c = words[i]; *c; c++)
            *c = *c == ',' ? ' ' : *c;
    onnx_message node = onnx_node(words[1], strcmp(words[2], "-") ? words[2] : "", words[3]);
    for (int i = 4; i < n; i++)
        add_attribute(&node, words[i]);
    onnx_raw(&node, w->attributes[w->depth].data, w->attributes[w->depth].len);
    onnx_free(&w->attributes[w->depth]);
    onnx_add(&w->graphs[w->depth], &node);
}

static void end_body(writer *w)
{
    onnx_message *g = &w->graphs[w->depth];
    onnx_free(&w->attributes[w->depth]);
    w->depth--;
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
    onnx_free(&w.opsets);
    return m;
}

/* --- What is done with a model ----------------------------------------------------------------------------------- */

static void decode(tern__onnx_file *f, const Onnx__TensorProto *t)
{
    tern__type type;
    tern__blob *b = NULL;
    if (!t || tern__onnx_tensor(f, t, &type, &b) != TERN_OK)
        return;
    if (b->size != tern__type_bytes(&type))
        abort();
    tern__blob_release(b);
}

static void decode_graph(tern__onnx_file *f, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        decode(f, g->initializer[i]);
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        tern__type type;
        tern__blob *b = NULL;
        if (tern__onnx_sparse_tensor(f, g->sparse_initializer[i], &type, &b) == TERN_OK)
            tern__blob_release(b);
    }
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_attribute; k++) {
            const Onnx__AttributeProto *a = g->node[i]->attribute[k];
            decode(f, a->t);
            if (a->g)
                decode_graph(f, a->g);
        }
}

static void read_as(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root)
{
    tern__onnx_file *f = NULL;
    if (tern__onnx_file_parse(data, size, NULL, root, &f) != TERN_OK)
        return;
    if (root == &onnx__model_proto__descriptor)
        decode_graph(f, tern__onnx_file_model(f)->graph);
    else if (root == &onnx__tensor_proto__descriptor)
        decode(f, (const void *)tern__onnx_file_message(f));
    tern__onnx_file_close(f);
}

/* A file in memory that has a path. */
static const char *path_of(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("model", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
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
    if (size > 0 && data[0] == '#') {
        char *text = calloc(1, size + 1);
        memcpy(text, data, size);
        onnx_message m = model_of_text(text);
        import(m.data, m.len);
        onnx_free(&m);
        free(text);
        return 0;
    }
    read_as(data, size, &onnx__model_proto__descriptor);
    read_as(data, size, &onnx__tensor_proto__descriptor);
    read_as(data, size, &onnx__sequence_proto__descriptor);
    read_as(data, size, &onnx__optional_proto__descriptor);
    import(data, size);
    return 0;
}
