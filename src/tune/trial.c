/* Trials: a choice run on random operands, held against what the scalar reference vouches for, and timed in turns with another. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "base/status.h"
#include "compile/session_impl.h"
#include "ops/op.h"
#include "tune/tune.h"

enum {
    REFERENCE_MACS = 1 << 25, /* multiply-adds that the scalar reference makes in about a second */
    MIN_ROUNDS = 4, MAX_ROUNDS = 16,
    MAX_IN = 5, MAX_OUT = 2,
};
#define CLEARLY_SLOWER 1.5    /* after MIN_ROUNDS: more turns would not change that */
#define FAR_SLOWER 4.0        /* after one */

struct tern_trial {
    tern_device *device;
    tern_graph *graph;
    char *problem;
    tern_session *usual, *other;      /* other: the last one that was compared with, under other_choice */
    int usual_group, other_group;
    char other_choice[TERN_TUNE_TEXT];
    tern__array in[MAX_IN];
    tern_tensor *in_tensor[MAX_IN];
    tern_tensor *want, *got;
    double terms;                     /* products in a result */
    char why[400];
};

/* --- Operands --- */

static tern_status make_array(const tern__type *type, uint64_t seed, tern__array *out)
{
    *out = (tern__array){.type = *type, .data = tern__alloc(tern__type_bytes(type))};
    if (!out->data)
        return tern__fail(TERN_E_NOMEM, "tune: an operand of %zu bytes", tern__type_bytes(type));
    for (int64_t i = 0; i < tern__elems(&type->shape); i++)
        tern__array_set(out, i, tern__problem_number(type->dtype, tern__philox_uniform(seed, 13, (uint64_t)i)));
    return TERN_OK;
}

static tern_status make_operands(tern_trial *t)
{
    const tern_graph *g = t->graph;
    const tern__type *y = tern__type_of(g, g->outputs[0].value);
    if (g->n_inputs > MAX_IN)
        return tern__fail(TERN_E_UNSUPPORTED, "tune: %d operands", g->n_inputs);
    for (int i = 0; i < g->n_inputs; i++) {
        const tern__type *type = tern__type_of(g, g->inputs[i]);
        TERN_TRY(make_array(type, (uint64_t)i, &t->in[i]));
        TERN_TRY(tern_tensor_wrap(type->dtype, &type->shape, t->in[i].data, &t->in_tensor[i]));
    }
    TERN_TRY(tern_tensor_create(y->dtype, &y->shape, &t->want));
    return tern_tensor_create(y->dtype, &y->shape, &t->got);
}

/* --- The reference of a part --- */

/* Along which axes an op's operands can be cut so that its result is cut likewise; -1: that one stays whole. */
typedef struct cut {
    int axis[MAX_IN], result_axis;
    bool first_only; /* what lies further on means something else when it comes first */
} cut;

/* Zero points that go with output channels are cut with them. */
static void cut_zero_points(const tern_graph *g, const tern__node *n, cut *c)
{
    const tern_shape *zero = n->n_in == 4 && strstr(n->op->name, "_integer") ? tern__shape_of(g, n->in[3]) : NULL;
    if (zero && tern__elems(zero) > 1)
        c->axis[3] = 0;
}

/* Queries are independent of each other; a causal mask counts them from the first. */
static bool cut_queries(const tern_graph *g, const tern__node *n, cut *c)
{
    c->axis[0] = 2;
    c->result_axis = tern__shape_of(g, n->out[0])->rank == 3 ? 1 : 2;
    c->first_only = tern__attr_int(n, 3) != 0;
    const tern_shape *mask = n->in[3] != TERN_NONE ? tern__shape_of(g, n->in[3]) : NULL;
    if (mask && mask->rank >= 2 && mask->dim[mask->rank - 2] > 1)
        c->axis[3] = mask->rank - 2;
    return true;
}

static bool find_cut(const tern_graph *g, const tern__node *n, cut *c)
{
    const tern_shape *second = tern__shape_of(g, n->in[1]), *result = tern__shape_of(g, n->out[0]);
    *c = (cut){.axis = {-1, -1, -1, -1, -1}};
    if (!strcmp(n->op->name, "attention"))
        return cut_queries(g, n, c);
    cut_zero_points(g, n, c);
    if (!strncmp(n->op->name, "matmul", 6)) {
        c->axis[1] = second->rank - (tern__attr_int(n, 1) ? 2 : 1);
        c->result_axis = result->rank - 1;
        return second->rank >= 2 && result->rank >= 1 && second->dim[c->axis[1]] == result->dim[c->result_axis];
    }
    const bool weight = !strcmp(n->op->name, "conv_grad_weight");
    if (strncmp(n->op->name, "conv", 4) != 0 || tern__attr_int(n, 3) != 1)
        return false;
    c->axis[1] = !strcmp(n->op->name, "conv") || !strcmp(n->op->name, "conv_integer") ? 0 : 1;
    c->result_axis = weight ? 0 : 1;
    return second->dim[c->axis[1]] == result->dim[c->result_axis];
}

/* Elements of a whole array at part's coordinates moved by first along an axis. */
static void copy_part(const tern__array *whole, const tern__array *part, int axis, int64_t first)
{
    int64_t coord[TERN_MAX_RANK] = {0}, i = 0;
    if (tern__elems(&part->type.shape) == 0)
        return;
    do {
        coord[axis] += first;
        tern__array_set(part, i++, tern__array_get(whole, tern__linear(&whole->type.shape, coord)));
        coord[axis] -= first;
    } while (tern__next_index(&part->type.shape, coord));
}

static tern__array operand(const tern_trial *t, tern_value v)
{
    for (int i = 0; i < t->graph->n_inputs; i++)
        if (t->graph->inputs[i] == v)
            return t->in[i];
    return (tern__array){.type = *tern__type_of(t->graph, v), .data = (void *)(uintptr_t)tern__const_data(t->graph, v)};
}

/* The op alone on its operands, cut or not; *out is for the caller to free. */
static tern_status reference(const tern__node *n, const tern__array *operands, tern__array *out)
{
    static const char *const names[MAX_IN] = {"a", "b", "c", "d", "e"};
    tern_graph *g = NULL;
    tern_value y[MAX_OUT] = {TERN_NONE, TERN_NONE}, in[MAX_IN] = {TERN_NONE, TERN_NONE, TERN_NONE, TERN_NONE, TERN_NONE};
    tern__array outs[MAX_OUT] = {{.data = NULL}, {.data = NULL}};
    TERN_TRY(tern_graph_create(&g));
    for (int i = 0; i < n->n_in; i++)
        if (operands[i].data)
            in[i] = tern_graph_input(g, names[i], operands[i].type.dtype, &operands[i].type.shape, 0);
    tern__graph_add_like(g, n, in, y);
    tern_status st = tern_graph_check(g);
    for (int i = 0; i < n->n_out && st == TERN_OK; i++) {
        outs[i] = (tern__array){.type = *tern__type_of(g, y[i]), .data = tern__alloc(tern__type_bytes(tern__type_of(g, y[i])))};
        if (!outs[i].data)
            st = tern__fail(TERN_E_NOMEM, "tune: a reference of %zu bytes", tern__type_bytes(&outs[i].type));
    }
    if (st == TERN_OK)
        st = tern__op_run_ref(tern__producer(g, y[0]), operands, outs);
    tern_graph_destroy(g);
    for (int i = 1; i < n->n_out; i++)
        tern__free(outs[i].data);
    *out = outs[0];
    return st;
}

/* --- Comparing --- */

/* How far a sum of so many products in [-1, 1] may be from another order's, or Winograd's; integers not at all. */
static double tolerance(const tern_trial *t, tern_dtype dtype, double want)
{
    const double relative = dtype == TERN_F16 ? 2e-3 : dtype == TERN_BF16 ? 2e-2 : 1e-5;
    return tern__dtype_is(dtype, TERN__T_FLOAT) ? 1e-5 * sqrt(t->terms) + relative * (1 + fabs(want)) : 0;
}

static tern_status differs(const tern_trial *t, int64_t at, double got, double want)
{
    return tern__fail(TERN_E_MISMATCH, "tune: %s: element %" PRId64 " is %.9g, not %.9g", t->problem, at, got, want);
}

/* What the problem's graph does to the op's result at an element. */
static double follow(const tern_trial *t, double x, int64_t at)
{
    const bool residual = strstr(t->problem, " +residual") != NULL;
    if (residual)
        x += tern__array_get(&t->in[t->graph->n_inputs - 1], at);
    return residual || strstr(t->problem, " +pointwise") ? fmax(x, 0) : x;
}

/* Operand i, n long from first on along the axis in c. *copied: for the caller to free. */
static tern_status cut_operand(const tern_trial *t, const tern__node *node, const cut *c, int i, int64_t first, int64_t n, tern__array *out, bool *copied)
{
    *copied = false;
    *out = node->in[i] == TERN_NONE ? (tern__array){.data = NULL} : operand(t, node->in[i]);
    if (!out->data || !c || c->axis[i] < 0)
        return TERN_OK;
    tern__array part = {.type = out->type};
    part.type.shape.dim[c->axis[i]] = n;
    part.data = tern__alloc(tern__type_bytes(&part.type));
    if (!part.data)
        return tern__fail(TERN_E_NOMEM, "tune: part of an operand, %zu bytes", tern__type_bytes(&part.type));
    copy_part(out, &part, c->axis[i], first);
    *out = part;
    *copied = true;
    return TERN_OK;
}

/* t->want, n long from first on along the axis of the result in c, against the reference; c NULL: all of it. */
static tern_status check_part(const tern_trial *t, const tern__node *node, const cut *c, int64_t first, int64_t n)
{
    const tern__array want = {.type = *tern__type_of(t->graph, t->graph->outputs[0].value), .data = tern_tensor_data(t->want)};
    tern__array operands[MAX_IN] = {{.data = NULL}}, ref = {.data = NULL};
    bool copied[MAX_IN] = {false};
    int64_t coord[TERN_MAX_RANK] = {0}, i = 0;
    tern_status st = TERN_OK;
    for (int k = 0; k < node->n_in && st == TERN_OK; k++)
        st = cut_operand(t, node, c, k, first, n, &operands[k], &copied[k]);
    if (st == TERN_OK)
        st = reference(node, operands, &ref);
    while (st == TERN_OK && i < tern__elems(&ref.type.shape)) {
        const int axis = c ? c->result_axis : 0;
        coord[axis] += first;
        const int64_t at = tern__linear(&want.type.shape, coord);
        coord[axis] -= first;
        const double x = follow(t, tern__array_get(&ref, i++), at), got = tern__array_get(&want, at);
        if (!(fabs(x - got) <= tolerance(t, want.type.dtype, x)))
            st = differs(t, at, got, x);
        (void)tern__next_index(&ref.type.shape, coord);
    }
    for (int k = 0; k < MAX_IN; k++)
        if (copied[k])
            tern__free(operands[k].data);
    tern__free(ref.data);
    return st;
}

/* All of the cost model's result, or of a large one the first and the last channels. */
static tern_status check_usual(tern_trial *t)
{
    const tern__node *n = t->graph->nodes[0];
    const tern_shape *result = tern__shape_of(t->graph, n->out[0]);
    tern__type types[MAX_IN] = {{.dtype = TERN_DTYPE_COUNT}};
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != TERN_NONE)
            types[i] = *tern__type_of(t->graph, n->in[i]);
    const double macs = n->op->flops ? (double)n->op->flops(n, types, tern__type_of(t->graph, n->out[0])) / 2 : 0;
    cut c;
    t->terms = macs / (double)TERN_MAX(tern__elems(result), (int64_t)1);
    if (macs <= REFERENCE_MACS || !find_cut(t->graph, n, &c))
        return check_part(t, n, NULL, 0, 0);
    const int64_t all = result->dim[c.result_axis], some = TERN_MAX((int64_t)(REFERENCE_MACS / macs * (double)all / 2), (int64_t)1);
    TERN_TRY(check_part(t, n, &c, 0, TERN_MIN(some, all)));
    return c.first_only ? TERN_OK : check_part(t, n, &c, TERN_MAX(all - some, (int64_t)0), TERN_MIN(some, all));
}

static tern_status compare(const tern_trial *t)
{
    const tern__array want = {.type = *tern__type_of(t->graph, t->graph->outputs[0].value), .data = tern_tensor_data(t->want)};
    const tern__array got = {.type = want.type, .data = tern_tensor_data(t->got)};
    for (int64_t i = 0; i < tern__elems(&want.type.shape); i++) {
        const double x = tern__array_get(&want, i), y = tern__array_get(&got, i);
        if (!(fabs(x - y) <= 2 * tolerance(t, want.type.dtype, x)))
            return differs(t, i, y, x);
    }
    return TERN_OK;
}

/* --- Life --- */

static tern_status create(tern_trial *t, const char *problem)
{
    TERN_TRY(tern__problem_graph(problem, &t->graph));
    TERN_TRY(tern__tune_session(t->device, t->graph, problem, "", &t->usual, &t->usual_group));
    TERN_TRY(make_operands(t));
    TERN_TRY(tern_session_run(t->usual, t->in_tensor, &t->want));
    return check_usual(t);
}

tern_status tern_trial_create(tern_device *d, const char *problem, tern_trial **out)
{
    if (!d || !problem || !out || !d->profile)
        return tern__fail(TERN_E_INVALID, "tune: a profiling device, a problem and a place for the trials are needed");
    tern_trial *t = tern__alloc(sizeof *t);
    char *text = t ? tern__strdup(problem) : NULL;
    if (!text) {
        tern__free(t);
        return tern__fail(TERN_E_NOMEM, "tune: no host memory for trials");
    }
    t->device = tern__device_retain(d);
    t->problem = text;
    tern_status st = create(t, problem);
    if (st != TERN_OK) {
        tern_trial_destroy(t);
        return st;
    }
    *out = t;
    return TERN_OK;
}

void tern_trial_destroy(tern_trial *t)
{
    if (!t)
        return;
    tern_session_destroy(t->usual);
    tern_session_destroy(t->other);
    for (int i = 0; i < MAX_IN; i++) {
        tern_tensor_destroy(t->in_tensor[i]);
        tern__free(t->in[i].data);
    }
    tern_tensor_destroy(t->want);
    tern_tensor_destroy(t->got);
    tern_graph_destroy(t->graph);
    tern__device_release(t->device);
    tern__free(t->problem);
    tern__free(t);
}

/* --- Timing --- */

/* The first of two runs in a row finds what the other left in the caches. */
static tern_status take_turn(tern_trial *t, tern_session *s)
{
    for (int i = 0; i < 2; i++) {
        TERN_TRY(tern_session_run(s, t->in_tensor, NULL));
        TERN_TRY(tern_session_finish(s));
    }
    return TERN_OK;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least times of a's group and of b's. */
static tern_status time_both(tern_trial *t, tern_session *a, int a_group, tern_session *b, int b_group, double time_ms, double *a_us, double *b_us)
{
    const double start = seconds();
    for (int round = 0; round < MAX_ROUNDS; round++) {
        if (round >= MIN_ROUNDS && (seconds() - start) * 1e3 > time_ms)
            break;
        TERN_TRY(take_turn(t, a));
        TERN_TRY(take_turn(t, b));
        *a_us = tern__plan_group_span_us(a->plan, a_group);
        *b_us = tern__plan_group_span_us(b->plan, b_group);
        if (*a_us > (round + 1 >= MIN_ROUNDS ? CLEARLY_SLOWER : FAR_SLOWER) * *b_us)
            break;
    }
    return *a_us > 0 && *b_us > 0 ? TERN_OK : tern__fail(TERN_E_DEVICE, "tune: the device gives no times");
}

/* A session for what is compared with, kept for the next trial. */
static tern_status open_other(tern_trial *t, const char *choice, tern_session **s, int *group)
{
    if (*choice && (!t->other || strcmp(t->other_choice, choice) != 0)) {
        tern_session_destroy(t->other);
        t->other = NULL;
        TERN_TRY(tern__tune_session(t->device, t->graph, t->problem, choice, &t->other, &t->other_group));
        snprintf(t->other_choice, sizeof t->other_choice, "%s", choice);
    }
    *s = *choice ? t->other : t->usual;
    *group = *choice ? t->other_group : t->usual_group;
    return TERN_OK;
}

static tern_tune_outcome not_good(tern_trial *t, tern_status st, const char **why)
{
    snprintf(t->why, sizeof t->why, "%s", tern_last_error());
    *why = t->why;
    return st == TERN_E_MISMATCH ? TERN_TUNE_WRONG : TERN_TUNE_REFUSED;
}

tern_status tern_trial_run(tern_trial *t, const char *choice, const char *against, double time_ms, tern_tune_outcome *outcome, double *us,
                           double *against_us, const char **why)
{
    tern_session *s = NULL, *other = NULL;
    int group = 0, other_group = 0;
    if (!t || !choice || !against)
        return tern__fail(TERN_E_INVALID, "tune: trials and two choices are needed");
    *us = *against_us = 0;
    *why = "";
    *outcome = TERN_TUNE_GOOD;
    TERN_TRY(open_other(t, against, &other, &other_group));
    tern_status st = tern__tune_session(t->device, t->graph, t->problem, choice, &s, &group);
    if (st == TERN_OK)
        st = tern_session_run(s, t->in_tensor, &t->got);
    if (st == TERN_OK)
        st = compare(t);
    if (st != TERN_OK)
        *outcome = not_good(t, st, why);
    else
        st = time_both(t, s, group, other, other_group, time_ms, us, against_us);
    tern_session_destroy(s);
    return *outcome == TERN_TUNE_GOOD ? st : TERN_OK;
}
