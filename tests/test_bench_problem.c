/* The shape strings of tern bench: what benchdnn's grammar means, what is refused, and that the shortest form means the same again. */
/* The command is no library: its two files that touch no device are compiled in, before cmocka has a fail() of its own. */
#include "../src/cli/bench_graph.c"
#include "../src/cli/bench_problem.c"

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/philox.h"

/* Graphs that are only checked draw nothing. */
void cli_fill_random(tern_tensor *t, uint64_t seed)
{
    (void)t;
    fail_msg("numbers were drawn from seed %llu", (unsigned long long)seed);
}

static bench_problem parsed(const char *kind, const char *shape)
{
    bench_problem p;
    char why[256] = "";
    if (!bench_parse(kind, shape, &p, why, sizeof why))
        fail_msg("%s %s: %s", kind, shape, why);
    return p;
}

/* The sentence must hold what it should be about. */
static void refused(const char *kind, const char *shape, const char *about)
{
    bench_problem p;
    char why[256] = "";
    if (bench_parse(kind, shape, &p, why, sizeof why))
        fail_msg("%s %s was taken as %s", kind, shape, p.text);
    if (!strstr(why, about))
        fail_msg("%s %s: \"%s\" does not say \"%s\"", kind, shape, why, about);
}

static void check_axis(const bench_problem *p, int a, const int64_t want[7])
{
    const int64_t got[] = {p->in[a], p->out[a], p->kernel[a], p->stride[a], p->dilation[a], p->pad[a], p->pad_end[a]};
    for (int i = 0; i < 7; i++)
        if (got[i] != want[i])
            fail_msg("%s: number %d of axis %d is %lld, not %lld", p->text, i, a, (long long)got[i], (long long)want[i]);
}

static void test_convolutions(void **state)
{
    (void)state;
    bench_problem p = parsed("conv", "mb1ic64ih56oc64oh56kh3ph1");
    assert_int_equal(p.n_dims, 2);
    assert_int_equal(p.batch, 1);
    assert_int_equal(p.group, 1);
    assert_int_equal(p.c_in, 64);
    assert_int_equal(p.c_out, 64);
    for (int a = 1; a < 3; a++) /* width as height */
        check_axis(&p, a, (const int64_t[]){56, 56, 3, 1, 1, 1, 1});
    check_axis(&p, 0, (const int64_t[]){1, 1, 1, 1, 1, 0, 0});
    assert_string_equal(p.text, "conv mb1ic64ih56oc64oh56kh3ph1");
    assert_true(bench_flops(&p) == 2.0 * 64 * 56 * 56 * 64 * 9);

    /* The output from the padding, rounded down: not all of the padding behind is needed. */
    p = parsed("conv", "mb1ic3ih224oc64kh7sh2ph3");
    check_axis(&p, 1, (const int64_t[]){224, 112, 7, 2, 1, 3, 2});
    /* The padding from the output: 3 in all, of which 1 in front. */
    p = parsed("conv", "mb1ic8ih16oc8oh16kh4");
    check_axis(&p, 1, (const int64_t[]){16, 16, 4, 1, 1, 1, 2});
    /* One padding given: the rest goes behind. */
    p = parsed("conv", "mb1ic8ih16oc8oh16kh4ph0");
    check_axis(&p, 2, (const int64_t[]){16, 16, 4, 1, 1, 0, 3});
    /* Neither: no padding. Dilation counts from 0. */
    p = parsed("conv", "ic8ih16oc8kh3dh1");
    check_axis(&p, 1, (const int64_t[]){16, 12, 3, 1, 2, 0, 0});
    assert_int_equal(p.batch, 2);
    /* A width of its own has benchdnn's own defaults, not the height's stride. */
    p = parsed("conv", "mb1_ic8_ih16iw20_oc8_kh3kw5_sh2_ph1pw2_n\"two words\"");
    check_axis(&p, 1, (const int64_t[]){16, 8, 3, 2, 1, 1, 0});
    check_axis(&p, 2, (const int64_t[]){20, 20, 5, 1, 1, 2, 2});
    assert_string_equal(p.name, "two words");
    p = parsed("conv:relu", "g8mb3ic8iw100oc16kw5nplain name");
    assert_int_equal(p.n_dims, 1);
    assert_int_equal(p.group, 8);
    assert_string_equal(p.op, "relu");
    assert_string_equal(p.name, "plain name");
    check_axis(&p, 2, (const int64_t[]){100, 96, 5, 1, 1, 0, 0});
    assert_true(bench_flops(&p) == 2.0 * 3 * 16 * 96 * 5);
    p = parsed("conv:bwd_w", "mb1ic4id8oc4kd3");
    assert_int_equal(p.n_dims, 3);
    for (int a = 0; a < 3; a++)
        check_axis(&p, a, (const int64_t[]){8, 6, 3, 1, 1, 0, 0});
    p = parsed("pool:avg_p", "mb1ic4ih8oh4kh3sh2ph1");
    check_axis(&p, 1, (const int64_t[]){8, 4, 3, 2, 1, 1, 0});
    assert_int_equal(p.c_out, 4);
}

static void test_others(void **state)
{
    (void)state;
    bench_problem p = parsed("gemm", "3:5:7");
    assert_int_equal(p.batch, 1);
    assert_int_equal(p.m, 3);
    assert_int_equal(p.n, 5);
    assert_int_equal(p.k, 7);
    assert_true(bench_flops(&p) == 210);
    p = parsed("matmul", "12x512:64:128:nt");
    assert_int_equal(p.batch, 12);
    assert_int_equal(p.m, 512);
    assert_false(p.trans_a);
    assert_true(p.trans_b);
    assert_string_equal(p.text, "matmul 12x512:64:128:nt");
    p = parsed("gemm", "1x8:8:8:nn");
    assert_string_equal(p.text, "gemm 8:8:8");
    p = parsed("eltwise", "2x3x4");
    assert_string_equal(p.text, "eltwise:relu 2x3x4");
    p = parsed("eltwise:add", "2x3:3");
    assert_int_equal(p.n_shapes, 2);
    p = parsed("reduce", "4x5x6");
    assert_string_equal(p.text, "reduce:sum 4x5x6:4x5x1");
    p = parsed("reduce:max", "4x5x6:1x5x1");
    assert_string_equal(p.text, "reduce:max 4x5x6:1x5x1");
    assert_int_equal(parsed("softmax", "4x5").number, -1);
    assert_int_equal(parsed("softmax:0", "4x5").number, 0);
    assert_int_equal(parsed("norm:group", "1x64x3").number, 32);
    assert_int_equal(parsed("norm:group4", "1x64x3").number, 4);
    assert_string_equal(parsed("norm", "4x5").op, "layer");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *shape, *about;
    } bad[] = {
        {"fly", "1", "no kind"}, {"", "1", "no kind"}, {"model", "m.onnx", "no kind"}, {"convolution", "ih3", "no kind"},
        {"conv", "", "no extents"}, {"conv", "mb1ic4oc4", "no extents"}, {"conv", "mb1ih8kh3oc4", "ic needs"}, {"conv", "mb1ic4ih8kh3", "oc needs"},
        {"conv", "mb0ic4ih8oc4kh3", "mb needs"}, {"conv", "g0mb1ic4ih8oc4kh3", "g needs"}, {"conv", "g3mb1ic4ih8oc6kh3", "groups"},
        {"conv", "mb1ic4ih8oc4", "kh needs"}, {"conv", "mb1ic4oc4kh3", "ih needs"}, {"conv", "mb1ic4ih8iw8oc4kh3", "kw needs"},
        {"conv", "mb1ic4ih8oc4kh3sh0", "sh needs"}, {"conv", "mb1ic4ih8oc4kh9", "does not fit"}, {"conv", "mb1ic4ih8oc4oh3kh1", "unused"},
        {"conv", "mb1mb1ic4ih8oc4kh3", "twice"}, {"conv", "mbic4ih8oc4kh3", "mb needs a whole number"}, {"conv", "mb-1ic4ih8oc4kh3", "whole number"},
        {"conv", "mb1ic4ih8oc4kh3x", "begins with none"}, {"conv", "mb1 ic4ih8oc4kh3", "begins with none"}, {"conv", "mb99999999999999999999", "whole number"},
        {"conv", "mb16777217ic4ih8oc4kh3", "whole number"}, {"conv", "mb16777216ic4ih16777216oc4kh3", "elements"},
        {"conv", "mb1024ic4096ih64oc4096kh31ph15", "operations"}, {"conv:tanh", "mb1ic4ih8oc4kh3", "no \"tanh\""}, {"conv:", "mb1ic4ih8oc4kh3", "colon"},
        {"conv:relu|bwd_d", "mb1ic4ih8oc4kh3", "no \""}, {"pool", "mb1ic4oc4ih8kh2", "no oc"}, {"pool", "g2mb1ic4ih8kh2", "no g"},
        {"pool:median", "mb1ic4ih8kh2", "median"},
        {"gemm", "", "product"}, {"gemm", "3:4", "product"}, {"gemm", "3:4:5:6", "product"}, {"gemm", "3:4:5:nx", "product"}, {"gemm", "3:4:5:ntt", "product"},
        {"gemm", "3:4:5:n", "product"}, {"gemm", "x3:4:5", "product"}, {"gemm", "0:4:5", "is 0"}, {"gemm", "0x3:4:5", "is 0"},
        {"gemm:nt", "3:4:5", "nothing behind"},
        {"gemm", "16777216:16777216:1", "elements"}, {"gemm", "262144:262144:262144", "operations"}, {"gemm", "3 :4:5", "product"},
        {"eltwise", "", "numbers from 1"}, {"eltwise", "2x", "numbers from 1"}, {"eltwise", "2x0", "numbers from 1"}, {"eltwise", "1x1x1x1x1x1x1x1x1", "axes"},
        {"eltwise", "2:2:2:2", "more than 3"}, {"eltwise", "2:", "numbers from 1"}, {"eltwise", "2;", "follow"}, {"eltwise:levitate", "2", "levitate"},
        {"eltwise:a_name_that_is_much_longer_than_any_op", "2", "too much"}, {"reduce", "4:4", "at least one"}, {"reduce", "4x4:4", "extent"},
        {"reduce", "4x4:2x4", "extent"}, {"reduce:median", "4", "median"}, {"reduce", "1", "at least one"}, {"softmax:2", "4x4", "no axis 2"},
        {"softmax:x", "4", "whole number"}, {"softmax", "4:4", "more than 1"}, {"norm:batch", "4x4", "one more axis"}, {"norm:group3", "1x4x4", "divide"},
        {"norm:group0", "1x4x4", "from 1"}, {"norm:groups", "1x4x4", "from 1"}, {"norm:nothing", "4", "nothing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].kind, bad[i].shape, bad[i].about);
    char name[128] = "mb1ic4ih8oc4kh3n";
    memset(name + strlen(name), 'a', 100);
    refused("conv", name, "name");
}

static void check_again(const bench_problem *p)
{
    char kind[64], why[256];
    bench_problem again;
    const char *space = strchr(p->text, ' ');
    assert_non_null(space);
    snprintf(kind, sizeof kind, "%.*s", (int)(space - p->text), p->text);
    if (!bench_parse(kind, space + 1, &again, why, sizeof why))
        fail_msg("%s is not understood: %s", p->text, why);
    assert_string_equal(again.text, p->text);
    for (int a = 0; a < 3; a++)
        check_axis(&again, a, (const int64_t[]){p->in[a], p->out[a], p->kernel[a], p->stride[a], p->dilation[a], p->pad[a], p->pad_end[a]});
    const int64_t got[] = {again.kind, again.n_dims, again.group, again.batch, again.c_in, again.c_out, again.m, again.n, again.k, again.trans_a, again.trans_b,
                           again.n_shapes, again.number};
    const int64_t want[] = {p->kind, p->n_dims, p->group, p->batch, p->c_in, p->c_out, p->m, p->n, p->k, p->trans_a, p->trans_b, p->n_shapes, p->number};
    assert_memory_equal(got, want, sizeof got);
}

static double elems(int64_t a, int64_t b, const int64_t extent[3])
{
    return (double)(a * b * extent[0] * extent[1] * extent[2]);
}

/* Tern's own shape rules come to the extents that the problem says. */
static void check_graph(bench_problem *p)
{
    if (p->kind != BENCH_CONV && p->kind != BENCH_POOL)
        return;
    bool accepted = bench_check(p, TERN_F32) == TERN_OK;
    if (!accepted && p->kind == BENCH_POOL && strstr(tern_last_error(), "must be less than the window"))
        return; /* of nothing but padding there is no maximum */
    if (!accepted)
        fail_msg("%s: %s", p->text, tern_last_error());
    double want = elems(p->batch, p->c_in, p->in) + elems(p->batch, p->c_out, p->out);
    if (p->kind == BENCH_CONV)
        want += elems(p->c_out, p->c_in / p->group, p->kernel) + (strcmp(p->op, "relu") ? 0 : (double)p->c_out);
    if (p->bytes != 4 * want)
        fail_msg("%s: its graph has %.0f bytes, not %.0f", p->text, p->bytes, 4 * want);
}

static void test_defaults(void **state)
{
    (void)state;
    int n;
    const bench_default *all = bench_defaults(&n);
    assert_in_range(n, 10, 100);
    for (int i = 0; i < n; i++) {
        bench_problem p = parsed(all[i].kind, all[i].shape);
        check_again(&p);
        check_graph(&p);
        for (int k = 0; k < i; k++) { /* a problem that comes twice would be found once */
            bench_problem q = parsed(all[k].kind, all[k].shape);
            assert_string_not_equal(p.text, q.text);
        }
    }
}

static uint32_t draw(uint64_t i, uint32_t below) { return tern__philox_word(7, 0, i) % below; }

/* Pieces of the grammar in any order: whatever is taken must come back from its shortest form, and nothing may be read out of bounds. */
static void test_random(void **state)
{
    (void)state;
    static const char *const kind[] = {"conv", "conv:relu", "pool", "gemm", "matmul", "eltwise", "reduce:max", "softmax", "softmax:1", "attention:causal",
                                       "norm:group2", "norm:batch"};
    static const char *const piece[] = {"g", "mb", "ic", "oc", "id", "ih", "iw", "od", "oh", "ow", "kd", "kh", "kw", "sd", "sh", "sw", "pd", "ph", "pw",
                                        "dd", "dh", "dw",
                                        "_", "n\"x\"", "x", ":", "nt", "4", "99999999999", "\xff", "-", "ic4oc4_mb", "ih8kh3_oh", "iw9kw2_pw", "id5kd2_sd",
                                        "ic4oc4ih8iw9kh3kw3_sh", "ic6oc2iw30kw3_dw", "ic8oc4ih20kh4_oh", "ic8oc4id6ih20iw9kd2kh4kw1_ph"};
    uint64_t at = 0;
    int taken = 0, windows = 0;
    for (int i = 0; i < 60000; i++) {
        char text[256] = "", why[64];
        const char *k = kind[draw(at++, sizeof kind / sizeof *kind)];
        bool window = !strncmp(k, "conv", 4) || !strncmp(k, "pool", 4);
        int pieces = 1 + (int)draw(at++, 4);
        size_t n = 0;
        for (int j = 0; j < pieces; j++) {
            bool key = draw(at++, 4) == 0 || window;
            const char *between = key ? piece[draw(at++, sizeof piece / sizeof *piece)] : j % 2 ? ":" : "x";
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%u", between, (unsigned)draw(at++, 5));
        }
        bench_problem p;
        if (bench_parse(k, text + (window ? 0 : 1), &p, why, sizeof why)) {
            taken++;
            windows += window;
            check_again(&p);
            check_graph(&p);
        }
    }
    if (taken < 2000 || windows < 200)
        fail_msg("only %d problems were taken, %d of them convolutions and pools", taken, windows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions), cmocka_unit_test(test_others), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
