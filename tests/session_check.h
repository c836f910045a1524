/* A graph run by a session against the same graph run by the references: what every test of fused plans does. */
#ifndef TERN_TESTS_SESSION_CHECK_H
#define TERN_TESTS_SESSION_CHECK_H

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <tern/session.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "graph/interpret.h"

#define MUST(call)                                                          \
    do {                                                                    \
        tern_status must_st_ = (call);                                      \
        if (must_st_ != TERN_OK)                                            \
            fail_msg("%s: %s", tern_status_name(must_st_), tern_last_error()); \
    } while (0)

/* Fills with numbers in [-2, 2), or small whole ones for integers, drawn by Philox. */
static inline void fill_random(tern_tensor *t, uint64_t stream)
{
    tern__array a = {.type = {.dtype = tern_tensor_dtype(t), .shape = *tern_tensor_shape(t)}, .data = tern_tensor_data(t)};
    for (size_t i = 0; i < tern_tensor_elems(t); i++) {
        float u = tern__philox_uniform(7, stream, i);
        if (tern__dtype_is(a.type.dtype, TERN__T_FLOAT))
            tern__array_set(&a, (int64_t)i, 4.0 * u - 2.0);
        else
            tern__array_set_int(&a, (int64_t)i, (int64_t)(u * (a.type.dtype == TERN_BOOL ? 2 : 5)));
    }
}

/* Largest |x - y| / (1 + |y|). */
static inline double worst_error(const tern_tensor *t, const tern__array *want)
{
    tern__array got = {.type = want->type, .data = tern_tensor_data(t)};
    double worst = 0;
    for (int64_t i = 0; i < tern__elems(&want->type.shape); i++) {
        double x = tern__array_get(&got, i), y = tern__array_get(want, i);
        double e = isnan(x) != isnan(y) ? INFINITY : isnan(x) || x == y ? 0 : fabs(x - y) / (1 + fabs(y));
        worst = e > worst || isnan(e) ? e : worst;
    }
    return worst;
}

/* Runs g `runs` times with random inputs both ways and compares every output and variable after each run. Returns the plan's numbers. */
static inline tern_plan_info check_session(tern_device *d, const tern_graph *g, const tern_session_params *p, int runs, double tolerance)
{
    tern_session *s = NULL;
    MUST(tern_graph_check(g));
    MUST(tern_session_create(d, g, p, &s));
    tern__interp it;
    MUST(tern__interp_init(&it, g));
    int ni = tern_graph_n_inputs(g), no = tern_graph_n_outputs(g);
    tern_tensor *in[16] = {0}, *out[32] = {0};
    tern__array arrays[16];
    for (int i = 0; i < no; i++)
        MUST(tern_tensor_create(tern__dtype_of(g, tern_graph_output_value(g, i)), tern__shape_of(g, tern_graph_output_value(g, i)), &out[i]));
    for (int run = 0; run < runs; run++) {
        for (int i = 0; i < ni; i++) {
            tern_value v = tern_graph_input_value(g, i);
            if (!in[i])
                MUST(tern_tensor_create(tern__dtype_of(g, v), tern__shape_of(g, v), &in[i]));
            fill_random(in[i], (uint64_t)(run * 16 + i));
            arrays[i] = (tern__array){.type = *tern__type_of(g, v), .data = tern_tensor_data(in[i])};
        }
        MUST(tern_session_run(s, in, out));
        MUST(tern__interp_run(&it, arrays));
        for (int i = 0; i < no; i++) {
            double e = worst_error(out[i], tern__interp_output(&it, i));
            if (!(e <= tolerance))
                fail_msg("run %d: output %s is off by %g (allowed %g)\n%s", run, tern_graph_output_name(g, i), e, tolerance, tern_session_source(s));
        }
        for (int i = 0; i < tern_graph_n_variables(g) && !(p && p->freeze); i++) {
            tern_value v = tern_graph_variable_value(g, i);
            tern_tensor *t = NULL;
            MUST(tern_tensor_create(tern__dtype_of(g, v), tern__shape_of(g, v), &t));
            MUST(tern_store_read(tern_session_store(s), tern_graph_variable_name(g, i), t));
            double e = worst_error(t, tern__interp_value(&it, v));
            if (!(e <= tolerance))
                fail_msg("run %d: variable %s is off by %g (allowed %g)", run, tern_graph_variable_name(g, i), e, tolerance);
            tern_tensor_destroy(t);
        }
    }
    tern_plan_info info;
    tern_session_get_info(s, &info);
    for (int i = 0; i < 16; i++)
        tern_tensor_destroy(in[i]);
    for (int i = 0; i < 32; i++)
        tern_tensor_destroy(out[i]);
    tern__interp_finish(&it);
    tern_session_destroy(s);
    return info;
}

#endif
