/* Numbers of implementations: the least and the greatest value of each against the references; choices as text, good and bad. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "compile/compile.h"
#include "device/device.h"
#include "graph_help.h"

static tern_device *device;

static void open_family(const char *family)
{
    tern_device_close(device);
    device = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.family = family}, &device));
}

static int close_device(void **state)
{
    (void)state;
    tern_device_close(device);
    return 0;
}

/* --- Every implementation at the ends of what its numbers can be --- */

static tern_graph *small_conv(const char *op, int64_t group)
{
    tern_graph *g = new_graph();
    const int64_t pads[] = {1, 1, 1, 1}, extents[] = {13, 17}, kernel[] = {3, 3};
    const bool forward = !strcmp(op, "conv");
    const int64_t o = group > 1 ? 20 : 36;
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(1, strcmp(op, "conv_grad_input") ? 20 : o, 13, 17), 0), y;
    if (!strcmp(op, "conv_grad_weight"))
        y = tern_graph_op2(g, op, x, tern_graph_input(g, "dy", TERN_F32, SHAPE(1, o, 13, 17), 0), TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INTS("kernel", kernel, 2)));
    else if (forward)
        y = tern_graph_op2(g, op, x, random_constant(g, TERN_F32, SHAPE(o, 20 / group, 3, 3), 5), TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INT("group", group)));
    else
        y = tern_graph_op2(g, op, x, random_constant(g, TERN_F32, SHAPE(o, 20, 3, 3), 5), TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INTS("input_shape", extents, 2)));
    tern_graph_output(g, "y", tern_graph_op1(g, "relu", y, NULL));
    assert_ok(tern_graph_check(g));
    return g;
}

static tern_graph *small_product(void)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(37, 130), 0), y = tern_graph_input(g, "y", TERN_F32, SHAPE(130, 75), 0);
    tern_graph_output(g, "z", tern_graph_op1(g, "neg", tern_graph_op2(g, "matmul", x, y, NULL), NULL));
    assert_ok(tern_graph_check(g));
    return g;
}

static tern_graph *small_attention(int64_t queries)
{
    tern_graph *g = new_graph();
    tern_value in[3];
    for (int i = 0; i < 3; i++)
        in[i] = tern_graph_input(g, (const char *[]){"q", "k", "v"}[i], TERN_F32, i ? SHAPE(1, 2, 300, 20) : SHAPE(1, 2, queries, 20), 0);
    tern_graph_output(g, "y", tern_graph_op1(g, "neg", tern_graph_add(g, "attention", in, 3, NULL), NULL));
    assert_ok(tern_graph_check(g));
    return g;
}

static tern_graph *small_integers(const char *op)
{
    tern_graph *g = new_graph();
    int8_t nothing = 0;
    tern_tensor *zero = tensor_of(&(tern__array){.type = {.dtype = TERN_I8, .shape = *SHAPE(1)}, .data = &nothing});
    const bool conv = !strcmp(op, "conv_integer");
    const int64_t pads[] = {1, 1, 1, 1};
    const tern_value in[4] = {tern_graph_input(g, "x", TERN_U8, conv ? SHAPE(1, 20, 9, 17) : SHAPE(37, 130), 0),
                              random_constant(g, TERN_I8, conv ? SHAPE(36, 20, 3, 3) : SHAPE(130, 75), 5), random_constant(g, TERN_U8, SHAPE(1), 6),
                              tern_graph_constant(g, zero)};
    tern_tensor_destroy(zero);
    tern_graph_output(g, "y", tern_graph_add(g, op, in, 4, conv ? TERN_ATTRS(TERN_INTS("pads", pads, 4)) : NULL));
    assert_ok(tern_graph_check(g));
    return g;
}

/* Terms lie in [-3, 3]; Winograd's error against the size of a sum is test_winograd's matter. */
static void assert_right(const tern_graph *g, const char *force)
{
    tern_session *s = NULL;
    tern_tensor *in[4], *out = NULL;
    tern__interp it = {0};
    tern__array *arrays = random_inputs(g, 5);
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    if (tern_session_create(device, g, &(tern_session_params){.force_impl = force}, &s) != TERN_OK)
        fail_msg("%s: %s", force, tern_last_error());
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = tensor_of(&arrays[i]);
    const tern__array *want = tern__interp_output(&it, 0);
    assert_ok(tern_tensor_create(want->type.dtype, &want->type.shape, &out));
    const tern__array got = {.type = want->type, .data = tern_tensor_data(out)};
    assert_ok(tern_session_run(s, in, &out));
    for (int64_t i = 0; i < tern__elems(&want->type.shape); i++) {
        const double p = tern__array_get(want, i), q = tern__array_get(&got, i);
        if (!(fabs(p - q) <= 1e-4 * (1 + fabs(p))))
            fail_msg("%s: element %d is %.9g, expected %.9g", force, (int)i, q, p);
    }
    tern_tensor_destroy(out);
    for (int i = 0; i < g->n_inputs; i++)
        tern_tensor_destroy(in[i]);
    tern_session_destroy(s);
    tern__interp_finish(&it);
    free_inputs(g, arrays);
}

/* The least, or the greatest, value of a number that the implementation takes here beside those that are set already. */
static void set_end(const tern__compile *c, const tern__node *n, tern__choice *choice, int i, bool greatest)
{
    int32_t found = 0;
    for (const int16_t *v = choice->impl->space->param[i].values; *v && (greatest || !found); v++) {
        tern__str why = {0};
        choice->value[i] = *v;
        if (tern__choice_fits(c, n, choice, &why))
            found = *v;
        tern__str_finish(&why);
    }
    choice->value[i] = found;
}

/* All numbers of an implementation as small, or as large, as can be. */
static void try_end(tern_graph *g, const tern__compile *c, const tern__impl *impl, bool greatest)
{
    tern__choice choice = {.impl = impl};
    tern__str force = {0};
    for (int i = 0; i < impl->space->n; i++) {
        set_end(c, g->nodes[0], &choice, greatest ? impl->space->n - 1 - i : i, greatest);
        assert_true(choice.value[greatest ? impl->space->n - 1 - i : i] > 0);
    }
    tern__str_addf(&force, "%s=", g->nodes[0]->op->name);
    tern__choice_print(&force, &choice);
    assert_right(g, tern__str_text(&force));
    tern__str_finish(&force);
}

/* Every implementation of this family that takes the graph's first node. How many there are. */
static int try_ends(tern_graph *g)
{
    tern__compile c = {.device = device, .g = g, .family = device->family};
    const tern__node *n = g->nodes[0];
    int tried = 0;
    for (int k = 0; n->op->impls[k]; k++) {
        const tern__choice as_it_is = {.impl = n->op->impls[k]};
        const bool simt = !strncmp(as_it_is.impl->name, "simt_", 5);
        tern__str why = {0};
        const bool fits = tern__choice_fits(&c, n, &as_it_is, &why);
        tern__str_finish(&why);
        if (!fits || !as_it_is.impl->space || simt != (device->family == TERN__FAMILY_SIMT))
            continue;
        try_end(g, &c, as_it_is.impl, false);
        try_end(g, &c, as_it_is.impl, true);
        tried++;
    }
    tern_graph_destroy(g);
    return tried;
}

static void cpu_ends_are_right(void **state)
{
    (void)state;
    open_family("cpu");
    assert_int_equal(try_ends(small_product()), 1);
    assert_int_equal(try_ends(small_conv("conv", 20)), 1);
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        return;
    assert_int_equal(try_ends(small_conv("conv", 1)), 3);
    assert_int_equal(try_ends(small_conv("conv_grad_input", 1)), 3);
    assert_int_equal(try_ends(small_conv("conv_grad_weight", 1)), 1);
    assert_int_equal(try_ends(small_attention(21)), 2);
}

/* With and, if the device has one, by the dot product of bytes. */
static void integers_are_right(void **state)
{
    (void)state;
    open_family("cpu");
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        return;
    assert_in_range(try_ends(small_integers("conv_integer")), 1, 2);
    assert_in_range(try_ends(small_integers("matmul_integer")), 1, 2);
}

static void simt_ends_are_right(void **state)
{
    (void)state;
    open_family("simt");
    assert_int_equal(try_ends(small_product()), 1);
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        return;
    assert_int_equal(try_ends(small_conv("conv_grad_weight", 1)), 1);
    assert_int_equal(try_ends(small_attention(21)), 1);
}

/* --- Choices as text --- */

static void choices_are_read(void **state)
{
    (void)state;
    const tern__op *conv = tern__op_find("conv");
    tern__choice c;
    tern__str text = {0};
    assert_ok(tern__choice_parse(conv, "cpu_winograd4:tp=7:strips=2", 27, &c));
    tern__choice_print(&text, &c);
    assert_string_equal(tern__str_text(&text), "cpu_winograd4:tp=7:strips=2");
    assert_ok(tern__choice_parse(conv, "cpu_tile and more", 8, &c));
    assert_string_equal(c.impl->name, "cpu_tile");
    tern__str_finish(&text);
}

static void bad_choices_say_so(void **state)
{
    (void)state;
    static const struct { const char *text; tern_status status; const char *words; } cases[] = {
        {"", TERN_E_NOT_FOUND, "no implementation"},
        {"cpu_til", TERN_E_NOT_FOUND, "cpu_til"},
        {"cpu_tile:", TERN_E_NOT_FOUND, "no number named \"\""},
        {"cpu_tile:size=3", TERN_E_NOT_FOUND, "no number named \"size\""},
        {"cpu_tile:tp", TERN_E_INVALID, "tp"},
        {"cpu_tile:tp=", TERN_E_INVALID, "none of the values"},
        {"cpu_tile:tp=0", TERN_E_INVALID, "none of the values"},
        {"cpu_tile:tp=-1", TERN_E_INVALID, "none of the values"},
        {"cpu_tile:tp=7x", TERN_E_INVALID, "none of the values"},
        {"cpu_tile:tp=4294967303", TERN_E_INVALID, "none of the values"},
        {"cpu_tile:tp=7:nv=99", TERN_E_INVALID, "nv=99"},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern__choice c = {.impl = NULL};
        assert_fails(tern__choice_parse(tern__op_find("conv"), cases[i].text, strlen(cases[i].text), &c), cases[i].status, cases[i].words);
        assert_null(c.impl);
    }
}

static void numbers_out_of_reach_are_refused(void **state)
{
    (void)state;
    static const struct { const char *force; tern_status status; const char *words; } cases[] = {
        {"conv=cpu_tile:tp=14:nv=4", TERN_E_UNSUPPORTED, "tp 14 comes out as"},
        {"cpu_tile:tp=14:nv=4", TERN_E_UNSUPPORTED, "tp 14 comes out as"},
        {"matmul=simt_tile,conv=cpu_tile:tp=3000", TERN_E_INVALID, "tp=3000"},
        {"conv=cpu_winograd4:strips=12:chunk=5:size=1", TERN_E_NOT_FOUND, "size"},
        {"conv=cpu_depthwise:rows=1", TERN_E_UNSUPPORTED, "1 groups"},
    };
    open_family("cpu");
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_session *s = NULL;
        tern_graph *g = small_conv("conv", 1);
        assert_fails(tern_session_create(device, g, &(tern_session_params){.force_impl = cases[i].force}, &s), cases[i].status, cases[i].words);
        assert_null(s);
        tern_graph_destroy(g);
    }
}

/* A table whose values fall, end early or have names twice would mislead whoever searches it. */
static void spaces_are_sound(void **state)
{
    (void)state;
    int n, seen = 0;
    const tern__op *const *ops = tern__op_all(&n);
    for (int k = 0; k < n; k++)
        for (int i = 0; ops[k]->impls && ops[k]->impls[i]; i++) {
            const tern__space *space = ops[k]->impls[i]->space;
            if (!space)
                continue;
            assert_in_range(space->n, 1, TERN__MAX_PARAMS);
            assert_non_null(ops[k]->impls[i]->sources);
            for (int p = 0; p < space->n; p++, seen++) {
                assert_true(space->param[p].doc[0] && space->param[p].values[0] > 0);
                for (const int16_t *v = space->param[p].values; *v; v++)
                    assert_true(!v[1] || v[1] > v[0]);
                for (int q = 0; q < p; q++)
                    assert_string_not_equal(space->param[p].name, space->param[q].name);
            }
        }
    assert_true(seen >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_ends_are_right), cmocka_unit_test(integers_are_right), cmocka_unit_test(simt_ends_are_right), cmocka_unit_test(choices_are_read),
        cmocka_unit_test(bad_choices_say_so), cmocka_unit_test(numbers_out_of_reach_are_refused), cmocka_unit_test(spaces_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, close_device);
}
