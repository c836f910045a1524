/* Running a model: a tree of steps, grown by traces, that later runs follow.
 *
 * A step runs a compiled part, calls a host function, reads a tensor or ends the run. What a step finds out about the data (the types of a host function's
 * results, the elements of a tensor that was read) picks the edge to the next step. A run goes down the tree as far as it reaches; where it
 * leaves it, a trace is made that first passes over the steps already done and then adds new ones. */
#include "onnx/session.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "onnx/trace.h"

enum {
    DEFAULT_SHAPES = 16,
    MAX_STEPS = 20000,     /* of one set of input shapes; a tree that outgrows it is grown anew */
    MAX_READ = 1 << 20,    /* bytes of a tensor that may decide what comes next */
};

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* --- Steps ------------------------------------------------------------------------------------------------------- */

static void refs_finish(tern__onnx_ref *refs, int n)
{
    for (int i = 0; refs && i < n; i++)
        tern__blob_release(refs[i].data);
    tern__free(refs);
}

static void result_finish(tern__onnx_result *r)
{
    for (int i = 0; r->items && i < r->n_items; i++)
        result_finish(&r->items[i]);
    tern__free(r->items);
    tern__blob_release(r->ref.data);
}

static void edges_finish(tern__onnx_edge *edges, int n);

static void step_destroy(tern__onnx_step *s)
{
    if (!s)
        return;
    edges_finish(s->edges, s->n_edges);
    if (s->plan)
        s->plan->refs--;
    tern__free(s->in);
    tern__free(s->out);
    refs_finish(s->call_in, s->n_in);
    for (int i = 0; s->results && i < s->n_out; i++)
        result_finish(&s->results[i]);
    tern__free(s->results);
    tern__free(s);
}

static void edges_finish(tern__onnx_edge *edges, int n)
{
    for (int i = 0; i < n; i++) {
        step_destroy(edges[i].next);
        tern__free(edges[i].key);
    }
    tern__free(edges);
}

/* The edge with this key, added if it is new; NULL: no memory. */
static tern__onnx_edge *edge_for(tern__onnx_edge **edges, int *n, int *cap, const void *key, size_t size)
{
    for (int i = 0; i < *n; i++)
        if ((*edges)[i].size == size && memcmp((*edges)[i].key, key, size) == 0)
            return &(*edges)[i];
    if (*n == *cap && !TERN_GROW(*edges, *n, *cap))
        return NULL;
    void *copy = tern__memdup(key, size);
    if (!copy)
        return NULL;
    (*edges)[*n] = (tern__onnx_edge){.key = copy, .size = size};
    return &(*edges)[(*n)++];
}

/* --- Plans ------------------------------------------------------------------------------------------------------- */

static tern__digest hash_value(tern__digest d, const tern__value *x)
{
    const int head[] = {x->kind, (int)x->type.dtype, x->type.shape.rank};
    d = tern__hash_more(d, head, sizeof head);
    d = tern__hash_more(d, x->type.shape.dim, (size_t)x->type.shape.rank * sizeof x->type.shape.dim[0]);
    if (x->kind != TERN__VALUE_CONST)
        return d;
    /* Weights are the same blobs in every trace; small constants are made anew each time. */
    if (x->data->size <= 4096)
        return tern__hash_more(d, x->data->data, x->data->size);
    return tern__hash_more(d, &x->data->data, sizeof x->data->data);
}

static tern__digest hash_node(tern__digest d, const tern__node *n)
{
    d = tern__hash_more(d, &n->op, sizeof n->op);
    d = tern__hash_more(d, n->in, (size_t)n->n_in * sizeof n->in[0]);
    d = tern__hash_more(d, n->out, (size_t)n->n_out * sizeof n->out[0]);
    for (int i = 0; i < n->op->n_attrs; i++) {
        const tern__attr_value *a = &n->attrs[i];
        d = tern__hash_more(d, &a->i, sizeof a->i);
        d = tern__hash_more(d, &a->f, sizeof a->f);
        d = tern__hash_more(d, a->s ? a->s : "", a->s ? strlen(a->s) + 1 : 0);
        d = tern__hash_more(d, &a->n_ints, sizeof a->n_ints);
        if (a->n_ints > 0)
            d = tern__hash_more(d, a->ints, (size_t)a->n_ints * sizeof a->ints[0]);
    }
    return d;
}

/* Parts that are alike (the iterations of a loop) have one plan. */
static tern__digest hash_graph(const tern_graph *g)
{
    tern__digest d = tern__hash("part", 4);
    for (int i = 0; i < g->n_values; i++)
        d = hash_value(d, &g->values[i]);
    for (int i = 0; i < g->n_nodes; i++)
        d = hash_node(d, g->nodes[i]);
    for (int i = 0; i < g->n_outputs; i++)
        d = tern__hash_more(d, &g->outputs[i].value, sizeof g->outputs[i].value);
    return d;
}

static void drop_unused_plans(tern_onnx_session *s)
{
    int kept = 0;
    for (int i = 0; i < s->n_plans; i++) {
        if (s->plans[i]->refs > 0) {
            s->plans[kept++] = s->plans[i];
            continue;
        }
        tern_session_destroy(s->plans[i]->session);
        tern__blob **held = s->plans[i]->held;
        for (int k = 0; k < s->plans[i]->n_held; k++)
            tern__blob_release(held[k]);
        tern__free(held);
        tern__free(s->plans[i]);
    }
    s->n_plans = kept;
}

/* The digest has the addresses of large constants in it: they stay as long as the plan does. */
static tern_status hold_constants(tern__onnx_plan *p, const tern_graph *g)
{
    p->held = tern__alloc_array((size_t)g->n_values, sizeof *p->held);
    if (!p->held)
        return tern__fail(TERN_E_NOMEM, "onnx: a plan");
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i].kind == TERN__VALUE_CONST && g->values[i].data->size > 4096)
            p->held[p->n_held++] = tern__blob_retain(g->values[i].data);
    return TERN_OK;
}

static tern_status plan_for(tern_onnx_session *s, const tern_graph *g, tern__onnx_plan **out)
{
    const tern__digest d = hash_graph(g);
    for (int i = 0; i < s->n_plans; i++)
        if (tern__digest_equal(s->plans[i]->digest, d)) {
            *out = s->plans[i];
            return TERN_OK;
        }
    if (s->n_plans == s->cap_plans && !TERN_GROW(s->plans, s->n_plans, s->cap_plans))
        return tern__fail(TERN_E_NOMEM, "onnx: %d plans", s->n_plans);
    tern__onnx_plan *p = tern__alloc(sizeof *p);
    if (!p)
        return tern__fail(TERN_E_NOMEM, "onnx: a plan");
    p->digest = d;
    s->plans[s->n_plans++] = p;
    const double begin = seconds_now();
    tern_status st = hold_constants(p, g);
    if (st == TERN_OK)
        st = tern_session_create(s->device, g, &(tern_session_params){.freeze = true, .disable = s->disable, .force_impl = s->force_impl, .exact = s->exact,
                                                                             .no_tuned = s->no_tuned},
                                 &p->session);
    s->compile_s += seconds_now() - begin;
    if (st != TERN_OK) {
        drop_unused_plans(s);
        return st;
    }
    *out = p;
    return TERN_OK;
}

/* --- A run ------------------------------------------------------------------------------------------------------- */

struct run {
    tern_onnx_session *s;
    tern_tensor **slots;
    bool *borrowed;           /* belongs to the caller */
    int n_slots, cap_slots, cap_borrowed;
    tern__onnx_step **done;   /* steps of this run, in order */
    int n_done, cap_done;
    int passed;               /* of these, those that the trace has come by */
    tern__onnx_step **link;   /* where the next step is or will be */
};

static tern_status add_slot(struct run *r, tern_tensor *t, bool borrowed, int *slot)
{
    if ((r->n_slots == r->cap_slots && !TERN_GROW(r->slots, r->n_slots, r->cap_slots)) ||
        (r->n_slots == r->cap_borrowed && !TERN_GROW(r->borrowed, r->n_slots, r->cap_borrowed)))
        return tern__fail(TERN_E_NOMEM, "onnx: %d tensors of a run", r->n_slots);
    r->borrowed[r->n_slots] = borrowed;
    r->slots[*slot = r->n_slots++] = t;
    return TERN_OK;
}

static void run_finish(struct run *r)
{
    for (int i = 0; i < r->n_slots; i++)
        if (!r->borrowed[i])
            tern_tensor_destroy(r->slots[i]);
    tern__free(r->slots);
    tern__free(r->borrowed);
    tern__free(r->done);
}

static tern_status follow(struct run *r, tern__onnx_step *step, const void *key, size_t size)
{
    tern__onnx_edge *e = edge_for(&step->edges, &step->n_edges, &step->cap_edges, key, size);
    if (!e || (r->n_done == r->cap_done && !TERN_GROW(r->done, r->n_done, r->cap_done)))
        return tern__fail(TERN_E_NOMEM, "onnx: the steps of a run");
    r->done[r->n_done++] = step;
    r->link = &e->next;
    return TERN_OK;
}

static tern_status do_plan(struct run *r, tern__onnx_step *step)
{
    tern_session *session = step->plan->session;
    tern_tensor **t = tern__alloc_array((size_t)step->n_in + (size_t)step->n_out + 1, sizeof(tern_tensor *));
    if (!t)
        return tern__fail(TERN_E_NOMEM, "onnx: the tensors of a part");
    tern_tensor **out = t + step->n_in;
    tern_status st = TERN_OK;
    for (int i = 0; i < step->n_in; i++)
        t[i] = r->slots[step->in[i]];
    for (int i = 0; i < step->n_out && st == TERN_OK; i++) {
        tern_dtype dtype;
        tern_shape shape;
        int slot;
        st = tern_session_output_info(session, i, &dtype, &shape);
        if (st == TERN_OK)
            st = tern_tensor_create(dtype, &shape, &out[i]);
        if (st == TERN_OK && (st = add_slot(r, out[i], false, &slot)) != TERN_OK)
            tern_tensor_destroy(out[i]);
    }
    if (st == TERN_OK)
        st = tern_session_run(session, t, out);
    tern__free(t);
    return st == TERN_OK ? follow(r, step, "", 0) : st;
}

static tern_status take_output(struct run *r, const tern__array *a)
{
    tern_tensor *t = NULL;
    int slot;
    if (a->data) {
        TERN_TRY(tern_tensor_create(a->type.dtype, &a->type.shape, &t));
        memcpy(tern_tensor_data(t), a->data, tern_tensor_size_bytes(t));
    }
    tern_status st = add_slot(r, t, false, &slot);
    if (st != TERN_OK)
        tern_tensor_destroy(t);
    return st;
}

/* The types of a host function's results, as a key. */
static tern_status follow_types(struct run *r, tern__onnx_step *step, const tern__array *out)
{
    int64_t *key = tern__alloc_array((size_t)step->n_out * (TERN_MAX_RANK + 2) + 1, sizeof *key);
    if (!key)
        return tern__fail(TERN_E_NOMEM, "onnx: the types of %d results", step->n_out);
    size_t n = 0;
    for (int i = 0; i < step->n_out; i++) {
        key[n++] = out[i].data ? (int64_t)out[i].type.dtype : -1;
        key[n++] = out[i].type.shape.rank;
        for (int k = 0; k < out[i].type.shape.rank; k++)
            key[n++] = out[i].type.shape.dim[k];
    }
    tern_status st = follow(r, step, key, n * sizeof *key);
    tern__free(key);
    return st;
}

static tern_status do_call(struct run *r, tern__onnx_step *step)
{
    tern__array *arrays = tern__alloc_array((size_t)step->n_in + (size_t)step->n_out + 1, sizeof *arrays);
    if (!arrays)
        return tern__fail(TERN_E_NOMEM, "onnx: work on the host");
    tern__onnx_host h = {step->proto, step->opset, step->n_in, step->n_out, arrays, arrays + step->n_in};
    tern_status st = TERN_OK;
    for (int i = 0; i < step->n_in && st == TERN_OK; i++) {
        const tern__onnx_ref *ref = &step->call_in[i];
        if (ref->data)
            arrays[i] = (tern__array){ref->type, tern__blob_elems(ref->data)};
        else if (ref->slot >= 0)
            arrays[i] = (tern__array){ref->type, tern_tensor_data(r->slots[ref->slot])};
        if (ref->data && !arrays[i].data)
            st = tern__fail(TERN_E_NOMEM, "onnx: input %d of work on the host, %zu bytes", i, ref->data->size);
    }
    if (st == TERN_OK)
        st = step->fn(&h);
    for (int i = 0; i < step->n_out && st == TERN_OK; i++)
        st = take_output(r, &h.out[i]);
    if (st == TERN_OK)
        st = follow_types(r, step, h.out);
    for (int i = 0; i < step->n_out; i++)
        tern__free(h.out[i].data);
    tern__free(arrays);
    return st;
}

static tern_status do_read(struct run *r, tern__onnx_step *step)
{
    const tern_tensor *t = r->slots[step->slot];
    if (tern_tensor_size_bytes(t) > MAX_READ)
        return tern__fail(TERN_E_UNSUPPORTED, "%zu bytes would decide what the model does next; the limit is %d", tern_tensor_size_bytes(t), MAX_READ);
    return follow(r, step, tern_tensor_data(t), tern_tensor_size_bytes(t));
}

static tern_status do_step(struct run *r, tern__onnx_step *step)
{
    switch (step->kind) {
    case TERN__ONNX_STEP_PLAN: return do_plan(r, step);
    case TERN__ONNX_STEP_CALL: return do_call(r, step);
    case TERN__ONNX_STEP_READ: return do_read(r, step);
    case TERN__ONNX_STEP_END: break;
    }
    return TERN_OK;
}

/* --- The trace's side -------------------------------------------------------------------------------------------- */

/* The step that this run has done at this place of the trace, or NULL: then it is time for a new one. */
static tern__onnx_step *pass(struct run *r)
{
    return r->passed < r->n_done ? r->done[r->passed++] : NULL;
}

/* Puts a fresh step into the tree and does it. Takes it over. */
static tern_status grow(struct run *r, tern__onnx_step *step)
{
    r->s->n_steps++;
    *r->link = step;
    tern_status st = do_step(r, step);
    if (st == TERN_OK) {
        r->passed = r->n_done;
        return TERN_OK;
    }
    *r->link = NULL;
    step_destroy(step);
    drop_unused_plans(r->s);
    return st;
}

static tern_status runner_run(void *user, tern_graph *g, const int *in, int n_in, int *out, int n_out)
{
    struct run *r = user;
    const tern__onnx_step *old = pass(r);
    if (old) {
        tern_graph_destroy(g);
        memcpy(out, old->out, (size_t)n_out * sizeof *out);
        return TERN_OK;
    }
    tern__onnx_step *step = tern__alloc(sizeof *step);
    if (!step) {
        tern_graph_destroy(g);
        return tern__fail(TERN_E_NOMEM, "onnx: a step");
    }
    *step = (tern__onnx_step){.kind = TERN__ONNX_STEP_PLAN, .n_in = n_in, .n_out = n_out};
    step->in = tern__memdup(in, (size_t)n_in * sizeof *in);
    step->out = tern__alloc_array((size_t)n_out, sizeof *out);
    tern_status st = step->in && step->out ? plan_for(r->s, g, &step->plan) : tern__fail(TERN_E_NOMEM, "onnx: a step");
    tern_graph_destroy(g);
    if (st != TERN_OK) {
        step_destroy(step);
        return st;
    }
    step->plan->refs++;
    for (int i = 0; i < n_out; i++)
        out[i] = step->out[i] = r->n_slots + i;
    return grow(r, step);
}

static tern_status runner_read(void *user, int slot, const tern_tensor **out)
{
    struct run *r = user;
    if (!pass(r)) {
        tern__onnx_step *step = tern__alloc(sizeof *step);
        if (!step)
            return tern__fail(TERN_E_NOMEM, "onnx: a step");
        *step = (tern__onnx_step){.kind = TERN__ONNX_STEP_READ, .slot = slot};
        TERN_TRY(grow(r, step));
    }
    *out = r->slots[slot];
    return TERN_OK;
}

static void name_results(const struct run *r, int first, tern__onnx_ref *out, int n_out)
{
    for (int i = 0; i < n_out; i++) {
        const tern_tensor *t = r->slots[first + i];
        out[i] = (tern__onnx_ref){.slot = t ? first + i : -1};
        if (t)
            out[i].type = (tern__type){.dtype = tern_tensor_dtype(t), .shape = *tern_tensor_shape(t)};
    }
}

static tern_status runner_call(void *user, tern__onnx_host_fn fn, const Onnx__NodeProto *proto, int opset, const tern__onnx_ref *in, int n_in,
                               tern__onnx_ref *out, int n_out)
{
    struct run *r = user;
    const tern__onnx_step *old = pass(r);
    if (old) {
        name_results(r, old->slot, out, n_out);
        return TERN_OK;
    }
    tern__onnx_step *step = tern__alloc(sizeof *step);
    tern__onnx_ref *copy = tern__memdup(in, (size_t)n_in * sizeof *in);
    if (!step || !copy) {
        tern__free(step);
        tern__free(copy);
        return tern__fail(TERN_E_NOMEM, "onnx: a step");
    }
    for (int i = 0; i < n_in; i++)
        if (copy[i].data)
            tern__blob_retain(copy[i].data);
    const int first = r->n_slots;
    *step = (tern__onnx_step){.kind = TERN__ONNX_STEP_CALL, .n_in = n_in, .n_out = n_out, .fn = fn, .proto = proto, .opset = opset, .call_in = copy, .slot = first};
    TERN_TRY(grow(r, step));
    name_results(r, first, out, n_out);
    return TERN_OK;
}

/* --- Inputs and results ------------------------------------------------------------------------------------------ */

/* Appends what the trace depends on to the key and makes slots of the tensors. */
static tern_status take_input(struct run *r, const tern_onnx_value *v, const char *name, tern__str *key)
{
    const int head[] = {(int)v->kind, v->n_items};
    tern__str_addn(key, (const char *)head, sizeof head);
    for (int i = 0; v->kind == TERN_ONNX_SEQUENCE && i < v->n_items; i++)
        TERN_TRY(take_input(r, &v->items[i], name, key));
    if (v->kind != TERN_ONNX_TENSOR)
        return TERN_OK;
    if (!v->tensor || !tern_tensor_data(v->tensor))
        return tern__fail(TERN_E_INVALID, "input \"%s\" is no host tensor", name);
    const tern_shape *s = tern_tensor_shape(v->tensor);
    const int type[] = {(int)tern_tensor_dtype(v->tensor), s->rank};
    tern__str_addn(key, (const char *)type, sizeof type);
    tern__str_addn(key, (const char *)s->dim, (size_t)s->rank * sizeof s->dim[0]);
    int slot;
    return add_slot(r, v->tensor, true, &slot);
}

static tern_status input_value(tern__onnx_trace *t, const tern_onnx_value *v, int *slot, tern__onnx_value **out)
{
    tern__onnx_value *x = *out = tern__onnx_new(t);
    if (!x)
        return tern__fail(TERN_E_NOMEM, "onnx: an input");
    if (v->kind == TERN_ONNX_TENSOR) {
        x->kind = TERN__ONNX_TENSOR;
        x->type = (tern__type){.dtype = tern_tensor_dtype(v->tensor), .shape = *tern_tensor_shape(v->tensor)};
        x->slot = (*slot)++;
    } else if (v->kind == TERN_ONNX_SEQUENCE) {
        x->kind = TERN__ONNX_SEQUENCE;
        x->n_items = v->n_items;
        x->items = tern__onnx_trace_scratch(t, (size_t)v->n_items, sizeof *x->items);
        if (!x->items)
            return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", v->n_items);
        for (int i = 0; i < v->n_items; i++)
            TERN_TRY(input_value(t, &v->items[i], slot, &x->items[i]));
        if (v->n_items > 0)
            x->type = x->items[0]->type;
    }
    return TERN_OK;
}

static tern_status result_of(tern__onnx_trace *t, tern__onnx_value *x, tern__onnx_result *res)
{
    res->kind = (tern_onnx_kind)x->kind;
    if (x->kind == TERN__ONNX_TENSOR) {
        TERN_TRY(tern__onnx_outside(t, x, &res->ref));
        if (res->ref.data)
            tern__blob_retain(res->ref.data);
        return TERN_OK;
    }
    res->items = tern__alloc_array((size_t)x->n_items + 1, sizeof *res->items);
    if (!res->items)
        return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", x->n_items);
    for (res->n_items = 0; res->n_items < x->n_items; res->n_items++)
        TERN_TRY(result_of(t, x->items[res->n_items], &res->items[res->n_items]));
    return TERN_OK;
}

static tern_status end_trace(struct run *r, tern__onnx_trace *t, tern__onnx_value **out, int n_out)
{
    /* What the outputs need leaves the graph in one part. */
    TERN_TRY(tern__onnx_cut(t, out, n_out));
    tern__onnx_step *step = tern__alloc(sizeof *step);
    if (!step || !(step->results = tern__alloc_array((size_t)n_out + 1, sizeof *step->results))) {
        tern__free(step);
        return tern__fail(TERN_E_NOMEM, "onnx: the results");
    }
    step->kind = TERN__ONNX_STEP_END;
    step->n_out = n_out;
    for (int i = 0; i < n_out; i++) {
        tern_status st = result_of(t, out[i], &step->results[i]);
        if (st != TERN_OK) {
            step_destroy(step);
            return st;
        }
    }
    return grow(r, step);
}

static tern_status trace(struct run *r, const tern_onnx_value *in)
{
    tern_onnx *m = r->s->m;
    const tern__onnx_runner runner = {r, runner_run, runner_read, runner_call};
    const int n_out = tern_onnx_n_outputs(m);
    tern__onnx_trace t;
    tern_status st = tern__onnx_trace_begin(&t, m, &runner);
    tern__onnx_value **values = st == TERN_OK ? tern__onnx_trace_scratch(&t, (size_t)m->n_inputs + (size_t)n_out + 1, sizeof *values) : NULL;
    if (st == TERN_OK && !values)
        st = tern__fail(TERN_E_NOMEM, "onnx: the values of a trace");
    int slot = 0;
    r->passed = 0;
    for (int i = 0; i < m->n_inputs && st == TERN_OK; i++)
        st = input_value(&t, &in[i], &slot, &values[i]);
    const tern_onnx_value number = {.kind = TERN_ONNX_TENSOR, .tensor = r->slots[slot]};
    if (st == TERN_OK)
        st = input_value(&t, &number, &slot, &t.run_number);
    if (st == TERN_OK)
        st = tern__onnx_walk_model(&t, values, values + m->n_inputs);
    if (st == TERN_OK)
        st = end_trace(r, &t, values + m->n_inputs, n_out);
    tern__onnx_trace_finish(&t);
    return st;
}

/* The result for the caller: a slot's tensor is given away the last time it is needed, copied before. */
static tern_status give(struct run *r, const tern__onnx_result *res, tern_onnx_value *out)
{
    *out = (tern_onnx_value){.kind = res->kind};
    if (res->kind == TERN_ONNX_SEQUENCE) {
        out->items = tern__alloc_array((size_t)res->n_items + 1, sizeof *out->items);
        if (!out->items)
            return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", res->n_items);
        for (; out->n_items < res->n_items; out->n_items++)
            TERN_TRY(give(r, &res->items[out->n_items], &out->items[out->n_items]));
    }
    if (res->kind != TERN_ONNX_TENSOR)
        return TERN_OK;
    const int slot = res->ref.slot;
    if (slot >= 0 && !r->borrowed[slot]) {
        out->tensor = r->slots[slot];
        r->borrowed[slot] = true; /* the caller's from now on */
        return TERN_OK;
    }
    TERN_TRY(tern_tensor_create(res->ref.type.dtype, &res->ref.type.shape, &out->tensor));
    memcpy(tern_tensor_data(out->tensor), slot >= 0 ? tern_tensor_data(r->slots[slot]) : res->ref.data->data, tern_tensor_size_bytes(out->tensor));
    return TERN_OK;
}

static tern_status give_all(struct run *r, const tern__onnx_step *end, tern_onnx_value *out)
{
    for (int i = 0; i < end->n_out; i++)
        out[i] = (tern_onnx_value){0};
    for (int i = 0; i < end->n_out; i++) {
        tern_status st = give(r, &end->results[i], &out[i]);
        if (st == TERN_OK)
            continue;
        for (int k = 0; k <= i; k++)
            tern_onnx_value_clear(&out[k]);
        return st;
    }
    return TERN_OK;
}

static tern_status find_root(struct run *r, const tern__str *key)
{
    tern_onnx_session *s = r->s;
    if (s->n_steps > MAX_STEPS || (s->n_roots >= s->max_shapes)) {
        bool known = false;
        for (int i = 0; i < s->n_roots; i++)
            known |= s->roots[i].size == key->len && memcmp(s->roots[i].key, key->s, key->len) == 0;
        if (s->n_steps > MAX_STEPS || !known) {
            edges_finish(s->roots, s->n_roots);
            s->roots = NULL;
            s->n_roots = s->cap_roots = s->n_steps = 0;
            drop_unused_plans(s);
        }
    }
    tern__onnx_edge *e = edge_for(&s->roots, &s->n_roots, &s->cap_roots, tern__str_text(key), key->len);
    if (!e)
        return tern__fail(TERN_E_NOMEM, "onnx: a set of input shapes");
    r->link = &e->next;
    return TERN_OK;
}

/* The slot after the inputs'. */
static tern_status number_run(struct run *r)
{
    tern_tensor *t = NULL;
    int slot;
    TERN_TRY(tern_tensor_create(TERN_I64, &(tern_shape){0}, &t));
    *(int64_t *)tern_tensor_data(t) = r->s->n_runs++;
    tern_status st = add_slot(r, t, false, &slot);
    if (st != TERN_OK)
        tern_tensor_destroy(t);
    return st;
}

static tern_status run(struct run *r, const tern_onnx_value *in, tern_onnx_value *out)
{
    tern_onnx_session *s = r->s;
    tern__str key = {0};
    tern_status st = TERN_OK;
    for (int i = 0; i < s->m->n_inputs && st == TERN_OK; i++) {
        st = tern__onnx_check_input(s->m, i, &in[i]);
        if (st == TERN_OK)
            st = take_input(r, &in[i], s->m->inputs[i]->name, &key);
    }
    if (st == TERN_OK && key.failed)
        st = tern__fail(TERN_E_NOMEM, "onnx: the types of the inputs");
    if (st == TERN_OK)
        st = number_run(r);
    if (st == TERN_OK)
        st = find_root(r, &key);
    tern__str_finish(&key);
    while (st == TERN_OK && *r->link && (*r->link)->kind != TERN__ONNX_STEP_END)
        st = do_step(r, *r->link);
    if (st == TERN_OK && !*r->link)
        st = trace(r, in);
    s->n_cuts = r->n_done;
    return st == TERN_OK && out ? give_all(r, *r->link, out) : st;
}

tern_status tern_onnx_session_run(tern_onnx_session *s, const tern_onnx_value *in, tern_onnx_value *out)
{
    if (!s || (!in && s->m->n_inputs > 0))
        return tern__fail(TERN_E_INVALID, "tern_onnx_session_run: no %s", s ? "inputs" : "session");
    struct run r = {.s = s};
    tern_status st = run(&r, in, out);
    run_finish(&r);
    return st;
}

/* --- Life -------------------------------------------------------------------------------------------------------- */

tern_status tern_onnx_session_create(tern_device *d, tern_onnx *m, const tern_onnx_session_params *p, tern_onnx_session **out)
{
    static const tern_onnx_session_params none;
    if (!d || !m || !out)
        return tern__fail(TERN_E_INVALID, "tern_onnx_session_create: no %s", !d ? "device" : !m ? "model" : "place for the result");
    p = p ? p : &none;
    for (int i = 0; i < m->n_ops; i++)
        if (!m->ops[i].supported)
            return tern__fail(TERN_E_UNSUPPORTED, "Tern has no operator %.100s%s%.100s for opset %d (node \"%.100s\")", m->ops[i].domain, *m->ops[i].domain ? "." : "",
                              m->ops[i].name, m->ops[i].opset, m->ops[i].node);
    tern_onnx_session *s = tern__alloc(sizeof *s);
    if (!s)
        return tern__fail(TERN_E_NOMEM, "onnx: a session");
    s->device = d;
    s->m = m;
    s->max_shapes = p->max_shapes > 0 ? p->max_shapes : DEFAULT_SHAPES;
    s->exact = p->exact;
    s->no_tuned = p->no_tuned;
    s->disable = p->disable ? tern__strdup(p->disable) : NULL;
    s->force_impl = p->force_impl ? tern__strdup(p->force_impl) : NULL;
    if ((p->disable && !s->disable) || (p->force_impl && !s->force_impl)) {
        tern_onnx_session_destroy(s);
        return tern__fail(TERN_E_NOMEM, "onnx: a session");
    }
    *out = s;
    return TERN_OK;
}

void tern_onnx_session_destroy(tern_onnx_session *s)
{
    if (!s)
        return;
    edges_finish(s->roots, s->n_roots);
    drop_unused_plans(s);
    tern__free(s->plans);
    tern__free(s->disable);
    tern__free(s->force_impl);
    tern__free(s);
}

void tern_onnx_session_get_info(const tern_onnx_session *s, tern_onnx_session_info *out)
{
    *out = (tern_onnx_session_info){.n_shapes = s->n_roots, .n_plans = s->n_plans, .n_cuts = s->n_cuts, .compile_s = s->compile_s};
    for (int i = 0; i < s->n_plans; i++) {
        tern_plan_info plan;
        tern_session_get_info(s->plans[i]->session, &plan);
        out->n_tuned += plan.n_tuned;
        out->tuned_note = plan.tuned_note ? plan.tuned_note : out->tuned_note;
    }
}
