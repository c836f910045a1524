/* Control flow, sequences and optionals: they live in the walk, not in graphs. */
#include "onnx/trace.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

enum {
    LONG_PART = 1200,  /* nodes after which a loop hands its graph over, so that later iterations find a plan made */
    CONCAT_WIDTH = 8,
};

/* --- What the handlers share ------------------------------------------------------------------------------------- */

static tern_status scalar_data(tern__onnx_trace *t, tern_dtype dtype, int64_t x, tern__onnx_value **out)
{
    tern__array a = {.type = {.dtype = dtype}};
    tern__blob *b = tern__blob_create(NULL, tern_dtype_size(dtype));
    tern__onnx_value *v = tern__onnx_new(t);
    if (b && v) {
        a.data = b->data;
        tern__array_set_int(&a, 0, x);
        tern__onnx_become_data(v, &a.type, b);
    }
    tern__blob_release(b);
    *out = v;
    return b && v ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: a number");
}

/* The one number that x holds. Cuts if it must; for use between the bodies of a loop, whose state is pinned. */
static tern_status know_number(tern__onnx_trace *t, tern__onnx_value *x, int64_t *out)
{
    tern_status st;
    do
        st = tern__onnx_know(t, x);
    while (st == TERN__ONNX_AGAIN);
    if (st != TERN_OK)
        return st;
    if (tern__elems(&x->type.shape) != 1)
        return tern__fail(TERN_E_SHAPE, "a condition or count of %" PRId64 " elements", tern__elems(&x->type.shape));
    const tern__array a = {x->type, tern__blob_elems(x->data)};
    if (!a.data)
        return tern__fail(TERN_E_NOMEM, "onnx: a number");
    *out = tern__array_get_int(&a, 0);
    return TERN_OK;
}

/* The one number of input i, or def if it is missing; may give TERN__ONNX_AGAIN. */
static tern_status read_number(tern__onnx_node *n, int i, int64_t def, int64_t *out)
{
    const int64_t *v;
    int count;
    *out = def;
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    tern_status st = tern__onnx_read_ints(n, i, &v, &count);
    if (st != TERN_OK)
        return st;
    if (count != 1)
        return tern__fail(TERN_E_SHAPE, "input %d has %d elements, one is needed", i, count);
    *out = v[0];
    return TERN_OK;
}

static tern_status sequence_add(tern__onnx_trace *t, tern__onnx_value *seq, int at, tern__onnx_value *item)
{
    tern__onnx_value **items = tern__onnx_trace_scratch(t, (size_t)seq->n_items + 1, sizeof *items);
    if (!items)
        return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", seq->n_items + 1);
    memcpy(items, seq->items, (size_t)at * sizeof *items);
    items[at] = item;
    memcpy(items + at + 1, seq->items + at, (size_t)(seq->n_items - at) * sizeof *items);
    seq->items = items;
    seq->n_items++;
    return TERN_OK;
}

/* At the end of a list that nobody else holds: room for a few more is made at a time. */
static tern_status list_add(tern__onnx_trace *t, tern__onnx_value *list, tern__onnx_value *item)
{
    const int n = list->n_items;
    if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4, 8 ... fill their room */
        tern__onnx_value **items = tern__onnx_trace_scratch(t, n ? 2 * (size_t)n : 1, sizeof *items);
        if (!items)
            return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", n + 1);
        if (n > 0)
            memcpy(items, list->items, (size_t)n * sizeof *items);
        list->items = items;
    }
    list->items[list->n_items++] = item;
    return TERN_OK;
}

/* The same values in the opposite order. */
static void reverse(tern__onnx_value *list)
{
    for (int i = 0, k = list->n_items - 1; i < k; i++, k--) {
        tern__onnx_value *x = list->items[i];
        list->items[i] = list->items[k];
        list->items[k] = x;
    }
}

static tern__onnx_value *new_sequence(tern__onnx_trace *t)
{
    tern__onnx_value *x = tern__onnx_new(t);
    static tern__onnx_value *none[1];
    if (x) {
        x->kind = TERN__ONNX_SEQUENCE;
        x->items = none;
    }
    return x;
}

/* Joins values along an axis, a few at a time: the work of one element grows with the operands of its op. */
static tern_value concat_all(tern_graph *g, tern_value *v, int n, int64_t axis)
{
    while (n > 1) {
        int made = 0;
        for (int i = 0; i < n; i += CONCAT_WIDTH) {
            const int width = TERN_MIN(CONCAT_WIDTH, n - i);
            v[made++] = width == 1 ? v[i] : tern_graph_add(g, "concat", v + i, width, TERN_ATTRS(TERN_INT("axis", axis)));
        }
        n = made;
    }
    return v[0];
}

static tern_value with_axis(tern_graph *g, tern_value v, int axis)
{
    tern_shape s = *tern__shape_of(g, v), wide = {.rank = s.rank + 1};
    if (wide.rank > TERN_MAX_RANK || axis > s.rank)
        return tern__graph_fail(g, TERN_E_SHAPE, "a new axis %d for %d dimensions", axis, s.rank);
    for (int i = 0, k = 0; i < wide.rank; i++)
        wide.dim[i] = i == axis ? 1 : s.dim[k++];
    return tern__reshape(g, v, &wide);
}

/* Slice `at` along an axis, without that axis. */
static tern_value pick(tern_graph *g, tern_value v, int axis, int64_t at)
{
    const int64_t start[] = {at}, end[] = {at + 1}, axes[] = {axis};
    tern_value part = tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", start, 1), TERN_INTS("ends", end, 1), TERN_INTS("axes", axes, 1)));
    tern_shape s = *tern__shape_of(g, part), narrow = {.rank = s.rank - 1};
    for (int i = 0, k = 0; i < s.rank; i++)
        if (i != axis)
            narrow.dim[k++] = s.dim[i];
    return tern__reshape(g, part, &narrow);
}

/* The items of a sequence along a new axis, or along one that they have. */
static tern_status join(tern__onnx_trace *t, tern__onnx_value *seq, int axis, bool new_axis, tern__onnx_value *out)
{
    tern_value *v = tern__onnx_trace_scratch(t, (size_t)seq->n_items + 1, sizeof *v);
    if (!v)
        return tern__fail(TERN_E_NOMEM, "onnx: %d tensors", seq->n_items);
    for (int i = 0; i < seq->n_items; i++) {
        v[i] = tern__onnx_use(t, seq->items[i]);
        if (new_axis)
            v[i] = with_axis(t->g, v[i], axis);
    }
    tern_value all = concat_all(t->g, v, seq->n_items, axis);
    TERN_TRY(tern_graph_check(t->g));
    tern__onnx_become(t, out, all);
    return TERN_OK;
}

static tern_status make_values(tern__onnx_trace *t, int n, tern__onnx_value ***out)
{
    *out = tern__onnx_trace_scratch(t, (size_t)n + 1, sizeof **out);
    return *out ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: %d values", n);
}

/* --- If ---------------------------------------------------------------------------------------------------------- */

static tern_status do_if(tern__onnx_node *n)
{
    const Onnx__GraphProto *then = tern__onnx_attr_graph(n, "then_branch"), *otherwise = tern__onnx_attr_graph(n, "else_branch");
    int64_t cond;
    if (!then || !otherwise || n->n_in != 1)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "it needs a condition and two branches");
    tern_status st = read_number(n, 0, 0, &cond);
    if (st != TERN_OK)
        return st;
    tern__onnx_value **out;
    TERN_TRY(make_values(n->t, n->n_out, &out));
    TERN_TRY(tern__onnx_walk_graph(n->t, n->scope, cond ? then : otherwise, NULL, 0, out, n->n_out));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i])
            tern__onnx_share(n->out[i], out[i]);
    return TERN_OK;
}

/* --- Loop -------------------------------------------------------------------------------------------------------- */

struct loop {
    const Onnx__GraphProto *body;
    int n_carried, n_scans;
    int64_t trips, cond;
    tern__onnx_value **held; /* carried values, then a sequence per scan output: alive across cuts */
    tern__onnx_value **in, **out;
};

static tern_status loop_begin(tern__onnx_node *n, struct loop *l)
{
    tern__onnx_trace *t = n->t;
    TERN_TRY(make_values(t, l->n_carried + l->n_scans, &l->held));
    TERN_TRY(make_values(t, 2 + l->n_carried, &l->in));
    TERN_TRY(make_values(t, 1 + l->n_carried + l->n_scans, &l->out));
    for (int i = 0; i < l->n_carried + l->n_scans; i++) {
        l->held[i] = i < l->n_carried ? tern__onnx_new(t) : new_sequence(t);
        if (!l->held[i])
            return tern__fail(TERN_E_NOMEM, "onnx: a loop's values");
        if (i < l->n_carried && n->in[2 + i])
            tern__onnx_share(l->held[i], n->in[2 + i]);
    }
    return TERN_OK;
}

static tern_status loop_once(tern__onnx_node *n, struct loop *l, int64_t iteration)
{
    tern__onnx_trace *t = n->t;
    if (t->runner && t->g->n_nodes > LONG_PART)
        TERN_TRY(tern__onnx_cut(t, NULL, 0));
    TERN_TRY(scalar_data(t, TERN_I64, iteration, &l->in[0]));
    TERN_TRY(scalar_data(t, TERN_BOOL, 1, &l->in[1]));
    for (int i = 0; i < l->n_carried; i++)
        l->in[2 + i] = l->held[i];
    TERN_TRY(tern__onnx_walk_graph(t, n->scope, l->body, l->in, 2 + l->n_carried, l->out, 1 + l->n_carried + l->n_scans));
    for (int i = 0; i < l->n_carried; i++)
        l->held[i] = l->out[1 + i];
    for (int i = l->n_carried; i < l->n_carried + l->n_scans; i++)
        TERN_TRY(list_add(t, l->held[i], l->out[1 + i]));
    return know_number(t, l->out[0], &l->cond);
}

/* No iteration ran: a tensor without elements, of as many dimensions as the body says. */
static tern_status empty_scan(tern__onnx_trace *t, const Onnx__ValueInfoProto *v, tern__onnx_value *out)
{
    tern__type type = {.dtype = TERN_F32, .shape = {.rank = 1}};
    const Onnx__TypeProto *p = v->type;
    if (p && p->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
        TERN_TRY(tern__onnx_dtype(p->tensor_type->elem_type, &type.dtype));
        for (size_t i = 0; p->tensor_type->shape && i < p->tensor_type->shape->n_dim && type.shape.rank < TERN_MAX_RANK; i++) {
            const Onnx__TensorShapeProto__Dimension *d = p->tensor_type->shape->dim[i];
            type.shape.dim[type.shape.rank++] = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? TERN_MAX(d->dim_value, 0) : 0;
        }
    }
    tern__blob *b = tern__blob_create(NULL, 0);
    if (!b)
        return tern__fail(TERN_E_NOMEM, "onnx: an empty tensor");
    tern__onnx_become_data(out, &type, b);
    tern__blob_release(b);
    (void)t;
    return TERN_OK;
}

static tern_status loop_end(tern__onnx_node *n, struct loop *l)
{
    for (int i = 0; i < n->n_out; i++) {
        if (!n->out[i])
            continue;
        if (i < l->n_carried)
            tern__onnx_share(n->out[i], l->held[i]);
        else if (l->held[i]->n_items == 0)
            TERN_TRY(empty_scan(n->t, l->body->output[1 + i], n->out[i]));
        else
            TERN_TRY(join(n->t, l->held[i], 0, true, n->out[i]));
    }
    return TERN_OK;
}

/* The node of a body that makes this value; NULL: it comes from elsewhere. */
static const Onnx__NodeProto *maker_of(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (strcmp(g->node[i]->output[k], name) == 0)
                return g->node[i];
    return NULL;
}

/* The condition stays what it is after the first round: the body hands it on, has a constant for it, or takes it from outside. */
static bool keeps_condition(const Onnx__GraphProto *body)
{
    const char *name = body->output[0]->name;
    for (int hops = 0; hops < 8; hops++) {
        for (size_t i = 0; i < body->n_input; i++)
            if (strcmp(name, body->input[i]->name) == 0)
                return i == 1;
        const Onnx__NodeProto *maker = maker_of(body, name);
        if (!maker || strcmp(maker->op_type, "Constant") == 0)
            return true;
        if (maker->n_input != 1 || strcmp(maker->op_type, "Identity") != 0)
            return false;
        name = maker->input[0];
    }
    return false;
}

/* A loop that nothing stops before the walk is given up is given up at once. */
static tern_status check_rounds(const tern__onnx_trace *t, int64_t rounds, const Onnx__GraphProto *body)
{
    const int64_t left = TERN__ONNX_MAX_WALKED - t->walked;
    if (rounds <= left / ((int64_t)body->n_node + 1))
        return TERN_OK;
    return tern__fail(TERN_E_UNSUPPORTED, "%s%" PRId64 " rounds of %zu nodes: more than %d nodes with all loops unrolled", rounds >= INT64_MAX - 1 ? "up to " : "",
                      rounds, body->n_node, TERN__ONNX_MAX_WALKED);
}

static tern_status do_loop(tern__onnx_node *n)
{
    struct loop l = {.body = tern__onnx_attr_graph(n, "body"), .n_carried = n->n_in - 2};
    if (!l.body || n->n_in < 2 || l.body->n_output > INT16_MAX || (int)l.body->n_output - 1 < l.n_carried || (int)l.body->n_output - 1 < n->n_out)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "its body does not fit its %d inputs and %d outputs", n->n_in, n->n_out);
    l.n_scans = (int)l.body->n_output - 1 - l.n_carried;
    tern_status st = read_number(n, 0, INT64_MAX, &l.trips);
    if (st == TERN_OK)
        st = read_number(n, 1, 1, &l.cond);
    if (st != TERN_OK)
        return st;
    TERN_TRY(loop_begin(n, &l));
    TERN_TRY(tern__onnx_pin(n->scope, l.held, l.n_carried + l.n_scans));
    for (int64_t i = 0; st == TERN_OK && i < l.trips && l.cond; i++) {
        st = loop_once(n, &l, i);
        if (st == TERN_OK && i == 0 && l.cond && keeps_condition(l.body))
            st = check_rounds(n->t, l.trips - 1, l.body);
    }
    tern__onnx_unpin(n->scope);
    return st == TERN_OK ? loop_end(n, &l) : st;
}

/* --- Scan -------------------------------------------------------------------------------------------------------- */

struct scan {
    const Onnx__GraphProto *body;
    int n_states, n_inputs, n_outputs;
    int64_t length;
    int in_axis[16], out_axis[16];
    bool in_back[16], out_back[16];
    tern__onnx_value **held;   /* states, inputs, a sequence per output */
    tern__onnx_value **in, **out;
};

static tern_status scan_axes(tern__onnx_node *n, const char *name, int *axis, int count, int added_rank, tern__onnx_value *const *of)
{
    int given;
    const int64_t *v = tern__onnx_attr_ints(n, name, &given);
    if (given != 0 && given != count)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%s has %d entries for %d", name, given, count);
    for (int i = 0; i < count; i++) {
        const int rank = of ? of[i]->type.shape.rank + added_rank : TERN_MAX_RANK;
        int64_t a = given ? v[i] : 0;
        if (a < -rank || a >= rank)
            return tern__onnx_fail(n, TERN_E_SHAPE, "%s: axis %" PRId64 " of %d dimensions", name, a, rank);
        axis[i] = (int)(a < 0 && of ? a + rank : a);
    }
    return TERN_OK;
}

static tern_status scan_directions(tern__onnx_node *n, const char *name, bool *back, int count)
{
    int given;
    const int64_t *v = tern__onnx_attr_ints(n, name, &given);
    if (given != 0 && given != count)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%s has %d entries for %d", name, given, count);
    for (int i = 0; i < count; i++)
        back[i] = given && v[i] != 0;
    return TERN_OK;
}

static tern_status scan_once(tern__onnx_node *n, struct scan *s, int64_t at)
{
    tern__onnx_trace *t = n->t;
    if (t->runner && t->g->n_nodes > LONG_PART)
        TERN_TRY(tern__onnx_cut(t, NULL, 0));
    for (int i = 0; i < s->n_states; i++)
        s->in[i] = s->held[i];
    for (int i = 0; i < s->n_inputs; i++) {
        tern__onnx_value *x = s->in[s->n_states + i] = tern__onnx_new(t);
        if (!x)
            return tern__fail(TERN_E_NOMEM, "onnx: a slice");
        const int64_t k = s->in_back[i] ? s->length - 1 - at : at;
        tern_value v = pick(t->g, tern__onnx_use(t, s->held[s->n_states + i]), s->in_axis[i], k);
        TERN_TRY(tern_graph_check(t->g));
        tern__onnx_become(t, x, v);
    }
    TERN_TRY(tern__onnx_walk_graph(t, n->scope, s->body, s->in, s->n_states + s->n_inputs, s->out, s->n_states + s->n_outputs));
    for (int i = 0; i < s->n_states; i++)
        s->held[i] = s->out[i];
    for (int i = 0; i < s->n_outputs; i++)
        TERN_TRY(list_add(t, s->held[s->n_states + s->n_inputs + i], s->out[s->n_states + i]));
    return TERN_OK;
}

/* All steps over the values in[]: states, then inputs. results: states, then outputs. */
static tern_status scan_all(tern__onnx_node *n, struct scan *s, tern__onnx_value *const *in, tern__onnx_value **results)
{
    tern__onnx_trace *t = n->t;
    const int n_in = s->n_states + s->n_inputs;
    TERN_TRY(make_values(t, n_in + s->n_outputs, &s->held));
    TERN_TRY(make_values(t, n_in, &s->in));
    TERN_TRY(make_values(t, s->n_states + s->n_outputs, &s->out));
    for (int i = 0; i < n_in; i++)
        s->held[i] = in[i];
    for (int i = 0; i < s->n_outputs; i++)
        if (!(s->held[n_in + i] = new_sequence(t)))
            return tern__fail(TERN_E_NOMEM, "onnx: a scan's outputs");
    TERN_TRY(check_rounds(t, s->length, s->body));
    TERN_TRY(tern__onnx_pin(n->scope, s->held, n_in + s->n_outputs));
    tern_status st = TERN_OK;
    for (int64_t i = 0; i < s->length && st == TERN_OK; i++)
        st = scan_once(n, s, i);
    tern__onnx_unpin(n->scope);
    for (int i = 0; i < s->n_states && st == TERN_OK; i++)
        tern__onnx_share(results[i], s->held[i]);
    for (int i = 0; i < s->n_outputs && st == TERN_OK; i++) {
        tern__onnx_value *list = s->held[n_in + i];
        int axis = s->out_axis[i];
        if (s->out_back[i])
            reverse(list);
        if (list->n_items > 0 && axis < 0)
            axis += list->items[0]->type.shape.rank + 1;
        if (axis < 0)
            return tern__onnx_fail(n, TERN_E_SHAPE, "scan_output_axes: axis %d", s->out_axis[i]);
        st = list->n_items > 0 ? join(t, list, axis, true, results[s->n_states + i]) : empty_scan(t, s->body->output[s->n_states + i], results[s->n_states + i]);
    }
    return st;
}

/* From the attribute, the body and the node's inputs after the first `skip`. */
static tern_status scan_begin(tern__onnx_node *n, struct scan *s, int skip)
{
    const int64_t n_inputs = tern__onnx_attr_int(n, "num_scan_inputs", 0);
    const bool plausible = n_inputs >= 1 && n_inputs <= 16 && n_inputs <= n->n_in - skip;
    *s = (struct scan){.body = tern__onnx_attr_graph(n, "body"), .n_inputs = plausible ? (int)n_inputs : 0};
    s->n_states = n->n_in - skip - s->n_inputs;
    if (!s->body || !plausible || s->body->n_output > INT16_MAX || (int)s->body->n_output < s->n_states || n->n_out > (int)s->body->n_output)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "its body does not fit its %d inputs and %d outputs", n->n_in, n->n_out);
    s->n_outputs = (int)s->body->n_output - s->n_states;
    if (s->n_outputs > 16)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%d scan outputs, the limit is 16", s->n_outputs);
    for (int i = skip; i < n->n_in; i++)
        if (!n->in[i] || (i >= skip + s->n_states && (n->in[i]->kind != TERN__ONNX_TENSOR || n->in[i]->type.shape.rank < 1)))
            return tern__onnx_fail(n, TERN_E_CORRUPT, "input %d is missing or no tensor with an axis to scan", i);
    return TERN_OK;
}

static tern_status new_results(tern__onnx_node *n, int count, tern__onnx_value ***out)
{
    TERN_TRY(make_values(n->t, count, out));
    for (int i = 0; i < count; i++)
        if (!((*out)[i] = tern__onnx_new(n->t)))
            return tern__fail(TERN_E_NOMEM, "onnx: a scan's outputs");
    return TERN_OK;
}

static tern_status scan9(tern__onnx_node *n)
{
    struct scan s;
    tern__onnx_value **results;
    TERN_TRY(scan_begin(n, &s, 0));
    TERN_TRY(scan_axes(n, "scan_input_axes", s.in_axis, s.n_inputs, 0, n->in + s.n_states));
    TERN_TRY(scan_axes(n, "scan_output_axes", s.out_axis, s.n_outputs, 0, NULL));
    TERN_TRY(scan_directions(n, "scan_input_directions", s.in_back, s.n_inputs));
    TERN_TRY(scan_directions(n, "scan_output_directions", s.out_back, s.n_outputs));
    s.length = n->in[s.n_states]->type.shape.dim[s.in_axis[0]];
    for (int i = 0; i < s.n_inputs; i++)
        if (n->in[s.n_states + i]->type.shape.dim[s.in_axis[i]] != s.length)
            return tern__onnx_fail(n, TERN_E_SHAPE, "scan input %d is not %" PRId64 " long", i, s.length);
    TERN_TRY(new_results(n, s.n_states + s.n_outputs, &results));
    TERN_TRY(scan_all(n, &s, n->in, results));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i])
            tern__onnx_share(n->out[i], results[i]);
    return TERN_OK;
}

/* Opset 8: everything has a batch axis in front, each sequence of the batch is scanned on its own. */
static tern_status scan8(tern__onnx_node *n)
{
    struct scan s;
    if (tern__onnx_has(n, 0))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "sequence lengths of opset 8's Scan");
    TERN_TRY(scan_begin(n, &s, 1));
    TERN_TRY(scan_directions(n, "directions", s.in_back, s.n_inputs));
    const tern_shape *first = &n->in[1 + s.n_states]->type.shape;
    if (first->rank < 2)
        return tern__onnx_fail(n, TERN_E_SHAPE, "a scan input without batch and sequence axes");
    s.length = first->dim[1];
    const int64_t batch = first->dim[0];
    const int n_in = s.n_states + s.n_inputs, n_res = s.n_states + s.n_outputs;
    tern__onnx_value **lists, **in, **results;
    TERN_TRY(make_values(n->t, n_res, &lists));
    for (int i = 0; i < n_res; i++)
        if (!(lists[i] = new_sequence(n->t)))
            return tern__fail(TERN_E_NOMEM, "onnx: a scan's outputs");
    TERN_TRY(tern__onnx_pin(n->scope, lists, n_res));
    tern_status st = TERN_OK;
    for (int64_t b = 0; b < batch && st == TERN_OK; b++) {
        st = new_results(n, n_in, &in);
        for (int i = 0; i < n_in && st == TERN_OK; i++) {
            tern__onnx_become(n->t, in[i], pick(n->t->g, tern__onnx_use(n->t, n->in[1 + i]), 0, b));
            st = tern_graph_check(n->t->g);
        }
        if (st == TERN_OK)
            st = new_results(n, n_res, &results);
        if (st == TERN_OK)
            st = scan_all(n, &s, in, results);
        for (int i = 0; i < n_res && st == TERN_OK; i++)
            st = list_add(n->t, lists[i], results[i]);
    }
    tern__onnx_unpin(n->scope);
    for (int i = 0; i < n->n_out && st == TERN_OK; i++)
        if (n->out[i])
            st = batch > 0 ? join(n->t, lists[i], 0, true, n->out[i]) : empty_scan(n->t, s.body->output[i], n->out[i]);
    return st;
}

/* --- Sequences --------------------------------------------------------------------------------------------------- */

static tern_status want_sequence(const tern__onnx_node *n, int i, tern__onnx_value **out)
{
    if (!tern__onnx_has(n, i) || n->in[i]->kind != TERN__ONNX_SEQUENCE)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "input %d is no sequence", i);
    *out = n->in[i];
    return TERN_OK;
}

static tern_status set_sequence(tern__onnx_node *n, tern__onnx_value *const *items, int n_items)
{
    if (!tern__onnx_wants(n, 0))
        return TERN_OK;
    tern__onnx_value *x = n->out[0];
    x->kind = TERN__ONNX_SEQUENCE;
    TERN_TRY(make_values(n->t, n_items, &x->items));
    for (int i = 0; i < n_items; i++) {
        if (!items[i])
            return tern__onnx_fail(n, TERN_E_CORRUPT, "element %d of the sequence is missing", i);
        x->items[i] = items[i];
    }
    x->n_items = n_items;
    return TERN_OK;
}

static tern_status sequence_empty(tern__onnx_node *n)
{
    tern__onnx_attr_ignore(n, "dtype");
    return set_sequence(n, NULL, 0);
}

static tern_status sequence_construct(tern__onnx_node *n)
{
    return set_sequence(n, n->in, n->n_in);
}

/* Input i as a place in a sequence of n_items, negative from the end. */
static tern_status read_place(tern__onnx_node *n, int i, int n_items, int def, int *out)
{
    int64_t at;
    tern_status st = read_number(n, i, def, &at);
    if (st != TERN_OK)
        return st;
    at += at < 0 ? n_items : 0;
    if (at < 0 || at > n_items)
        return tern__onnx_fail(n, TERN_E_SHAPE, "place %" PRId64 " in a sequence of %d", at, n_items);
    *out = (int)at;
    return TERN_OK;
}

static tern_status sequence_insert(tern__onnx_node *n)
{
    tern__onnx_value *seq;
    int at;
    TERN_TRY(want_sequence(n, 0, &seq));
    if (!tern__onnx_has(n, 1))
        return tern__onnx_fail(n, TERN_E_CORRUPT, "there is nothing to insert");
    tern_status st = read_place(n, 2, seq->n_items, seq->n_items, &at);
    if (st != TERN_OK || !tern__onnx_wants(n, 0))
        return st;
    TERN_TRY(set_sequence(n, seq->items, seq->n_items));
    return sequence_add(n->t, n->out[0], at, n->in[1]);
}

static tern_status sequence_erase(tern__onnx_node *n)
{
    tern__onnx_value *seq;
    int at;
    TERN_TRY(want_sequence(n, 0, &seq));
    tern_status st = read_place(n, 1, seq->n_items, -1, &at);
    if (st != TERN_OK || !tern__onnx_wants(n, 0))
        return st;
    if (at >= seq->n_items)
        return tern__onnx_fail(n, TERN_E_SHAPE, "no element %d in a sequence of %d", at, seq->n_items);
    TERN_TRY(set_sequence(n, seq->items, seq->n_items));
    tern__onnx_value *x = n->out[0];
    memmove(x->items + at, x->items + at + 1, (size_t)(x->n_items - at - 1) * sizeof *x->items);
    x->n_items--;
    return TERN_OK;
}

static tern_status sequence_at(tern__onnx_node *n)
{
    tern__onnx_value *seq;
    int at;
    TERN_TRY(want_sequence(n, 0, &seq));
    tern_status st = read_place(n, 1, seq->n_items, 0, &at);
    if (st != TERN_OK)
        return st;
    if (at >= seq->n_items)
        return tern__onnx_fail(n, TERN_E_SHAPE, "no element %d in a sequence of %d", at, seq->n_items);
    if (tern__onnx_wants(n, 0))
        tern__onnx_share(n->out[0], seq->items[at]);
    return TERN_OK;
}

static tern_status sequence_length(tern__onnx_node *n)
{
    tern__onnx_value *seq;
    TERN_TRY(want_sequence(n, 0, &seq));
    const int64_t length = seq->n_items;
    tern__onnx_set(n, 0, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){0}, &length));
    return TERN_OK;
}

/* Lengths of the parts: given, one for all, or ones. */
static tern_status split_lengths(tern__onnx_node *n, int64_t extent, int64_t **out, int *count)
{
    const int64_t *given;
    int n_given;
    tern_status st = tern__onnx_read_ints(n, 1, &given, &n_given);
    if (st != TERN_OK)
        return st;
    const bool list = given && tern__onnx_rank(n, 1) == 1;
    if (given && !list && n_given != 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input 1 has %d elements, one length or a list is needed", n_given);
    const int64_t each = !given ? 1 : list ? 0 : given[0];
    if ((!list && each < 1) || (!list && extent / each > 100000))
        return tern__onnx_fail(n, TERN_E_SHAPE, "parts of %" PRId64 " out of %" PRId64, each, extent);
    *count = list ? n_given : (int)(extent / each + (extent % each != 0));
    *out = tern__onnx_scratch(n, (size_t)*count + 1, sizeof **out);
    if (!*out)
        return TERN_E_NOMEM;
    int64_t left = extent;
    for (int i = 0; i < *count; i++) {
        (*out)[i] = list ? given[i] : TERN_MIN(each, left);
        if ((*out)[i] < 0 || (*out)[i] > left)
            return tern__onnx_fail(n, TERN_E_SHAPE, "part %d of length %" PRId64 " with %" PRId64 " left", i, (*out)[i], left);
        left -= (*out)[i];
    }
    return left == 0 ? TERN_OK : tern__onnx_fail(n, TERN_E_SHAPE, "the parts leave %" PRId64 " of %" PRId64, left, extent);
}

static tern_status split_to_sequence(tern__onnx_node *n)
{
    int64_t axis = tern__onnx_attr_int(n, "axis", 0), *lengths = NULL;
    const bool keep = tern__onnx_attr_int(n, "keepdims", 1) != 0 || tern__onnx_has(n, 1);
    const int rank = tern__onnx_rank(n, 0);
    if (axis < -rank || axis >= rank)
        return tern__onnx_fail(n, TERN_E_SHAPE, "axis %" PRId64 " of %d dimensions", axis, rank);
    axis += axis < 0 ? rank : 0;
    int count = 0;
    tern_status st = split_lengths(n, tern__onnx_shape(n, 0)->dim[axis], &lengths, &count);
    if (st != TERN_OK)
        return st;
    tern__onnx_value **items;
    TERN_TRY(new_results(n, count, &items));
    tern_value x = tern__onnx_in(n, 0);
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        const int64_t end = at + lengths[i];
        tern_value v = keep ? tern_graph_op1(n->g, "slice", x, TERN_ATTRS(TERN_INTS("starts", &at, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)))
                            : pick(n->g, x, (int)axis, at);
        TERN_TRY(tern_graph_check(n->g));
        tern__onnx_become(n->t, items[i], v);
        at = end;
    }
    return set_sequence(n, items, count);
}

static tern_status concat_from_sequence(tern__onnx_node *n)
{
    tern__onnx_value *seq;
    int64_t axis = tern__onnx_attr_int(n, "axis", 0);
    const bool fresh = tern__onnx_attr_int(n, "new_axis", 0) != 0;
    TERN_TRY(want_sequence(n, 0, &seq));
    if (seq->n_items == 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "the sequence is empty");
    const int rank = seq->items[0]->type.shape.rank + fresh;
    if (axis < -rank || axis >= rank)
        return tern__onnx_fail(n, TERN_E_SHAPE, "axis %" PRId64 " of %d dimensions", axis, rank);
    return tern__onnx_wants(n, 0) ? join(n->t, seq, (int)(axis < 0 ? axis + rank : axis), fresh, n->out[0]) : TERN_OK;
}

/* Element i of every sequence, and each tensor as it is. */
static tern_status sequence_map(tern__onnx_node *n)
{
    const Onnx__GraphProto *body = tern__onnx_attr_graph(n, "body");
    tern__onnx_value *first, **in, **out, **lists;
    TERN_TRY(want_sequence(n, 0, &first));
    if (!body || body->n_output != (size_t)n->n_out)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "its body does not fit its %d outputs", n->n_out);
    TERN_TRY(make_values(n->t, n->n_in, &in));
    TERN_TRY(make_values(n->t, n->n_out, &out));
    TERN_TRY(make_values(n->t, n->n_out, &lists));
    for (int i = 0; i < n->n_out; i++)
        if (!(lists[i] = new_sequence(n->t)))
            return tern__fail(TERN_E_NOMEM, "onnx: a sequence");
    TERN_TRY(tern__onnx_pin(n->scope, lists, n->n_out));
    tern_status st = TERN_OK;
    for (int k = 0; k < first->n_items && st == TERN_OK; k++) {
        for (int i = 0; i < n->n_in && st == TERN_OK; i++) {
            const tern__onnx_value *x = n->in[i];
            if (!x || (x->kind == TERN__ONNX_SEQUENCE && x->n_items != first->n_items))
                st = tern__onnx_fail(n, TERN_E_SHAPE, "input %d is no sequence of %d", i, first->n_items);
            else
                in[i] = x->kind == TERN__ONNX_SEQUENCE ? x->items[k] : n->in[i];
        }
        if (st == TERN_OK)
            st = tern__onnx_walk_graph(n->t, n->scope, body, in, n->n_in, out, n->n_out);
        for (int i = 0; i < n->n_out && st == TERN_OK; i++)
            st = list_add(n->t, lists[i], out[i]);
    }
    tern__onnx_unpin(n->scope);
    for (int i = 0; i < n->n_out && st == TERN_OK; i++)
        if (n->out[i])
            tern__onnx_share(n->out[i], lists[i]);
    return st;
}

/* --- Optionals --------------------------------------------------------------------------------------------------- */

static tern_status optional(tern__onnx_node *n)
{
    tern__onnx_attr_ignore(n, "type");
    if (tern__onnx_has(n, 0) && tern__onnx_wants(n, 0))
        tern__onnx_share(n->out[0], n->in[0]);
    return TERN_OK;
}

static tern_status optional_has_element(tern__onnx_node *n)
{
    const int64_t has = tern__onnx_has(n, 0);
    tern__onnx_set(n, 0, tern__onnx_const_ints(n, TERN_BOOL, &(tern_shape){0}, &has));
    return TERN_OK;
}

static tern_status optional_get_element(tern__onnx_node *n)
{
    if (!tern__onnx_has(n, 0))
        return tern__onnx_fail(n, TERN_E_INVALID, "the optional is empty");
    if (tern__onnx_wants(n, 0))
        tern__onnx_share(n->out[0], n->in[0]);
    return TERN_OK;
}

const tern__onnx_map tern__onnx_map_control[] = {
    {"", "If", 1, do_if},
    {"", "Loop", 1, do_loop},
    {"", "Scan", 8, scan8},
    {"", "Scan", 9, scan9},
    {"", "SequenceEmpty", 11, sequence_empty},
    {"", "SequenceConstruct", 11, sequence_construct},
    {"", "SequenceInsert", 11, sequence_insert},
    {"", "SequenceErase", 11, sequence_erase},
    {"", "SequenceAt", 11, sequence_at},
    {"", "SequenceLength", 11, sequence_length},
    {"", "SplitToSequence", 11, split_to_sequence},
    {"", "ConcatFromSequence", 11, concat_from_sequence},
    {"", "SequenceMap", 17, sequence_map},
    {"", "Optional", 15, optional},
    {"", "OptionalHasElement", 15, optional_has_element},
    {"", "OptionalGetElement", 15, optional_get_element},
    {0},
};
