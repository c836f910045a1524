/* Tern's side of the measurements, through the public API: matrix product, convolution chain, training step, start-up. */
#include "common.h"

#include <tern/nn.h>
#include <tern/opencl.h>
#include <tern/session.h>

enum { MAX_TENSORS = 2, BATCHES = 16 };

static struct {
    tern_device *device;
    tern_session *session;
    tern_tensor *in[BATCHES][MAX_TENSORS], *out[1];
    int n_batches, next;
} b;

static void check(tern_status st)
{
    if (st == TERN_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", tern_status_name(st), tern_last_error());
    exit(1);
}

static tern_tensor *random_tensor(const tern_shape *s, uint32_t seed, float scale)
{
    tern_tensor *t;
    check(tern_tensor_create(TERN_F32, s, &t));
    bench_fill(tern_tensor_data(t), tern_tensor_elems(t), seed, scale);
    return t;
}

static tern_value constant(tern_graph *g, const tern_shape *s, uint32_t seed, float scale)
{
    tern_tensor *t = random_tensor(s, seed, scale);
    tern_value v = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    return v;
}

/* A tensor that stays on the device, so that no run copies it. */
static tern_tensor *device_tensor(const tern_shape *s, uint32_t seed)
{
    tern_tensor *host = random_tensor(s, seed, 1.0f), *t;
    cl_int err;
    size_t size = tern_tensor_size_bytes(host);
    cl_mem mem = clCreateBuffer(tern_device_cl_context(b.device), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, tern_tensor_data(host), &err);
    if (err != CL_SUCCESS) {
        fprintf(stderr, "bench: clCreateBuffer of %zu bytes: %d\n", size, err);
        exit(1);
    }
    check(tern_tensor_from_cl(b.device, mem, TERN_F32, s, &t));
    clReleaseMemObject(mem);
    tern_tensor_destroy(host);
    return t;
}

static void clear(void)
{
    tern_session_destroy(b.session);
    b.session = NULL;
    for (int i = 0; i < BATCHES; i++)
        for (int k = 0; k < MAX_TENSORS; k++) {
            tern_tensor_destroy(b.in[i][k]);
            b.in[i][k] = NULL;
        }
    tern_tensor_destroy(b.out[0]);
    b.out[0] = NULL;
    b.n_batches = b.next = 0;
}

static tern_graph *new_graph(void)
{
    tern_graph *g;
    check(tern_graph_create(&g));
    return g;
}

/* Weights are constants: packed when the session is made. Input and output stay on the device. impl: as in tern_session_params. */
static bool prepare_frozen(tern_graph *g, const tern_shape *x, const tern_shape *y, const char *impl)
{
    check(tern_graph_check(g));
    tern_status st = tern_session_create(b.device, g, &(tern_session_params){.freeze = true, .force_impl = impl}, &b.session);
    tern_graph_destroy(g);
    if (impl && st == TERN_E_UNSUPPORTED)
        return false;
    check(st);
    b.in[0][0] = device_tensor(x, 1);
    b.out[0] = device_tensor(y, 2);
    b.n_batches = 1;
    return true;
}

static bool prepare_sgemm(int n, const char *impl)
{
    tern_graph *g = new_graph();
    tern_shape s = {2, {n, n}};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &s, 0);
    tern_graph_output(g, "y", tern_graph_op2(g, "matmul", x, constant(g, &s, 2, 1.0f), NULL));
    return prepare_frozen(g, &s, &s, impl);
}

static bool prepare_conv(int size)
{
    tern_graph *g = new_graph();
    const int64_t channels = size / BENCH_CHANNEL, extent = size % BENCH_CHANNEL;
    tern_shape s = {4, {1, channels, extent, extent}};
    tern_shape ws = {4, {channels, channels, 3, 3}}, bs = {1, {channels}};
    static const int64_t pads[] = {1, 1, 1, 1};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &s, 0);
    for (uint32_t i = 0; i < BENCH_LAYERS; i++) {
        tern_value in[] = {x, constant(g, &ws, 10 + i, 0.05f), constant(g, &bs, 30 + i, 0.1f)};
        x = tern_graph_op1(g, "relu", tern_graph_add(g, "conv", in, 3, TERN_ATTRS(TERN_INTS("pads", pads, 4))), NULL);
    }
    tern_graph_output(g, "y", x);
    return prepare_frozen(g, &s, &s, NULL);
}

/* The demo's network with its loss; with Adam's update when training. */
static tern_graph *demo_graph(int batch, bool training)
{
    tern_graph *g = new_graph();
    tern_nn nn = {g, 1};
    tern_shape xs = {4, {batch, 1, 28, 28}}, ys = {1, {batch}};
    tern_value logits = tern_nn_model(&nn, "convnet", tern_graph_input(g, "x", TERN_F32, &xs, 0), training);
    if (training) {
        tern_value loss = tern_nn_cross_entropy(&nn, logits, tern_graph_input(g, "label", TERN_I32, &ys, 0));
        tern_graph_output(g, "loss", loss);
        check(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam", .lr = 0.001}));
    } else {
        tern_graph_output(g, "logits", logits);
    }
    check(tern_graph_check(g));
    return g;
}

static void prepare_train(int batch)
{
    tern_graph *g = demo_graph(batch, true);
    check(tern_session_create(b.device, g, NULL, &b.session));
    tern_graph_destroy(g);
    tern_shape xs = {4, {batch, 1, 28, 28}}, ys = {1, {batch}};
    for (uint32_t i = 0; i < BATCHES; i++) {
        b.in[i][0] = random_tensor(&xs, 100 + i, 1.0f);
        check(tern_tensor_create(TERN_I32, &ys, &b.in[i][1]));
        int32_t *label = tern_tensor_data(b.in[i][1]);
        for (int k = 0; k < batch; k++)
            label[k] = (int32_t)((k * 7 + (int)i) % 10);
    }
    b.n_batches = BATCHES;
}

static bool prepare(const char *name, int size)
{
    clear();
    if (!strcmp(name, "sgemm"))
        return prepare_sgemm(size, NULL);
    if (!strcmp(name, "sgemm_clblast"))
        return prepare_sgemm(size, "matmul=clblast");
    if (!strcmp(name, "conv"))
        return prepare_conv(size);
    if (strcmp(name, "train"))
        return false;
    prepare_train(size);
    return true;
}

static void run(int repeats)
{
    for (int i = 0; i < repeats; i++)
        check(tern_session_run(b.session, b.in[b.next++ % b.n_batches], b.out[0] ? b.out : NULL));
    check(tern_session_finish(b.session));
}

/* The plan of the demo's training step, in numbers, as JSON. */
static void print_plan(void)
{
    tern_graph *g = demo_graph(128, true);
    check(tern_session_create(b.device, g, NULL, &b.session));
    tern_plan_info p;
    tern_session_get_info(b.session, &p);
    tern_graph_destroy(g);
    printf("{\"bytes_unfused\": %lld, \"bytes_fused\": %lld, \"bytes_lower\": %lld, \"arena_bytes\": %lld, \"arena_lower_bytes\": %lld, "
           "\"n_nodes\": %d, \"n_kernels\": %d, \"n_launches\": %d, \"flops\": %lld}\n",
           (long long)p.bytes_unfused, (long long)p.bytes_fused, (long long)p.bytes_lower, (long long)p.arena_bytes,
           (long long)p.arena_lower_bytes, p.n_nodes, p.n_kernels, p.n_launches, (long long)p.flops);
}

/* How long until the demo's network can run, in this process and with whatever the caches hold; then its first run. */
static void print_ready(bool training, double opened_s)
{
    double start = bench_now();
    tern_graph *g = demo_graph(128, training);
    check(tern_session_create(b.device, g, &(tern_session_params){.freeze = !training}, &b.session));
    double ready = bench_now() - start;
    tern_plan_info p;
    tern_session_get_info(b.session, &p);
    tern_graph_destroy(g);
    tern_shape xs = {4, {128, 1, 28, 28}}, ys = {1, {128}};
    b.in[0][0] = random_tensor(&xs, 1, 1.0f);
    check(tern_tensor_create(TERN_I32, &ys, &b.in[0][1]));
    b.n_batches = 1;
    start = bench_now();
    run(1);
    printf("{\"open_s\": %.6f, \"ready_s\": %.6f, \"build_s\": %.6f, \"first_run_s\": %.6f, \"programs\": %d, \"programs_cached\": %d}\n",
           opened_s, ready, p.build_s, bench_now() - start, p.n_programs, p.n_programs_cached);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    (void)!setenv("POCL_AFFINITY", "1", 0); /* as the tern command does: one core for each worker */
    double start = bench_now();
    check(tern_device_open(strcmp(mode, "--clblast") ? NULL : &(tern_device_params){.family = "simt"}, &b.device)); /* the family that has CLBlast */
    double opened_s = bench_now() - start;
    int status = 0;
    if (!strcmp(mode, "--version")) {
        tern_device_info d;
        tern_device_get_info(b.device, &d);
        printf("%s on %s, %s\n", tern_version(), d.name, d.version);
    } else if (!strcmp(mode, "--plan")) {
        print_plan();
    } else if (!strcmp(mode, "--ready")) {
        print_ready(argc > 2 && !strcmp(argv[2], "train"), opened_s);
    } else {
        status = bench_serve(&(bench_program){prepare, run});
    }
    clear();
    tern_device_close(b.device);
    return status;
}
