/* Hours in minutes (tools/test --full): sessions made and dropped, and steps run, by the hundred; memory must stop growing and nothing may drift. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <tern/nn.h>
#include <tern/session.h>

#define OK(call) check((call), #call)
static void check(tern_status st, const char *what)
{
    if (st != TERN_OK)
        fail_msg("%s: %s: %s", what, tern_status_name(st), tern_last_error());
}

/* Resident memory of this process in MB. */
static double resident_mb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* A training step of the demo's network on one fixed batch. */
typedef struct rig {
    tern_device *d;
    tern_session *s;
    tern_tensor *in[2], *out[1];
} rig;
enum { BATCH = 32 };

static void rig_open(rig *r, tern_device *d)
{
    tern_graph *g = NULL;
    tern_shape xs = {4, {BATCH, 1, 28, 28}}, ys = {1, {BATCH}};
    r->d = d;
    OK(tern_graph_create(&g));
    tern_nn nn = {g, 3};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &xs, 0), y = tern_graph_input(g, "y", TERN_I32, &ys, 0);
    tern_value loss = tern_nn_cross_entropy(&nn, tern_nn_model(&nn, "convnet", x, true), y);
    tern_graph_output(g, "loss", loss);
    OK(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam", .lr = 0.001}));
    OK(tern_session_create(d, g, NULL, &r->s));
    tern_graph_destroy(g);
    OK(tern_tensor_create(TERN_F32, &xs, &r->in[0]));
    OK(tern_tensor_create(TERN_I32, &ys, &r->in[1]));
    OK(tern_tensor_create(TERN_F32, &(tern_shape){0}, &r->out[0]));
    float *pixel = tern_tensor_data(r->in[0]);
    for (int i = 0; i < BATCH * 784; i++)
        pixel[i] = (float)((i * 37 + i / 784 * 11) % 64) / 64.0f;
    for (int i = 0; i < BATCH; i++)
        ((int32_t *)tern_tensor_data(r->in[1]))[i] = i % 10;
}

static void rig_close(rig *r)
{
    tern_session_destroy(r->s);
    tern_tensor_destroy(r->in[0]);
    tern_tensor_destroy(r->in[1]);
    tern_tensor_destroy(r->out[0]);
}

static float step(rig *r)
{
    OK(tern_session_run(r->s, r->in, r->out));
    return *(float *)tern_tensor_data(r->out[0]);
}

static void steps_do_not_grow(void **state)
{
    rig r = {0};
    rig_open(&r, *state);
    float first = step(&r), last = first;
    double before = 0;
    for (int i = 0; i < 3000; i++) {
        last = step(&r);
        if (!isfinite(last))
            fail_msg("the loss of step %d is %f", i, (double)last);
        if (i == 500)
            before = resident_mb();
    }
    double grown = resident_mb() - before;
    rig_close(&r);
    if (grown > 8)
        fail_msg("2500 steps took %.1f MB", grown);
    if (!(last < 0.1f * first))
        fail_msg("after 3000 steps on one batch the loss went from %f to %f only", (double)first, (double)last);
}

static void sessions_do_not_grow(void **state)
{
    double before = 0;
    for (int i = 0; i < 120; i++) {
        rig r = {0};
        rig_open(&r, *state);
        step(&r);
        rig_close(&r);
        if (i == 40)
            before = resident_mb();
    }
    double grown = resident_mb() - before;
    /* A driver may keep some of what it loaded; a session's own memory is over 30 MB. */
    if (grown > 80)
        fail_msg("80 sessions took %.1f MB", grown);
}

/* The same seed gives the same losses to the bit, however long ago the other run was. */
static void runs_repeat_exactly(void **state)
{
    float first[200];
    for (int round = 0; round < 3; round++) {
        rig r = {0};
        rig_open(&r, *state);
        for (int i = 0; i < 200; i++) {
            float loss = step(&r);
            if (round == 0)
                first[i] = loss;
            else if (memcmp(&loss, &first[i], sizeof loss) != 0)
                fail_msg("round %d: the loss of step %d is %.9g and was %.9g", round, i, (double)loss, (double)first[i]);
        }
        rig_close(&r);
    }
}

static int set_up(void **state)
{
    tern_device *d = NULL;
    if (tern_device_open(NULL, &d) != TERN_OK)
        return -1;
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    tern_device_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_do_not_grow),
        cmocka_unit_test(sessions_do_not_grow),
        cmocka_unit_test(runs_repeat_exactly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
