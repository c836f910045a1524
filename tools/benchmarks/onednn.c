/* The peer for convolution: oneDNN's direct or Winograd algorithm, in the formats it chooses; reorders are not timed. */
#include "common.h"

#include <oneapi/dnnl/dnnl.h>

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static struct {
    dnnl_primitive_t layer[BENCH_LAYERS];
    dnnl_exec_arg_t args[BENCH_LAYERS][4];
    dnnl_memory_t memory[2 + 2 * BENCH_LAYERS];
    int n_memory;
} chain;

static void check(dnnl_status_t st, const char *what)
{
    if (st == dnnl_success)
        return;
    fprintf(stderr, "oneDNN: %s: status %d\n", what, (int)st);
    exit(1);
}
#define TRY(call) check(call, #call)

/* Memory in the format md; filled through a reorder from plain when plain data is given. */
static dnnl_memory_t memory(const dnnl_memory_desc_t *md, const dnnl_memory_desc_t *plain, float *data)
{
    dnnl_memory_t m, from;
    TRY(dnnl_memory_create(&m, md, engine, DNNL_MEMORY_ALLOCATE));
    if (!data)
        return m;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    TRY(dnnl_memory_create(&from, plain, engine, data));
    TRY(dnnl_reorder_primitive_desc_create(&pd, plain, engine, md, engine, NULL));
    TRY(dnnl_primitive_create(&reorder, pd));
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, m}};
    TRY(dnnl_primitive_execute(reorder, stream, 2, args));
    TRY(dnnl_stream_wait(stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(from);
    return m;
}

/* False: oneDNN has no such algorithm for these extents on this CPU. */
static bool describe(dnnl_alg_kind_t algorithm, const dnnl_dims_t dx, const dnnl_dims_t dw, const dnnl_dims_t db, dnnl_primitive_desc_t *pd)
{
    dnnl_memory_desc_t x, w, b;
    TRY(dnnl_memory_desc_init_by_tag(&x, 4, dx, dnnl_f32, dnnl_format_tag_any));
    TRY(dnnl_memory_desc_init_by_tag(&w, 4, dw, dnnl_f32, dnnl_format_tag_any));
    TRY(dnnl_memory_desc_init_by_tag(&b, 1, db, dnnl_f32, dnnl_x));
    dnnl_dims_t one = {1, 1};
    dnnl_convolution_desc_t desc;
    TRY(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, algorithm, &x, &w, &b, &x, one, one, one));
    dnnl_post_ops_t ops;
    dnnl_primitive_attr_t attr;
    TRY(dnnl_post_ops_create(&ops));
    TRY(dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f));
    TRY(dnnl_primitive_attr_create(&attr));
    TRY(dnnl_primitive_attr_set_post_ops(attr, ops));
    const dnnl_status_t st = dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
    dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    return st == dnnl_success;
}

static void clear(void)
{
    for (int i = 0; i < BENCH_LAYERS && chain.layer[i]; i++)
        dnnl_primitive_destroy(chain.layer[i]);
    for (int i = 0; i < chain.n_memory; i++)
        dnnl_memory_destroy(chain.memory[i]);
    memset(&chain, 0, sizeof chain);
}

static dnnl_memory_t keep(dnnl_memory_t m)
{
    return chain.memory[chain.n_memory++] = m;
}

static bool prepare(const char *name, int size)
{
    const bool winograd = !strcmp(name, "conv_winograd");
    if (!winograd && strcmp(name, "conv"))
        return false;
    if (!engine) {
        TRY(dnnl_engine_create(&engine, dnnl_cpu, 0));
        TRY(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    }
    clear();
    const size_t channels = (size_t)size / BENCH_CHANNEL, extent = (size_t)size % BENCH_CHANNEL;
    dnnl_dims_t dx = {1, (dnnl_dim_t)channels, (dnnl_dim_t)extent, (dnnl_dim_t)extent}, dw = {(dnnl_dim_t)channels, (dnnl_dim_t)channels, 3, 3},
                db = {(dnnl_dim_t)channels};
    dnnl_primitive_desc_t pd;
    if (!describe(winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, dx, dw, db, &pd))
        return false;
    const dnnl_memory_desc_t *src = dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *weights = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    dnnl_memory_desc_t plain_x, plain_w, plain_b;
    TRY(dnnl_memory_desc_init_by_tag(&plain_x, 4, dx, dnnl_f32, dnnl_nchw));
    TRY(dnnl_memory_desc_init_by_tag(&plain_w, 4, dw, dnnl_f32, dnnl_oihw));
    TRY(dnnl_memory_desc_init_by_tag(&plain_b, 1, db, dnnl_f32, dnnl_x));
    const size_t nx = channels * extent * extent, nw = channels * channels * 9;
    float *data = bench_alloc((nx > nw ? nx : nw) * sizeof *data);
    dnnl_memory_t x[2];
    bench_fill(data, nx, 7, 1.0f);
    for (int i = 0; i < 2; i++)
        x[i] = keep(memory(src, &plain_x, data));
    for (int i = 0; i < BENCH_LAYERS; i++) {
        TRY(dnnl_primitive_create(&chain.layer[i], pd));
        bench_fill(data, nw, 10 + (uint32_t)i, 0.05f);
        dnnl_memory_t w = keep(memory(weights, &plain_w, data));
        bench_fill(data, channels, 30 + (uint32_t)i, 0.1f);
        dnnl_memory_t b = keep(memory(&plain_b, &plain_b, data));
        dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, x[i % 2]}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, x[(i + 1) % 2]}};
        memcpy(chain.args[i], args, sizeof args);
    }
    free(data);
    dnnl_primitive_desc_destroy(pd);
    return true;
}

static void run(int repeats)
{
    for (int r = 0; r < repeats; r++)
        for (int i = 0; i < BENCH_LAYERS; i++)
            TRY(dnnl_primitive_execute(chain.layer[i], stream, 4, chain.args[i]));
    TRY(dnnl_stream_wait(stream));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        const dnnl_version_t *v = dnnl_version();
        printf("%d.%d.%d\n", v->major, v->minor, v->patch);
        return 0;
    }
    return bench_serve(&(bench_program){prepare, run});
}
