/* widen: what follows a convolution over f16 or bf16 is computed in f32, on devices whose arithmetic is f32.
 *
 * Such devices convert each element that they load or store, and convolutions load each many times over; the fast ones know f32 alone. Rounding
 * between ops is saved too. Inputs, variables, outputs and everything before the first convolution stay as they are. */
#include "passes/pass.h"

#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "ops/op.h"

static bool is_short(tern_dtype t)
{
    return t == TERN_F16 || t == TERN_BF16;
}

static bool is_short_conv(const tern_graph *g, const tern__node *n)
{
    return n->op->trait == TERN__CONTRACTION && strncmp(n->op->name, "conv", 4) == 0 && is_short(tern__dtype_of(g, n->out[0]));
}

/* By old value. */
struct widening {
    tern_value *wide; /* its f32 form, TERN_NONE where there is none (yet) */
    bool *follows;    /* it depends on a convolution, so that what reads it reads the f32 form */
};

/* Here rather than by the fold pass, which leaves large constants to the device: a cast in every run. */
static tern_value f32_constant(tern_graph *to, const tern__value *x)
{
    tern__type type = x->type;
    type.dtype = TERN_F32;
    tern__blob *data = tern__blob_create(NULL, tern__type_bytes(&type));
    if (!data)
        return tern__graph_fail(to, TERN_E_NOMEM, "widen: %zu bytes of a constant", tern__type_bytes(&type));
    float *out = (float *)(void *)data->data;
    for (int64_t i = 0, n = tern__elems(&type.shape); i < n; i++) {
        uint16_t bits; /* at any address */
        memcpy(&bits, x->data->data + 2 * i, sizeof bits);
        out[i] = x->type.dtype == TERN_F16 ? tern__f16_to_f32(bits) : tern__bf16_to_f32(bits);
    }
    tern__blob_rest(x->data);
    tern_value v = tern__graph_blob(to, &type, data);
    tern__blob_release(data);
    return v;
}

static tern_value f32_of(tern__rewrite *rw, tern_value old)
{
    struct widening *w = rw->user;
    if (old == TERN_NONE || !is_short(tern__dtype_of(rw->from, old)))
        return tern__rewrite_value(rw, old);
    if (w->wide[old] == TERN_NONE && tern__value_at(rw->from, old)->kind == TERN__VALUE_CONST)
        w->wide[old] = f32_constant(rw->to, tern__value_at(rw->from, old));
    if (w->wide[old] == TERN_NONE)
        w->wide[old] = tern__cast(rw->to, tern__rewrite_value(rw, old), TERN_F32);
    return w->wide[old];
}

/* out: new values of n's outputs. Those that n made short are there in both forms; what nobody uses goes with the dead code. */
static void take_outputs(tern__rewrite *rw, const tern__node *n, const tern_value *out)
{
    struct widening *w = rw->user;
    for (int i = 0; i < n->n_out; i++) {
        const tern_dtype was = tern__dtype_of(rw->from, n->out[i]);
        rw->map[n->out[i]] = out[i];
        if (out[i] == TERN_NONE || tern__dtype_of(rw->to, out[i]) == was)
            continue;
        w->wide[n->out[i]] = out[i];
        w->follows[n->out[i]] = true;
        rw->map[n->out[i]] = tern__cast(rw->to, out[i], was);
    }
}

static bool widens(const tern__rewrite *rw, const tern__node *n)
{
    const struct widening *w = rw->user;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != TERN_NONE && tern__op_reads(n->op, i) && w->follows[n->in[i]])
            return true;
    return is_short_conv(rw->from, n);
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    if (!widens(rw, n))
        return tern__rewrite_copy(rw, n);
    tern_value *in = tern__alloc_array((size_t)n->n_in + (size_t)n->n_out, sizeof *in), *out = in + n->n_in;
    if (!in)
        return tern__fail(TERN_E_NOMEM, "%s: no memory", n->op->name);
    for (int i = 0; i < n->n_in; i++)
        in[i] = f32_of(rw, n->in[i]);
    tern__graph_add_like(rw->to, n, in, out);
    take_outputs(rw, n, out);
    tern__free(in);
    return tern_graph_check(rw->to);
}

static tern_status rewrite(const tern_graph *in, tern_graph **out)
{
    const size_t n = (size_t)in->n_values;
    struct widening w = {tern__alloc_array(n, sizeof *w.wide), tern__alloc_array(n, sizeof *w.follows)};
    tern_status st = w.wide && w.follows ? TERN_OK : tern__fail(TERN_E_NOMEM, "widen: %zu values", n);
    for (size_t i = 0; st == TERN_OK && i < n; i++)
        w.wide[i] = TERN_NONE;
    if (st == TERN_OK)
        st = tern__graph_rewrite(in, &w, visit, out);
    tern__free(w.wide);
    tern__free(w.follows);
    return st;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    bool found = false;
    for (int i = 0; i < in->n_nodes; i++)
        found |= is_short_conv(in, in->nodes[i]);
    return found ? rewrite(in, out) : tern_graph_clone(in, out);
}

const tern__pass tern__pass_widen = {.name = "widen", .doc = "computes what follows a convolution over f16 or bf16 in f32", .run = run};
