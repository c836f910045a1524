/* Replays what PyTorch computed (tests/data/truth.*, written by tools/truth.py): ops forward and backward, and the demo's network
 * with its gradients and first 50 losses, through the scalar references and through sessions on the device. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "graph/interpret.h"
#include <tern/nn.h>
#include <tern/session.h>

enum { MAX_CASES = 128, MAX_OPERANDS = 6, MAX_GRADS = 4, MAX_VARIABLES = 8 };

static struct {
    json_t *index, *tensors; /* truth.json, and the header of truth.safetensors */
    uint8_t *bytes;
    size_t offset, size;     /* where tensors start in bytes, and how long the file is */
    tern_device *device;
} truth;

#define OK(call) check((call), #call)
static void check(tern_status st, const char *what)
{
    if (st != TERN_OK)
        fail_msg("%s: %s: %s", what, tern_status_name(st), tern_last_error());
}

/* --- The data --- */

static uint8_t *read_file(const char *name, size_t *size)
{
    char path[1024];
    const char *dir = getenv("TERN_TEST_DATA");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "tests/data", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*size);
    if (data && fread(data, 1, *size, f) != *size) {
        free(data);
        data = NULL;
    }
    fclose(f);
    return data;
}

static int load_truth(void)
{
    size_t size;
    uint8_t *text = read_file("truth.json", &size);
    truth.bytes = read_file("truth.safetensors", &truth.size);
    if (text)
        truth.index = json_loadb((char *)text, size, 0, NULL);
    free(text);
    uint64_t header = 0;
    if (truth.bytes && truth.size >= 8)
        memcpy(&header, truth.bytes, 8);
    truth.offset = 8 + (size_t)header;
    if (truth.bytes && truth.offset <= truth.size)
        truth.tensors = json_loadb((char *)truth.bytes + 8, (size_t)header, 0, NULL);
    return truth.index && truth.tensors ? 0 : -1;
}

/* A stored tensor, by its name; the memory is the file's. */
static tern_tensor *stored(const char *name)
{
    json_t *t = json_object_get(truth.tensors, name), *shape = json_object_get(t, "shape");
    if (!t)
        fail_msg("truth.safetensors has no tensor \"%s\"", name);
    tern_shape s = {.rank = (int)json_array_size(shape)};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = json_integer_value(json_array_get(shape, (size_t)i));
    tern_dtype dtype = strcmp(json_string_value(json_object_get(t, "dtype")), "I64") ? TERN_F32 : TERN_I64;
    size_t at = truth.offset + (size_t)json_integer_value(json_array_get(json_object_get(t, "data_offsets"), 0));
    tern_tensor *out = NULL;
    OK(tern_tensor_wrap(dtype, &s, truth.bytes + at, &out));
    return out;
}

static tern_tensor *stored_of(const char *owner, const char *prefix, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s%s", owner, prefix, name);
    return stored(full);
}

/* got against want, element by element: |got - want| <= allowed * (1 + |want|). */
static void compare(const char *owner, const char *what, const float *got, const tern_tensor *want, double allowed)
{
    const float *w = tern_tensor_data(want);
    for (size_t i = 0; i < tern_tensor_elems(want); i++)
        if (!(fabs((double)got[i] - (double)w[i]) <= allowed * (1 + fabs((double)w[i]))))
            fail_msg("%s: %s: element %zu is %.9g and should be %.9g", owner, what, i, (double)got[i], (double)w[i]);
}

/* --- One op at a time --- */

typedef struct op_case {
    const char *name, *group, *op;
    json_t *json;
    tern_value in[MAX_OPERANDS], y, grad[MAX_GRADS];
    int n_in, n_grad;
    tern_tensor *result[1 + MAX_GRADS]; /* y, then the gradients, from the device */
} op_case;

static op_case cases[MAX_CASES];
static int n_cases;

/* The attributes of a case as the builder wants them; ints needs room for all. */
static void read_attrs(json_t *json, tern_attr *attrs, int64_t *ints)
{
    const char *key;
    json_t *v;
    json_object_foreach(json, key, v) {
        *attrs = (tern_attr){.name = key};
        if (json_is_integer(v)) {
            attrs->type = TERN_ATTR_INT;
            attrs->i = json_integer_value(v);
        } else if (json_is_real(v)) {
            attrs->type = TERN_ATTR_FLOAT;
            attrs->f = json_real_value(v);
        } else {
            attrs->type = TERN_ATTR_INTS;
            attrs->ints = ints;
            attrs->n_ints = (int)json_array_size(v);
            for (int i = 0; i < attrs->n_ints; i++)
                *ints++ = json_integer_value(json_array_get(v, (size_t)i));
        }
        attrs++;
    }
    *attrs = (tern_attr){0};
}

/* An input of the graph with the stored tensor's name, type and shape; the tensor is appended to feeds. */
static tern_value feed(tern_graph *g, const char *owner, const char *name, tern_tensor **feeds)
{
    tern_tensor *t = stored_of(owner, "", name);
    char full[128];
    snprintf(full, sizeof full, "%s/%s", owner, name);
    feeds[tern_graph_n_inputs(g)] = t;
    return tern_graph_input(g, full, tern_tensor_dtype(t), tern_tensor_shape(t), 0);
}

/* Adds a case to a graph: its inputs, the op, and the gradients of sum(y * r). Outputs: y, then one per gradient. */
static void build_case(tern_graph *g, op_case *c, tern_tensor **feeds)
{
    tern_attr attrs[8];
    int64_t ints[32];
    char name[160];
    json_t *in = json_object_get(c->json, "in"), *grad = json_object_get(c->json, "grad");
    read_attrs(json_object_get(c->json, "attrs"), attrs, ints);
    c->n_in = (int)json_array_size(in);
    c->n_grad = (int)json_array_size(grad);
    for (int i = 0; i < c->n_in; i++)
        c->in[i] = feed(g, c->name, json_string_value(json_array_get(in, (size_t)i)), feeds);
    c->y = tern_graph_add(g, c->op, c->in, c->n_in, attrs);
    OK(tern_graph_check(g));
    snprintf(name, sizeof name, "%s/out", c->name);
    tern_graph_output(g, name, c->y);
    tern_value r = feed(g, c->name, "r", feeds);
    tern_value loss = tern_graph_op1(g, "sum", tern_graph_op2(g, "mul", c->y, r, NULL), TERN_ATTRS(TERN_INT("keepdims", 0)));
    tern_value wrt[MAX_GRADS];
    for (int k = 0; k < c->n_grad; k++)
        for (int i = 0; i < c->n_in; i++)
            if (json_equal(json_array_get(grad, (size_t)k), json_array_get(in, (size_t)i)))
                wrt[k] = c->in[i];
    if (c->n_grad > 0)
        OK(tern_graph_gradients(g, loss, wrt, c->n_grad, c->grad));
    for (int k = 0; k < c->n_grad; k++) {
        snprintf(name, sizeof name, "%s/grad%d", c->name, k);
        tern_graph_output(g, name, c->grad[k]);
    }
    OK(tern_graph_check(g));
}

static void compare_case(const op_case *c, const float *const *got, double allowed)
{
    tern_tensor *want = stored_of(c->name, "", "y");
    compare(c->name, "y", got[0], want, allowed);
    tern_tensor_destroy(want);
    for (int k = 0; k < c->n_grad; k++) {
        const char *name = json_string_value(json_array_get(json_object_get(c->json, "grad"), (size_t)k));
        want = stored_of(c->name, "d", name);
        compare(c->name, name, got[1 + k], want, allowed);
        tern_tensor_destroy(want);
    }
}

static void test_reference(void **state)
{
    op_case c = *(op_case *)*state;
    tern_graph *g = NULL;
    tern_tensor *feeds[MAX_OPERANDS + 1];
    OK(tern_graph_create(&g));
    build_case(g, &c, feeds);
    tern__array in[MAX_OPERANDS + 1];
    for (int i = 0; i < tern_graph_n_inputs(g); i++)
        in[i] = (tern__array){*tern__type_of(g, tern_graph_input_value(g, i)), tern_tensor_data(feeds[i])};
    tern__interp it;
    OK(tern__interp_init(&it, g));
    OK(tern__interp_run(&it, in));
    const float *got[1 + MAX_GRADS];
    for (int i = 0; i < 1 + c.n_grad; i++)
        got[i] = tern__interp_output(&it, i)->data;
    compare_case(&c, got, 1e-5);
    for (int i = 0; i < tern_graph_n_inputs(g); i++)
        tern_tensor_destroy(feeds[i]);
    tern__interp_finish(&it);
    tern_graph_destroy(g);
}

/* Runs all cases of a group in one session, which is built once; the results stay with the cases. */
static void run_group(const char *group)
{
    enum { MAX_FEEDS = 32 * (MAX_OPERANDS + 1), MAX_RESULTS = 32 * (1 + MAX_GRADS) };
    static tern_tensor *feeds[MAX_FEEDS], *results[MAX_RESULTS];
    tern_graph *g = NULL;
    tern_session *s = NULL;
    int n = 0;
    OK(tern_graph_create(&g));
    for (int i = 0; i < n_cases; i++)
        if (!strcmp(cases[i].group, group))
            build_case(g, &cases[i], feeds);
    for (int i = 0; i < n_cases; i++)
        for (int k = 0; !strcmp(cases[i].group, group) && k < 1 + cases[i].n_grad; k++) {
            tern_shape shape;
            OK(tern_graph_value_info(g, tern_graph_output_value(g, n), NULL, &shape));
            OK(tern_tensor_create(TERN_F32, &shape, &results[n++]));
        }
    OK(tern_session_create(truth.device, g, NULL, &s));
    OK(tern_session_run(s, feeds, results));
    n = 0;
    for (int i = 0; i < n_cases; i++)
        for (int k = 0; !strcmp(cases[i].group, group) && k < 1 + cases[i].n_grad; k++)
            cases[i].result[k] = results[n++];
    for (int i = 0; i < tern_graph_n_inputs(g); i++)
        tern_tensor_destroy(feeds[i]);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

static void test_device(void **state)
{
    op_case *c = *state;
    if (!c->result[0])
        run_group(c->group);
    const float *got[1 + MAX_GRADS];
    for (int k = 0; k < 1 + c->n_grad; k++)
        got[k] = tern_tensor_data(c->result[k]);
    compare_case(c, got, 5e-5);
}

/* --- The demo's network, without dropout ---
 * Not on a simulator, where each step takes many minutes: test_session trains a smaller network of the same kind there. */

static struct {
    int batch, batches, steps, sample, n_vars;
    const char *name[MAX_VARIABLES];
    uint32_t seed[MAX_VARIABLES];
    float scale[MAX_VARIABLES];
} net;

static void read_net(void)
{
    json_t *j = json_object_get(truth.index, "net"), *v = json_object_get(j, "variables");
    net.batch = (int)json_integer_value(json_object_get(j, "batch"));
    net.batches = (int)json_integer_value(json_object_get(j, "batches"));
    net.steps = (int)json_integer_value(json_object_get(j, "steps"));
    net.sample = (int)json_integer_value(json_object_get(j, "sample"));
    net.n_vars = (int)json_array_size(v);
    for (int i = 0; i < net.n_vars; i++) {
        json_t *e = json_array_get(v, (size_t)i);
        net.name[i] = json_string_value(json_object_get(e, "name"));
        net.seed[i] = (uint32_t)json_integer_value(json_object_get(e, "seed"));
        net.scale[i] = (float)json_number_value(json_object_get(e, "scale"));
    }
}

/* The same numbers as lcg() in tools/truth.py. */
static void fill(float *x, size_t n, uint32_t state, float scale)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = scale * ((float)(state >> 8) / 8388608.0f - 1.0f);
    }
}

/* The same images as images() in tools/truth.py. */
static void batch_of(int b, tern_tensor *x, tern_tensor *y)
{
    float *pixel = tern_tensor_data(x);
    int32_t *label = tern_tensor_data(y);
    for (int k = 0; k < net.batch; k++) {
        int i = b * net.batch + k, c = i % 10;
        label[k] = c;
        for (int row = 0; row < 28; row++)
            for (int col = 0; col < 28; col++)
                *pixel++ = (float)((row * (c + 1) + col * (c * c + 3) + i * 7) % 32) / 32.0f - 0.5f;
    }
}

static tern_value build_net(tern_graph *g)
{
    tern_nn nn = {g, 1};
    tern_shape xs = {4, {net.batch, 1, 28, 28}}, ys = {1, {net.batch}};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &xs, 0), y = tern_graph_input(g, "y", TERN_I32, &ys, 0);
    x = tern_nn_max_pool2d(&nn, tern_nn_relu(&nn, tern_nn_conv2d(&nn, "conv1", x, 32, 3, 1, 1)), 2, 2);
    x = tern_nn_max_pool2d(&nn, tern_nn_relu(&nn, tern_nn_conv2d(&nn, "conv2", x, 64, 3, 1, 1)), 2, 2);
    x = tern_nn_relu(&nn, tern_nn_dense(&nn, "dense1", tern_nn_flatten(&nn, x), 128));
    tern_value loss = tern_nn_cross_entropy(&nn, tern_nn_dense(&nn, "dense2", x, 10), y);
    OK(tern_graph_check(g));
    tern_graph_output(g, "loss", loss);
    return loss;
}

static void write_weights(tern_session *s, const tern_graph *g)
{
    for (int i = 0; i < net.n_vars; i++) {
        tern_value v;
        tern_shape shape;
        tern_tensor *t;
        OK(tern_graph_find(g, net.name[i], &v));
        OK(tern_graph_value_info(g, v, NULL, &shape));
        OK(tern_tensor_create(TERN_F32, &shape, &t));
        fill(tern_tensor_data(t), tern_tensor_elems(t), net.seed[i], net.scale[i]);
        OK(tern_store_write(tern_session_store(s), net.name[i], t));
        tern_tensor_destroy(t);
    }
}

static void new_batch(tern_tensor *in[2])
{
    tern_shape xs = {4, {net.batch, 1, 28, 28}}, ys = {1, {net.batch}};
    OK(tern_tensor_create(TERN_F32, &xs, &in[0]));
    OK(tern_tensor_create(TERN_I32, &ys, &in[1]));
}

/* Every net.sample-th element of a gradient whose truth was thinned out; all of the others. */
static void compare_gradient(const char *name, const tern_tensor *got)
{
    tern_tensor *want = stored_of("net", "d", name);
    size_t n = tern_tensor_elems(want), step = n == tern_tensor_elems(got) ? 1 : (size_t)net.sample;
    float *picked = malloc(n * sizeof *picked);
    assert_non_null(picked);
    assert_in_range((n - 1) * step, 0, tern_tensor_elems(got) - 1);
    for (size_t i = 0; i < n; i++)
        picked[i] = ((const float *)tern_tensor_data(got))[i * step];
    compare("net", name, picked, want, 1e-5);
    free(picked);
    tern_tensor_destroy(want);
}

static void test_gradients(void **state)
{
    (void)state;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        skip();
    tern_graph *g = NULL;
    tern_session *s = NULL;
    tern_tensor *in[2], *out[1 + MAX_VARIABLES];
    tern_value wrt[MAX_VARIABLES], grad[MAX_VARIABLES];
    OK(tern_graph_create(&g));
    tern_value loss = build_net(g);
    for (int i = 0; i < net.n_vars; i++)
        OK(tern_graph_find(g, net.name[i], &wrt[i]));
    OK(tern_graph_gradients(g, loss, wrt, net.n_vars, grad));
    for (int i = 0; i < net.n_vars; i++) {
        char name[64];
        snprintf(name, sizeof name, "grad%d", i);
        tern_graph_output(g, name, grad[i]);
    }
    for (int i = 0; i < 1 + net.n_vars; i++) {
        tern_shape shape;
        OK(tern_graph_value_info(g, tern_graph_output_value(g, i), NULL, &shape));
        OK(tern_tensor_create(TERN_F32, &shape, &out[i]));
    }
    OK(tern_session_create(truth.device, g, NULL, &s));
    write_weights(s, g);
    new_batch(in);
    batch_of(0, in[0], in[1]);
    OK(tern_session_run(s, in, out));
    for (int i = 0; i < net.n_vars; i++)
        compare_gradient(net.name[i], out[1 + i]);
    for (int i = 0; i < 1 + net.n_vars; i++)
        tern_tensor_destroy(out[i]);
    tern_tensor_destroy(in[0]);
    tern_tensor_destroy(in[1]);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* Trains for 50 steps. A loss may be off by 20 times what PyTorch's own float32 run was off by then, and by 1e-5 at least. */
static void test_losses(void **state)
{
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        skip();
    const tern_optimizer *opt = *state;
    tern_graph *g = NULL;
    tern_session *s = NULL;
    tern_tensor *in[2], *out;
    OK(tern_graph_create(&g));
    OK(tern_graph_minimize(g, build_net(g), opt));
    OK(tern_session_create(truth.device, g, NULL, &s));
    write_weights(s, g);
    new_batch(in);
    OK(tern_tensor_create(TERN_F32, &(tern_shape){0}, &out));
    tern_tensor *want = stored_of("net", "loss_", opt->name), *off = stored_of("net", "off_", opt->name);
    for (int i = 0; i < net.steps; i++) {
        batch_of(i % net.batches, in[0], in[1]);
        OK(tern_session_run(s, in, &out));
        double got = *(float *)tern_tensor_data(out), w = ((float *)tern_tensor_data(want))[i];
        double allowed = fmax(1e-5, 20 * (double)((float *)tern_tensor_data(off))[i]);
        if (!(fabs(got - w) <= allowed))
            fail_msg("%s: the loss of step %d is %.7f and should be %.7f, give or take %.1g", opt->name, i, got, w, allowed);
    }
    tern_tensor_destroy(want);
    tern_tensor_destroy(off);
    tern_tensor_destroy(out);
    tern_tensor_destroy(in[0]);
    tern_tensor_destroy(in[1]);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* --- */

static int set_up(void **state)
{
    (void)state;
    read_net();
    return tern_device_open(NULL, &truth.device) == TERN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < n_cases; i++)
        for (int k = 0; k < 1 + MAX_GRADS; k++)
            tern_tensor_destroy(cases[i].result[k]);
    tern_device_close(truth.device);
    return 0;
}

int main(void)
{
    static struct CMUnitTest tests[2 * MAX_CASES + 4];
    static char names[2 * MAX_CASES][96];
    static tern_optimizer optimizers[] = {{.name = "sgd", .lr = 0.05}, {.name = "momentum", .lr = 0.01, .momentum = 0.9}, {.name = "adam", .lr = 0.001}};
    static const char *const titles[] = {"losses of sgd", "losses of momentum", "losses of adam"};
    if (load_truth() != 0) {
        fprintf(stderr, "tests/data/truth.json or truth.safetensors is missing or damaged\n");
        return 1;
    }
    json_t *list = json_object_get(truth.index, "cases");
    int n = 0;
    n_cases = (int)json_array_size(list);
    for (int i = 0; i < n_cases && i < MAX_CASES; i++) {
        json_t *j = json_array_get(list, (size_t)i);
        cases[i] = (op_case){.name = json_string_value(json_object_get(j, "name")), .group = json_string_value(json_object_get(j, "group")),
                             .op = json_string_value(json_object_get(j, "op")), .json = j};
        snprintf(names[n], sizeof names[n], "reference %s", cases[i].name);
        tests[n] = (struct CMUnitTest){names[n], test_reference, NULL, NULL, &cases[i]};
        n++;
        snprintf(names[n], sizeof names[n], "device %s", cases[i].name);
        tests[n] = (struct CMUnitTest){names[n], test_device, NULL, NULL, &cases[i]};
        n++;
    }
    tests[n++] = (struct CMUnitTest){"gradients of the demo's network", test_gradients, NULL, NULL, NULL};
    for (int i = 0; i < 3; i++)
        tests[n++] = (struct CMUnitTest){titles[i], test_losses, NULL, NULL, &optimizers[i]};
    int failed = _cmocka_run_group_tests("truth", tests, (size_t)n, set_up, tear_down);
    json_decref(truth.index);
    json_decref(truth.tensors);
    free(truth.bytes);
    return failed;
}
