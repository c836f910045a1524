/* What tests of graphs share: short builders, evaluation by the references, comparison. */
#ifndef TERN_TESTS_GRAPH_HELP_H
#define TERN_TESTS_GRAPH_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "base/status.h"
#include "graph/graph.h"
#include "graph/interpret.h"
#include "ops/op.h"

#define SHAPE(...) \
    (&(tern_shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = {__VA_ARGS__}})

#define assert_ok(call)                                                      \
    do {                                                                     \
        tern_status st_ = (call);                                            \
        if (st_ != TERN_OK)                                                  \
            fail_msg("%s: %s", tern_status_name(st_), tern_last_error());    \
    } while (0)

#define assert_fails(call, status, words)                                    \
    do {                                                                     \
        assert_string_equal(tern_status_name(call), tern_status_name(status)); \
        if (!strstr(tern_last_error(), (words)))                             \
            fail_msg("\"%s\" does not say \"%s\"", tern_last_error(), (words)); \
    } while (0)

static inline tern_graph *new_graph(void)
{
    tern_graph *g = NULL;
    assert_ok(tern_graph_create(&g));
    return g;
}

/* An array of pseudo-random numbers in [lo, hi); integers are whole. */
static inline tern__array random_array(const tern__type *t, uint64_t seed, double lo, double hi)
{
    tern__array a = {.type = *t, .data = tern__alloc(tern__type_bytes(t))};
    assert_non_null(a.data);
    for (int64_t i = 0; i < tern__elems(&t->shape); i++) {
        double x = lo + (hi - lo) * (double)tern__philox_uniform(seed, 7, (uint64_t)i);
        tern__array_set(&a, i, tern__dtype_is(t->dtype, TERN__T_FLOAT) ? x : floor(x));
    }
    return a;
}

static inline tern_tensor *tensor_of(const tern__array *a)
{
    tern_tensor *t = NULL;
    assert_ok(tern_tensor_wrap(a->type.dtype, &a->type.shape, a->data, &t));
    return t;
}

/* A variable or constant of such numbers. */
static inline tern_value random_variable(tern_graph *g, const char *name, tern_dtype dtype, const tern_shape *s, uint64_t seed)
{
    tern__array a = random_array(&(tern__type){.dtype = dtype, .shape = *s}, seed, -1, 1);
    tern_tensor *t = tensor_of(&a);
    tern_value v = tern_graph_variable(g, name, t, true);
    tern_tensor_destroy(t);
    tern__free(a.data);
    return v;
}

static inline tern_value random_constant(tern_graph *g, tern_dtype dtype, const tern_shape *s, uint64_t seed)
{
    tern__array a = random_array(&(tern__type){.dtype = dtype, .shape = *s}, seed, -1, 1);
    tern_tensor *t = tensor_of(&a);
    tern_value v = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    tern__free(a.data);
    return v;
}

/* One pseudo-random array for each input of the graph, the same for graphs with the same inputs. */
static inline tern__array *random_inputs(const tern_graph *g, uint64_t seed)
{
    tern__array *in = tern__alloc_array((size_t)g->n_inputs, sizeof *in);
    assert_non_null(in);
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = random_array(tern__type_of(g, g->inputs[i]), seed + (uint64_t)i, 0.1, 3);
    return in;
}

static inline void free_inputs(const tern_graph *g, tern__array *in)
{
    for (int i = 0; i < g->n_inputs; i++)
        tern__free(in[i].data);
    tern__free(in);
}

/* Both graphs give the same outputs and leave the same variables behind, up to a relative tolerance. */
static inline void assert_same_results(const tern_graph *a, const tern_graph *b, double tolerance)
{
    tern__interp ia = {0}, ib = {0};
    tern__array *in = random_inputs(a, 3);
    assert_int_equal(a->n_inputs, b->n_inputs);
    assert_int_equal(a->n_outputs, b->n_outputs);
    assert_ok(tern__interp_init(&ia, a));
    assert_ok(tern__interp_init(&ib, b));
    for (int run = 0; run < 2; run++) {
        assert_ok(tern__interp_run(&ia, in));
        assert_ok(tern__interp_run(&ib, in));
        for (int k = 0; k < a->n_outputs + a->n_variables; k++) {
            const bool out = k < a->n_outputs;
            const tern__array *x = out ? tern__interp_output(&ia, k) : tern__interp_value(&ia, a->variables[k - a->n_outputs]);
            const tern__array *y = out ? tern__interp_output(&ib, k) : tern__interp_value(&ib, b->variables[k - a->n_outputs]);
            assert_int_equal(x->type.dtype, y->type.dtype);
            assert_true(tern__shape_equal(&x->type.shape, &y->type.shape));
            for (int64_t i = 0; i < tern__elems(&x->type.shape); i++) {
                double p = tern__array_get(x, i), q = tern__array_get(y, i);
                if (!(fabs(p - q) <= tolerance * (1 + fabs(p))) && !(isnan(p) && isnan(q)) && p != q)
                    fail_msg("run %d, result %d, element %d: %.9g and %.9g", run, k, (int)i, p, q);
            }
        }
    }
    tern__interp_finish(&ia);
    tern__interp_finish(&ib);
    free_inputs(a, in);
}

static inline void assert_prints(const tern_graph *g, const char *want)
{
    char *text = NULL;
    assert_ok(tern_graph_print(g, &text));
    assert_string_equal(text, want);
    tern_text_free(text);
}

#endif
