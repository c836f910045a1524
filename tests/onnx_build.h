/* ONNX models for tests, written byte by byte: messages, graphs, nodes with attributes, tensors.
 *
 *     onnx_message g = {0}, n = onnx_node("Concat", "a b", "y");
 *     onnx_attr_int(&n, "axis", 1);
 *     onnx_input(&g, "a", ONNX_FLOAT, 2, (int64_t[]){2, 3});
 *     onnx_weights(&g, "b", 2, (int64_t[]){2, 1}, (float[]){1, 2});
 *     onnx_add(&g, &n);
 *     onnx_output(&g, "y", ONNX_FLOAT);
 *     onnx_save(&g, 17, path);
 */
#ifndef TERN_TESTS_ONNX_BUILD_H
#define TERN_TESTS_ONNX_BUILD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Element types by their numbers in the format. */
enum { ONNX_FLOAT = 1, ONNX_UINT8, ONNX_INT8, ONNX_UINT16, ONNX_INT16, ONNX_INT32, ONNX_INT64, ONNX_STRING, ONNX_BOOL, ONNX_FLOAT16, ONNX_DOUBLE,
       ONNX_UINT32, ONNX_UINT64, ONNX_COMPLEX64, ONNX_COMPLEX128, ONNX_BFLOAT16 };

/* A message as it grows. onnx_put_message and the functions that take one in free it. */
typedef struct onnx_message {
    uint8_t *data;
    size_t len, cap;
} onnx_message;

static inline void onnx_free(onnx_message *m)
{
    free(m->data);
    *m = (onnx_message){0};
}

static inline void onnx_raw(onnx_message *m, const void *data, size_t size)
{
    if (m->cap - m->len < size) {
        m->cap = 2 * (m->len + size);
        m->data = realloc(m->data, m->cap);
        if (!m->data)
            abort();
    }
    if (size)
        memcpy(m->data + m->len, data, size);
    m->len += size;
}

static inline void onnx_number(onnx_message *m, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        onnx_raw(m, &(uint8_t){(uint8_t)(v | 0x80)}, 1);
    onnx_raw(m, &(uint8_t){(uint8_t)v}, 1);
}

/* --- Fields --- */

static inline void onnx_put_int(onnx_message *m, unsigned id, int64_t v)
{
    onnx_number(m, (uint64_t)id << 3);
    onnx_number(m, (uint64_t)v);
}

static inline void onnx_put_float(onnx_message *m, unsigned id, float v)
{
    onnx_number(m, (uint64_t)id << 3 | 5);
    onnx_raw(m, &v, sizeof v);
}

static inline void onnx_put_bytes(onnx_message *m, unsigned id, const void *data, size_t size)
{
    onnx_number(m, (uint64_t)id << 3 | 2);
    onnx_number(m, size);
    onnx_raw(m, data, size);
}

static inline void onnx_put_text(onnx_message *m, unsigned id, const char *text) { onnx_put_bytes(m, id, text, strlen(text)); }

static inline void onnx_put_message(onnx_message *m, unsigned id, onnx_message *inner)
{
    onnx_put_bytes(m, id, inner->data, inner->len);
    onnx_free(inner);
}

/* --- Tensors --- */

/* Without elements, for tests that write them in their own way. */
static inline onnx_message onnx_tensor_head(const char *name, int elem_type, int rank, const int64_t *dims)
{
    onnx_message t = {0};
    for (int i = 0; i < rank; i++)
        onnx_put_int(&t, 1, dims[i]);
    onnx_put_int(&t, 2, elem_type);
    onnx_put_text(&t, 8, name);
    return t;
}

static inline onnx_message onnx_tensor(const char *name, int elem_type, int rank, const int64_t *dims, const void *data)
{
    static const int sizes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2};
    onnx_message t = onnx_tensor_head(name, elem_type, rank, dims);
    size_t size = (size_t)sizes[elem_type];
    for (int i = 0; i < rank; i++)
        size *= (size_t)dims[i];
    onnx_put_bytes(&t, 9, data, size);
    return t;
}

/* --- Nodes --- */

/* names: separated by blanks; "-" stands for one that is left empty. */
static inline void onnx_put_names(onnx_message *m, unsigned id, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        onnx_put_bytes(m, id, names, n == 1 && *names == '-' ? 0 : n);
        names += n + (names[n] == ' ');
    }
}

/* op may be "domain:Name". */
static inline onnx_message onnx_node(const char *op, const char *inputs, const char *outputs)
{
    onnx_message n = {0};
    const char *colon = strchr(op, ':');
    onnx_put_names(&n, 1, inputs);
    onnx_put_names(&n, 2, outputs);
    onnx_put_text(&n, 4, colon ? colon + 1 : op);
    if (colon)
        onnx_put_bytes(&n, 7, op, (size_t)(colon - op));
    return n;
}

static inline void onnx_attr(onnx_message *node, const char *name, int type, onnx_message *a)
{
    onnx_put_text(a, 1, name);
    onnx_put_int(a, 20, type);
    onnx_put_message(node, 5, a);
}

static inline void onnx_attr_float(onnx_message *node, const char *name, float v)
{
    onnx_message a = {0};
    onnx_put_float(&a, 2, v);
    onnx_attr(node, name, 1, &a);
}

static inline void onnx_attr_int(onnx_message *node, const char *name, int64_t v)
{
    onnx_message a = {0};
    onnx_put_int(&a, 3, v);
    onnx_attr(node, name, 2, &a);
}

static inline void onnx_attr_string(onnx_message *node, const char *name, const char *v)
{
    onnx_message a = {0};
    onnx_put_text(&a, 4, v);
    onnx_attr(node, name, 3, &a);
}

static inline void onnx_attr_tensor(onnx_message *node, const char *name, onnx_message *tensor)
{
    onnx_message a = {0};
    onnx_put_message(&a, 5, tensor);
    onnx_attr(node, name, 4, &a);
}

static inline void onnx_attr_graph(onnx_message *node, const char *name, onnx_message *graph)
{
    onnx_message a = {0};
    onnx_put_message(&a, 6, graph);
    onnx_attr(node, name, 5, &a);
}

static inline void onnx_attr_floats(onnx_message *node, const char *name, int n, const float *v)
{
    onnx_message a = {0};
    for (int i = 0; i < n; i++)
        onnx_put_float(&a, 7, v[i]);
    onnx_attr(node, name, 6, &a);
}

static inline void onnx_attr_ints(onnx_message *node, const char *name, int n, const int64_t *v)
{
    onnx_message a = {0};
    for (int i = 0; i < n; i++)
        onnx_put_int(&a, 8, v[i]);
    onnx_attr(node, name, 7, &a);
}

/* values: separated by blanks. */
static inline void onnx_attr_strings(onnx_message *node, const char *name, const char *values)
{
    onnx_message a = {0};
    onnx_put_names(&a, 9, values);
    onnx_attr(node, name, 8, &a);
}

/* The attribute of the calling function that this one stands for; type as in AttributeProto. */
static inline void onnx_attr_ref(onnx_message *node, const char *name, int type, const char *of)
{
    onnx_message a = {0};
    onnx_put_text(&a, 21, of);
    onnx_attr(node, name, type, &a);
}

/* --- Graphs --- */

/* A tensor type: rank -1 leaves the shape out; a dimension below 0 is symbolic, with a name of its own ("d1" for the -1, "d2" for the -2 ...). */
static inline onnx_message onnx_type(int elem_type, int rank, const int64_t *dims)
{
    onnx_message type = {0}, tensor = {0}, shape = {0};
    onnx_put_int(&tensor, 1, elem_type);
    for (int i = 0; i < rank; i++) {
        onnx_message d = {0};
        char name[16];
        snprintf(name, sizeof name, "d%d", (int)(dims[i] < 0 && dims[i] >= -INT32_MAX ? -dims[i] : 0));
        if (dims[i] < 0)
            onnx_put_text(&d, 2, name);
        else
            onnx_put_int(&d, 1, dims[i]);
        onnx_put_message(&shape, 1, &d);
    }
    if (rank >= 0)
        onnx_put_message(&tensor, 2, &shape);
    onnx_put_message(&type, 1, &tensor);
    return type;
}

/* A value of some type: field 11 of a graph is an input, 12 an output. */
static inline void onnx_value(onnx_message *graph, unsigned id, const char *name, onnx_message *type)
{
    onnx_message v = {0};
    onnx_put_text(&v, 1, name);
    onnx_put_message(&v, 2, type);
    onnx_put_message(graph, id, &v);
}

static inline void onnx_input(onnx_message *graph, const char *name, int elem_type, int rank, const int64_t *dims)
{
    onnx_message t = onnx_type(elem_type, rank, dims);
    onnx_value(graph, 11, name, &t);
}

/* Of whatever shape. */
static inline void onnx_output(onnx_message *graph, const char *name, int elem_type)
{
    onnx_message t = onnx_type(elem_type, -1, NULL);
    onnx_value(graph, 12, name, &t);
}

static inline void onnx_add(onnx_message *graph, onnx_message *node) { onnx_put_message(graph, 1, node); }

static inline void onnx_initializer(onnx_message *graph, onnx_message *tensor) { onnx_put_message(graph, 5, tensor); }

static inline void onnx_weights(onnx_message *graph, const char *name, int rank, const int64_t *dims, const float *v)
{
    onnx_message t = onnx_tensor(name, ONNX_FLOAT, rank, dims, v);
    onnx_initializer(graph, &t);
}

static inline void onnx_list(onnx_message *graph, const char *name, int n, const int64_t *v)
{
    onnx_message t = onnx_tensor(name, ONNX_INT64, 1, &(int64_t){n}, v);
    onnx_initializer(graph, &t);
}

/* --- Models --- */

static inline void onnx_opset(onnx_message *model, const char *domain, int version)
{
    onnx_message o = {0};
    onnx_put_text(&o, 1, domain);
    onnx_put_int(&o, 2, version);
    onnx_put_message(model, 8, &o);
}

/* A model of this graph, with the default domain at opset and com.microsoft at 1. Takes the graph in. */
static inline onnx_message onnx_model(onnx_message *graph, int opset)
{
    onnx_message m = {0};
    onnx_put_int(&m, 1, 8);
    onnx_put_text(graph, 2, "test");
    onnx_put_message(&m, 7, graph);
    onnx_opset(&m, "", opset);
    onnx_opset(&m, "com.microsoft", 1);
    return m;
}

/* Writes and frees. */
static inline void onnx_write(onnx_message *m, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f || (m->len && fwrite(m->data, 1, m->len, f) != m->len) || fclose(f) != 0) {
        fprintf(stderr, "cannot write %s\n", path);
        abort();
    }
    onnx_free(m);
}

static inline void onnx_save(onnx_message *graph, int opset, const char *path)
{
    onnx_message m = onnx_model(graph, opset);
    onnx_write(&m, path);
}

#endif
