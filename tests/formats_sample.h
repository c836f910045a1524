/* A small graph with something of everything that a model file holds, and a folder of the test's own. */
#ifndef TERN_TESTS_FORMATS_SAMPLE_H
#define TERN_TESTS_FORMATS_SAMPLE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/graph.h>
#include <tern/tensor.h>

static char sample_dir[64];

static int sample_setup(void **state)
{
    (void)state;
    strcpy(sample_dir, "/tmp/tern-formats-XXXXXX");
    return mkdtemp(sample_dir) ? 0 : -1;
}

static int sample_teardown(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", sample_dir);
    return system(command);
}

/* A path in the folder; each stays valid for 63 further calls. */
static const char *sample_path(const char *name)
{
    static char path[64][200];
    static int turn;
    char *p = path[turn++ % 64];
    snprintf(p, sizeof path[0], "%s/%s", sample_dir, name);
    return p;
}

/* A tensor of the type with a pattern in it that is valid for every dtype; NULL when memory ran out. */
static tern_tensor *sample_tensor(tern_dtype dtype, int rank, const int64_t *dim)
{
    tern_shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.dim[i] = dim[i];
    tern_tensor *t = NULL;
    if (tern_tensor_create(dtype, &s, &t) != TERN_OK)
        return NULL;
    uint8_t *data = tern_tensor_data(t);
    for (size_t i = 0; i < tern_tensor_size_bytes(t); i++)
        data[i] = dtype == TERN_BOOL ? (uint8_t)(i % 3 == 0) : (uint8_t)(i * 37 + 11 + (size_t)dtype);
    return t;
}

static tern_value sample_variable(tern_graph *g, const char *name, tern_dtype dtype, bool trainable, int rank, const int64_t *dim)
{
    tern_tensor *t = sample_tensor(dtype, rank, dim);
    tern_value v = t ? tern_graph_variable(g, name, t, trainable) : TERN_NONE;
    tern_tensor_destroy(t);
    return v;
}

static tern_value sample_constant(tern_graph *g, tern_dtype dtype, int rank, const int64_t *dim)
{
    tern_tensor *t = sample_tensor(dtype, rank, dim);
    tern_value v = t ? tern_graph_constant(g, t) : TERN_NONE;
    tern_tensor_destroy(t);
    return v;
}

#define DIMS(...) TERN_DIMS_COUNT(__VA_ARGS__), (const int64_t[]){__VA_ARGS__}
#define TERN_DIMS_COUNT(...) ((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

/* Values are made in an order unlike the file's; NULL when memory ran out. */
static tern_graph *sample_graph(void)
{
    static const double floats[] = {0.1, -0.0, 5e-324, 1e308, INFINITY, -INFINITY, NAN, 1.0 / 3};
    static const int64_t pads[] = {1, 1, 0, 1}, axes[] = {-1};
    tern_graph *g = NULL;
    if (tern_graph_create(&g) != TERN_OK)
        return NULL;
    tern_value w = sample_variable(g, "conv/weight", TERN_F32, true, DIMS(4, 3, 2, 2));
    tern_value two = tern_graph_scalar(g, TERN_F32, 2);
    tern_value x = tern_graph_input(g, "x \"quoted\" \\ \n \xc3\xa4", TERN_F32, &(tern_shape){4, {2, 3, 5, 5}}, 1u << 0 | 1u << 2);
    tern_value conv_in[] = {x, w};
    tern_value y = tern_graph_add(g, "conv", conv_in, 2, TERN_ATTRS(TERN_INTS("pads", pads, 4)));
    y = tern_graph_op2(g, "mul", y, two, NULL);
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        y = tern_graph_op1(g, "leaky_relu", y, TERN_ATTRS(TERN_FLOAT("alpha", floats[i])));
    y = tern_graph_op1(g, "clip", y, TERN_ATTRS(TERN_INT("max", 6)));
    tern_value halves[2];
    tern_graph_add_n(g, "split", &y, 1, TERN_ATTRS(TERN_INT("axis", 1)), halves, 2);
    tern_value sum = tern_graph_op1(g, "sum", halves[1], TERN_ATTRS(TERN_INTS("axes", axes, 1), TERN_INT("keepdims", 0)));
    tern_value half = tern_graph_op1(g, "cast", halves[0], TERN_ATTRS(TERN_STRING("to", "f16")));
    tern_value step = sample_variable(g, "const/0", TERN_I64, false, 0, (const int64_t[]){0});
    tern_value next = tern_graph_op2(g, "add", step, tern_graph_scalar(g, TERN_I64, 1), NULL);
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        char name[32];
        snprintf(name, sizeof name, "state/%s", tern_dtype_name((tern_dtype)t));
        sample_variable(g, name, (tern_dtype)t, false, DIMS(1 + t, 3));
        sample_constant(g, (tern_dtype)t, DIMS(3, 1 + t));
    }
    sample_variable(g, "empty", TERN_F64, false, DIMS(0, 7));
    tern_graph_assign(g, step, next);
    tern_graph_output(g, "sum", sum);
    tern_graph_output(g, "half", half);
    tern_graph_output(g, "const/0", step);
    if (tern_graph_check(g) == TERN_OK)
        return g;
    tern_graph_destroy(g);
    return NULL;
}

#endif
