/* Sessions: creating, running, closing. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/session_impl.h"
#include "device/tensor.h"
#include "program/program.h"

static tern_status create(tern_session *s, const tern_graph *g, const tern_session_params *p)
{
    TERN_TRY(tern_graph_check(g));
    if (p->freeze && g->n_assigns)
        return tern__fail(TERN_E_INVALID, "session: a frozen graph cannot assign variables, this one has %d assignments", g->n_assigns);
    if (p->store)
        s->store = tern__store_retain(p->store);
    else
        TERN_TRY(tern_store_create(s->device, &s->store));
    return tern__session_build(s, g, p);
}

tern_status tern_session_create(tern_device *d, const tern_graph *g, const tern_session_params *p, tern_session **out)
{
    if (!d || !g || !out)
        return tern__fail(TERN_E_INVALID, "session: a device, a graph and a place for the session are needed");
    tern_session *s = tern__alloc(sizeof *s);
    if (!s)
        return tern__fail(TERN_E_NOMEM, "session: %zu bytes", sizeof *s);
    s->device = tern__device_retain(d);
    tern_status st = create(s, g, p ? p : &(tern_session_params){0});
    if (st != TERN_OK) {
        tern_session_destroy(s);
        return st;
    }
    *out = s;
    return TERN_OK;
}

static void release_buffers(tern__buffer **b, int n)
{
    for (int i = 0; b && i < n; i++)
        tern__buffer_release(b[i]);
    tern__free(b);
}

void tern_session_destroy(tern_session *s)
{
    if (!s)
        return;
    if (s->plan)
        (void)tern__device_finish(s->device); /* kernels in flight hold no references */
    tern__plan_destroy(s->plan);
    tern__plan_destroy(s->prepare);
    const tern_graph *g = s->c.g;
    if (g) {
        release_buffers(s->const_buffer, g->n_values);
        release_buffers(s->input_buffer, g->n_inputs);
        release_buffers(s->output_buffer, g->n_outputs);
    }
    for (int i = 0; i < s->n_tail; i++)
        tern__buffer_release(s->tail[i].stage);
    tern__free(s->tail);
    tern__free(s->slot_of);
    tern__free(s->prepare_slot_of);
    tern__free(s->temp_slot);
    tern__free(s->temp_prepare);
    tern__free(s->output_in_plan);
    tern__program_release(s->program);
    tern__str_finish(&s->source);
    tern__compile_finish(&s->c);
    tern_store_destroy(s->store);
    tern__device_release(s->device);
    tern__free(s);
}

/* --- Running --- */

static tern_status check_tensor(const tern_session *s, const char *what, const char *name, const tern_tensor *t, tern_value v)
{
    const tern__type *want = tern__type_of(s->c.g, v);
    if (tern_tensor_dtype(t) != want->dtype)
        return tern__fail(TERN_E_DTYPE, "session: %s %s is %s, not %s", what, name, tern_dtype_name(want->dtype), tern_dtype_name(tern_tensor_dtype(t)));
    if (!tern__shape_equal(tern_tensor_shape(t), &want->shape)) {
        tern__str a = {0}, b = {0};
        tern__shape_print(&a, &want->shape);
        tern__shape_print(&b, tern_tensor_shape(t));
        tern__fail(TERN_E_SHAPE, "session: %s %s has shape %s, not %s", what, name, tern__str_text(&a), tern__str_text(&b));
        tern__str_finish(&a);
        tern__str_finish(&b);
        return TERN_E_SHAPE;
    }
    tern__buffer *b = tern__tensor_buffer(t);
    if (b && tern__buffer_device(b) != s->device)
        return tern__fail(TERN_E_INVALID, "session: %s %s lives on another device", what, name);
    return TERN_OK;
}

static tern_status check_run(const tern_session *s, tern_tensor *const *in, tern_tensor *const *out)
{
    const tern_graph *g = s->c.g;
    for (int i = 0; i < g->n_inputs; i++) {
        const char *name = tern_graph_input_name(g, i);
        if (!in || !in[i])
            return tern__fail(TERN_E_INVALID, "session: input %s is missing", name);
        TERN_TRY(check_tensor(s, "input", name, in[i], g->inputs[i]));
    }
    for (int i = 0; out && i < g->n_outputs; i++)
        if (out[i])
            TERN_TRY(check_tensor(s, "output", g->outputs[i].name, out[i], g->outputs[i].value));
    return TERN_OK;
}

static tern_status take_inputs(tern_session *s, tern_tensor *const *in, bool later)
{
    const tern_graph *g = s->c.g;
    for (int i = 0; i < g->n_inputs; i++) {
        tern__buffer *b = tern__tensor_buffer(in[i]);
        int slot = s->slot_of[g->inputs[i]];
        size_t bytes = tern_tensor_size_bytes(in[i]);
        if (!b) {
            b = s->input_buffer[i];
            if (bytes)
                TERN_TRY((later ? tern__buffer_write_later : tern__buffer_write)(b, 0, tern_tensor_data(in[i]), bytes));
        }
        if (slot >= 0)
            TERN_TRY(tern__plan_bind(s->plan, slot, b));
    }
    return TERN_OK;
}

/* Where output i goes in this run. */
static tern__buffer *target(const tern_session *s, tern_tensor *const *out, int i)
{
    tern__buffer *b = out && out[i] ? tern__tensor_buffer(out[i]) : NULL;
    return b ? b : s->output_buffer[i];
}

/* The memory a value has in this run. */
static tern__buffer *memory(const tern_session *s, tern_tensor *const *in, tern_value v)
{
    v = tern__alias_of(&s->c, v);
    for (int i = 0; i < s->c.g->n_inputs; i++)
        if (s->c.g->inputs[i] == v) {
            tern__buffer *b = tern__tensor_buffer(in[i]);
            return b ? b : s->input_buffer[i];
        }
    return tern__plan_slot_buffer(s->plan, s->slot_of[v]);
}

static tern_status copy_value(tern_session *s, tern__buffer *from, tern__buffer *to, tern_value v)
{
    size_t bytes = tern__type_bytes(tern__type_of(s->c.g, v));
    return bytes && from != to ? tern__buffer_copy(from, 0, to, 0, bytes) : TERN_OK;
}

/* Results first, then what assignments read, then the variables: each sees the values from before. */
static tern_status tail_copies(tern_session *s, tern_tensor *const *in, tern_tensor *const *out)
{
    for (int i = 0; i < s->n_tail; i++) {
        const tern__tail_copy *t = &s->tail[i];
        if (t->output >= 0)
            TERN_TRY(copy_value(s, memory(s, in, t->from), target(s, out, t->output), t->from));
        else if (t->stage)
            TERN_TRY(copy_value(s, memory(s, in, t->from), t->stage, t->from));
    }
    for (int i = 0; i < s->n_tail; i++) {
        const tern__tail_copy *t = &s->tail[i];
        if (t->assign < 0)
            continue;
        tern__buffer *var;
        TERN_TRY(tern__store_variable(s->store, s->c.g, s->c.g->assigns[t->assign].variable, &var));
        TERN_TRY(copy_value(s, t->stage ? t->stage : memory(s, in, t->from), var, t->from));
    }
    return TERN_OK;
}

static tern_status enqueue_run(tern_session *s, tern_tensor *const *in, tern_tensor *const *out, bool later)
{
    TERN_TRY(take_inputs(s, in, later));
    const tern_graph *g = s->c.g;
    for (int i = 0; i < g->n_outputs; i++)
        if (s->output_in_plan[i] && s->slot_of[g->outputs[i].value] >= 0) /* an empty result has no kernel */
            TERN_TRY(tern__plan_bind(s->plan, s->slot_of[g->outputs[i].value], target(s, out, i)));
    TERN_TRY(tern__plan_run(s->plan));
    TERN_TRY(tail_copies(s, in, out));
    for (int i = 0; out && i < g->n_outputs; i++) {
        if (!out[i] || tern__tensor_buffer(out[i]))
            continue;
        size_t bytes = tern_tensor_size_bytes(out[i]);
        if (bytes)
            TERN_TRY(tern__buffer_read_later(s->output_buffer[i], 0, tern_tensor_data(out[i]), bytes));
    }
    return TERN_OK;
}

/* Where results go to the host there is one wait, at the end: each costs as much as a small layer. */
tern_status tern_session_run(tern_session *s, tern_tensor *const *in, tern_tensor *const *out)
{
    if (!s)
        return tern__fail(TERN_E_INVALID, "session: no session to run");
    TERN_TRY(check_run(s, in, out));
    bool waits = false;
    for (int i = 0; out && i < s->c.g->n_outputs; i++)
        waits |= out[i] && !tern__tensor_buffer(out[i]);
    tern_status st = enqueue_run(s, in, out, waits);
    if (!waits)
        return st;
    const tern_status finished = tern__device_finish(s->device); /* nothing of the caller's may be in use when this returns */
    return st != TERN_OK ? st : finished;
}

tern_status tern_session_finish(tern_session *s)
{
    if (!s)
        return tern__fail(TERN_E_INVALID, "session: no session to wait for");
    return tern__device_finish(s->device);
}

tern_store *tern_session_store(tern_session *s)
{
    return s ? s->store : NULL;
}
