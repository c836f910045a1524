/* RNN, GRU and LSTM: one product for the whole sequence, then the time steps one after the other as ops of the graph. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "ops/common.h"
#include "onnx/import.h"

enum {
    MOST_STEPS = 16384,       /* a step is some ten nodes */
    MOST_ACTIVATIONS = 3,     /* of one direction */
    FAN_IN = 16,              /* values that one concat joins */
};

/* --- Activations --- */

/* What an activation function is called, and the parameters it takes with their defaults. */
static const struct activation_kind {
    const char *name;
    const char *op;           /* the op that it is, NULL: composed */
    bool has_alpha, has_beta;
    double alpha, beta;
} activation_kinds[] = {
    {"Tanh", "tanh", false, false, 0, 0},
    {"Sigmoid", "sigmoid", false, false, 0, 0},
    {"Relu", "relu", false, false, 0, 0},
    {"Affine", NULL, true, true, 1, 0},
    {"LeakyRelu", NULL, true, false, 0.01, 0},
    {"ThresholdedRelu", NULL, true, false, 1, 0},
    {"ScaledTanh", NULL, true, true, 1, 1},
    {"HardSigmoid", NULL, true, true, 0.2, 0.5},
    {"Elu", NULL, true, false, 1, 0},
    {"Softsign", "softsign", false, false, 0, 0},
    {"Softplus", "softplus", false, false, 0, 0},
};

typedef struct activation {
    const struct activation_kind *kind;
    double alpha, beta;
} activation;

static const struct activation_kind *find_activation(const char *name)
{
    for (size_t i = 0; i < TERN_COUNT(activation_kinds); i++)
        if (!strcasecmp(activation_kinds[i].name, name))
            return &activation_kinds[i];
    return NULL;
}

static tern_value alpha_where(tern_graph *g, const activation *a, tern_value x)
{
    tern_value in = tern__compare(g, "greater_equal", x, a->alpha);
    return tern__where(g, in, x, tern__like(g, x, 0));
}

static tern_value activate(tern_graph *g, const activation *a, tern_value x)
{
    const char *name = a->kind->name;
    if (a->kind->op)
        return tern__unary(g, a->kind->op, x);
    if (!strcmp(name, "Affine"))
        return tern__add_scalar(g, tern__mul_scalar(g, x, a->alpha), a->beta);
    if (!strcmp(name, "LeakyRelu"))
        return tern_graph_op1(g, "leaky_relu", x, TERN_ATTRS(TERN_FLOAT("alpha", a->alpha)));
    if (!strcmp(name, "ThresholdedRelu"))
        return alpha_where(g, a, x);
    if (!strcmp(name, "ScaledTanh"))
        return tern__mul_scalar(g, tern__unary(g, "tanh", tern__mul_scalar(g, x, a->beta)), a->alpha);
    if (!strcmp(name, "HardSigmoid"))
        return tern_graph_op1(g, "hard_sigmoid", x, TERN_ATTRS(TERN_FLOAT("alpha", a->alpha), TERN_FLOAT("beta", a->beta)));
    return tern_graph_op1(g, "elu", x, TERN_ATTRS(TERN_FLOAT("alpha", a->alpha)));
}

/* --- The node --- */

typedef enum cell { CELL_RNN, CELL_GRU, CELL_LSTM } cell;
enum { X, W, R, B, LENS, INITIAL_H, INITIAL_C, PEEPHOLES };
static const int n_gates[] = {1, 3, 4}, n_activations[] = {1, 2, 3};
static const char *const default_activations[][MOST_ACTIVATIONS] = {{"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};

typedef struct rnn {
    tern__onnx_node *n;
    tern_graph *g;
    cell cell;
    int64_t steps, batch, in, hidden;
    int dirs;
    bool reverse;              /* of a single direction */
    bool batch_first;
    bool has_clip, linear_before_reset, input_forget;
    double clip;
    activation act[2][MOST_ACTIVATIONS];
    tern_value *masks;         /* [batch, 1] for each step: is it part of the sequence? NULL: every one is */
    tern_value mask;           /* the same of all steps: [steps, batch, 1] */
} rnn;

/* One direction's operands and state. */
typedef struct chain {
    const activation *act;
    tern_value *x;             /* [batch, gates * hidden] for each step: what the input and the biases contribute */
    tern_value r, r_h;         /* [gates * hidden, hidden]; GRU that resets first: of z and r, and of h */
    tern_value bias_h;         /* [hidden], GRU that resets after the product: the bias inside */
    tern_value p[3];           /* [hidden], LSTM: peepholes of i, o, f */
    tern_value h, c;           /* [batch, hidden] */
    tern_value *y;             /* h of each step */
} chain;

/* The values that activation_alpha or activation_beta gives, to the functions that take one, in order. */
static tern_status read_parameters(rnn *s, const char *attr, bool beta)
{
    int given, used = 0;
    const float *v = tern__onnx_attr_floats(s->n, attr, &given);
    for (int d = 0; d < s->dirs; d++)
        for (int i = 0; i < n_activations[s->cell]; i++) {
            activation *a = &s->act[d][i];
            if (!(beta ? a->kind->has_beta : a->kind->has_alpha))
                continue;
            double x = used < given ? (double)v[used] : beta ? a->kind->beta : a->kind->alpha;
            used++;
            *(beta ? &a->beta : &a->alpha) = x;
        }
    if (given > used && used)
        return tern__onnx_fail(s->n, TERN_E_UNSUPPORTED, "%s has %d values, but %d of the activation functions take one", attr, given, used);
    return TERN_OK;
}

static tern_status read_activations(rnn *s)
{
    const int per = n_activations[s->cell], wanted = per * s->dirs;
    int given = 0;
    while (given <= wanted && tern__onnx_attr_strings(s->n, "activations", given))
        given++;
    if (given && given != wanted)
        return tern__onnx_fail(s->n, TERN_E_INVALID, "activations names %s%d functions instead of %d", given > wanted ? "more than " : "",
                               given > wanted ? wanted : given, wanted);
    for (int k = 0; k < wanted; k++) {
        const char *name = given ? tern__onnx_attr_strings(s->n, "activations", k) : default_activations[s->cell][k % per];
        s->act[k / per][k % per].kind = find_activation(name);
        if (!s->act[k / per][k % per].kind)
            return tern__onnx_fail(s->n, TERN_E_UNSUPPORTED, "there is no activation function \"%s\"", name);
    }
    TERN_TRY(read_parameters(s, "activation_alpha", false));
    return read_parameters(s, "activation_beta", true);
}

static tern_status read_attributes(rnn *s)
{
    tern__onnx_node *n = s->n;
    const char *direction = tern__onnx_attr_string(n, "direction", "forward");
    s->dirs = 1;
    if (!strcasecmp(direction, "bidirectional"))
        s->dirs = 2;
    else if (!strcasecmp(direction, "reverse"))
        s->reverse = true;
    else if (strcasecmp(direction, "forward"))
        return tern__onnx_fail(n, TERN_E_INVALID, "direction \"%s\" is none of forward, reverse, bidirectional", direction);
    const int64_t layout = tern__onnx_attr_int(n, "layout", 0);
    if (layout != 0 && layout != 1)
        return tern__onnx_fail(n, TERN_E_INVALID, "layout %" PRId64 " is neither 0 nor 1", layout);
    s->batch_first = layout == 1;
    s->has_clip = tern__onnx_attr_given(n, "clip");
    s->clip = tern__onnx_attr_float(n, "clip", 0);
    if (s->has_clip && !(s->clip >= 0))
        return tern__onnx_fail(n, TERN_E_INVALID, "clip %g is below 0", s->clip);
    if (s->cell == CELL_GRU)
        s->linear_before_reset = tern__onnx_attr_int(n, "linear_before_reset", 0) != 0;
    if (s->cell == CELL_LSTM)
        s->input_forget = tern__onnx_attr_int(n, "input_forget", 0) != 0;
    tern__onnx_attr_ignore(n, "output_sequence"); /* of the first version; the sequence is given out where it is named */
    return read_activations(s);
}

/* --- Shapes --- */

static tern_status need_shape(const rnn *s, int i, const char *name, int rank, const int64_t *dim)
{
    if (!tern__onnx_has(s->n, i))
        return TERN_OK;
    char have[TERN__SHAPE_TEXT], want[TERN__SHAPE_TEXT];
    tern_shape shape = {.rank = rank};
    memcpy(shape.dim, dim, sizeof *dim * (size_t)rank);
    if (tern__shape_equal(tern__onnx_shape(s->n, i), &shape))
        return TERN_OK;
    return tern__onnx_fail(s->n, TERN_E_SHAPE, "%s is %s but must be %s", name, tern__shape_text(tern__onnx_shape(s->n, i), have),
                           tern__shape_text(&shape, want));
}

static tern_status check_shapes(rnn *s)
{
    tern__onnx_node *n = s->n;
    const int64_t h = s->hidden, d = s->dirs, gates = n_gates[s->cell];
    const bool bf = s->batch_first;
    TERN_TRY(need_shape(s, W, "W", 3, (int64_t[]){d, gates * h, s->in}));
    TERN_TRY(need_shape(s, R, "R", 3, (int64_t[]){d, gates * h, h}));
    TERN_TRY(need_shape(s, B, "B", 2, (int64_t[]){d, 2 * gates * h}));
    TERN_TRY(need_shape(s, LENS, "sequence_lens", 1, (int64_t[]){s->batch}));
    TERN_TRY(need_shape(s, INITIAL_H, "initial_h", 3, (int64_t[]){bf ? s->batch : d, bf ? d : s->batch, h}));
    if (s->cell == CELL_LSTM) {
        TERN_TRY(need_shape(s, INITIAL_C, "initial_c", 3, (int64_t[]){bf ? s->batch : d, bf ? d : s->batch, h}));
        TERN_TRY(need_shape(s, PEEPHOLES, "P", 2, (int64_t[]){d, 3 * h}));
    }
    for (int i = 0; i < n->n_in; i++)
        if (tern__onnx_has(n, i) && i != LENS && tern__onnx_type(n, i)->dtype != tern__onnx_type(n, X)->dtype)
            return tern__onnx_fail(n, TERN_E_DTYPE, "input %d is %s but X is %s", i, tern_dtype_name(tern__onnx_type(n, i)->dtype),
                                   tern_dtype_name(tern__onnx_type(n, X)->dtype));
    const int64_t given = tern__onnx_attr_int(n, "hidden_size", h);
    if (given != h)
        return tern__onnx_fail(n, TERN_E_SHAPE, "hidden_size is %" PRId64 ", but R is for %" PRId64, given, h);
    return TERN_OK;
}

static tern_status read_shapes(rnn *s)
{
    tern__onnx_node *n = s->n;
    for (int i = X; i <= R; i++)
        if (!tern__onnx_has(n, i) || tern__onnx_rank(n, i) != 3)
            return tern__onnx_fail(n, TERN_E_SHAPE, "input %d must have 3 dimensions", i);
    if (!tern__dtype_is(tern__onnx_type(n, X)->dtype, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_DTYPE, "X is %s, which is no floating point type", tern_dtype_name(tern__onnx_type(n, X)->dtype));
    const tern_shape *x = tern__onnx_shape(n, X);
    s->steps = x->dim[s->batch_first ? 1 : 0];
    s->batch = x->dim[s->batch_first ? 0 : 1];
    s->in = x->dim[2];
    s->hidden = tern__onnx_shape(n, R)->dim[2];
    if (s->hidden > INT32_MAX || s->batch > INT32_MAX || s->in > INT32_MAX)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " sequences of %" PRId64 " elements, %" PRId64 " hidden ones", s->batch, s->in, s->hidden);
    if (s->steps > MOST_STEPS)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a sequence of %" PRId64 " steps, at most %d are possible", s->steps, MOST_STEPS);
    return check_shapes(s);
}

/* --- Pieces --- */

static tern_value reshape2(tern_graph *g, tern_value v, int64_t a, int64_t b)
{
    return tern__reshape(g, v, &(tern_shape){.rank = 2, .dim = {a, b}});
}

/* Elements [from, to) along an axis. */
static tern_value cut(tern_graph *g, tern_value v, int64_t axis, int64_t from, int64_t to)
{
    if (tern_graph_check(g) != TERN_OK || (from == 0 && to == tern__shape_of(g, v)->dim[axis]))
        return v;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &from, 1), TERN_INTS("ends", &to, 1), TERN_INTS("axes", &axis, 1)));
}

/* Row d of [dirs, ...] without that axis. */
static tern_value of_direction(rnn *s, tern_value v, int d)
{
    return tern__squeeze(s->g, cut(s->g, v, 0, d, d + 1), 1u << 0);
}

/* Equal pieces along an axis. */
static void split(tern_graph *g, tern_value v, int axis, tern_value *out, int n)
{
    if (n == 1)
        out[0] = v;
    else
        tern_graph_add_n(g, "split", &v, 1, TERN_ATTRS(TERN_INT("axis", axis)), out, n);
}

/* Joins values along an axis, in groups, so that no kernel has more operands than it can take. Overwrites v. */
static tern_value join(tern_graph *g, tern_value *v, int64_t n, int axis)
{
    while (n > 1) {
        int64_t m = 0;
        for (int64_t i = 0; i < n; i += FAN_IN)
            v[m++] = tern_graph_add(g, "concat", v + i, (int)TERN_MIN(n - i, (int64_t)FAN_IN), TERN_ATTRS(TERN_INT("axis", axis)));
        n = m;
    }
    return v[0];
}

static tern_value zeros(rnn *s, int rank, const int64_t *dim)
{
    tern_shape shape = {.rank = rank};
    memcpy(shape.dim, dim, sizeof *dim * (size_t)rank);
    return tern__expand_to(s->g, tern_graph_scalar(s->g, tern__onnx_type(s->n, X)->dtype, 0), &shape);
}

static tern_value clipped(const rnn *s, tern_value x)
{
    return s->has_clip ? tern_graph_op1(s->g, "clip", x, TERN_ATTRS(TERN_FLOAT("min", -s->clip), TERN_FLOAT("max", s->clip))) : x;
}

static tern_value gate(const rnn *s, const activation *a, tern_value x)
{
    return activate(s->g, a, clipped(s, x));
}

static tern_value times_transposed(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "matmul", a, b, TERN_ATTRS(TERN_INT("trans_b", 1)));
}

/* --- One step --- */

static void step_rnn(const rnn *s, chain *c, int64_t t)
{
    tern_value x = tern__add(s->g, times_transposed(s->g, c->h, c->r), c->x[t]);
    c->h = gate(s, &c->act[0], x);
}

static void step_gru(const rnn *s, chain *c, int64_t t)
{
    tern_graph *g = s->g;
    const int64_t h = s->hidden;
    tern_value z, r, n;
    if (s->linear_before_reset) {
        tern_value x[3], y[3];
        split(g, c->x[t], 1, x, 3);
        split(g, times_transposed(g, c->h, c->r), 1, y, 3);
        z = gate(s, &c->act[0], tern__add(g, x[0], y[0]));
        r = gate(s, &c->act[0], tern__add(g, x[1], y[1]));
        tern_value inner = c->bias_h == TERN_NONE ? y[2] : tern__add(g, y[2], c->bias_h);
        n = tern__add(g, x[2], tern__mul(g, r, inner));
    } else {
        tern_value zr[2];
        split(g, tern__add(g, times_transposed(g, c->h, c->r), cut(g, c->x[t], 1, 0, 2 * h)), 1, zr, 2);
        z = gate(s, &c->act[0], zr[0]);
        r = gate(s, &c->act[0], zr[1]);
        n = tern__add(g, times_transposed(g, tern__mul(g, r, c->h), c->r_h), cut(g, c->x[t], 1, 2 * h, 3 * h));
    }
    n = gate(s, &c->act[1], n);
    c->h = tern__add(g, tern__mul(g, tern__sub(g, tern__like(g, z, 1), z), n), tern__mul(g, z, c->h));
}

/* x plus what a peephole lets through of the cell. */
static tern_value peep(const rnn *s, const chain *c, int which, tern_value x, tern_value state)
{
    return c->p[which] == TERN_NONE ? x : tern__add(s->g, x, tern__mul(s->g, c->p[which], state));
}

static void step_lstm(const rnn *s, chain *c, int64_t t)
{
    tern_graph *g = s->g;
    tern_value x[4]; /* i, o, f, c */
    split(g, tern__add(g, times_transposed(g, c->h, c->r), c->x[t]), 1, x, 4);
    tern_value i = gate(s, &c->act[0], peep(s, c, 0, x[0], c->c));
    tern_value f = s->input_forget ? tern__sub(g, tern__like(g, i, 1), i) : gate(s, &c->act[0], peep(s, c, 2, x[2], c->c));
    tern_value n = gate(s, &c->act[1], x[3]);
    c->c = tern__add(g, tern__mul(g, f, c->c), tern__mul(g, i, n));
    tern_value o = gate(s, &c->act[0], peep(s, c, 1, x[1], c->c));
    c->h = tern__mul(g, o, activate(g, &c->act[2], c->c)); /* clip is for sums of products: ONNX Runtime and those who export leave the cell alone */
}

/* --- One direction --- */

/* Bias of the products: both halves, but for what a GRU that resets after the product adds inside. */
static tern_value sum_biases(rnn *s, chain *c, int d)
{
    if (!tern__onnx_has(s->n, B))
        return TERN_NONE;
    tern_graph *g = s->g;
    const int64_t h = s->hidden, all = n_gates[s->cell] * h;
    tern_value b = of_direction(s, tern__onnx_in(s->n, B), d), rb = cut(g, b, 0, all, 2 * all);
    b = cut(g, b, 0, 0, all);
    if (!s->linear_before_reset)
        return tern__add(g, b, rb);
    c->bias_h = cut(g, rb, 0, 2 * h, 3 * h);
    tern_value part[2] = {tern__add(g, cut(g, b, 0, 0, 2 * h), cut(g, rb, 0, 0, 2 * h)), cut(g, b, 0, 2 * h, 3 * h)};
    return join(g, part, 2, 0);
}

/* What the inputs contribute, for all steps at once. */
static void take_inputs(rnn *s, chain *c, tern_value x, int d)
{
    tern_graph *g = s->g;
    tern_value bias = sum_biases(s, c, d);
    tern_value v = times_transposed(g, reshape2(g, x, s->steps * s->batch, s->in), of_direction(s, tern__onnx_in(s->n, W), d));
    if (bias != TERN_NONE)
        v = tern__add(g, v, bias);
    split(g, v, 0, c->x, (int)s->steps);
}

static tern_value initial(rnn *s, int input, int d)
{
    if (!tern__onnx_has(s->n, input))
        return zeros(s, 2, (int64_t[]){s->batch, s->hidden});
    tern_value v = tern__onnx_in(s->n, input);
    if (s->batch_first)
        v = tern__transpose(s->g, v, (const int[]){1, 0, 2});
    return of_direction(s, v, d);
}

static void take_weights(rnn *s, chain *c, int d)
{
    tern_graph *g = s->g;
    const int64_t h = s->hidden;
    c->r = of_direction(s, tern__onnx_in(s->n, R), d);
    if (s->cell == CELL_GRU && !s->linear_before_reset) {
        c->r_h = cut(g, c->r, 0, 2 * h, 3 * h);
        c->r = cut(g, c->r, 0, 0, 2 * h);
    }
    if (s->cell == CELL_LSTM && tern__onnx_has(s->n, PEEPHOLES)) {
        tern_value p = of_direction(s, tern__onnx_in(s->n, PEEPHOLES), d);
        split(g, p, 0, c->p, 3);
    }
}

static void run_step(const rnn *s, chain *c, int64_t t)
{
    const tern_value h = c->h, cell_state = c->c;
    if (s->cell == CELL_RNN)
        step_rnn(s, c, t);
    else if (s->cell == CELL_GRU)
        step_gru(s, c, t);
    else
        step_lstm(s, c, t);
    c->y[t] = c->h;
    if (s->masks) { /* a sequence that is over, or has not begun, keeps its state */
        c->h = tern__where(s->g, s->masks[t], c->h, h);
        if (s->cell == CELL_LSTM)
            c->c = tern__where(s->g, s->masks[t], c->c, cell_state);
    }
}

/* All steps of direction d; *y is [steps, batch, hidden], or TERN_NONE if nobody wants it. */
static tern_status run_direction(rnn *s, tern_value x, int d, chain *c, tern_value *y)
{
    tern_graph *g = s->g;
    *c = (chain){.act = s->act[d], .r_h = TERN_NONE, .bias_h = TERN_NONE, .p = {TERN_NONE, TERN_NONE, TERN_NONE}, .c = TERN_NONE};
    c->x = tern__onnx_scratch(s->n, (size_t)s->steps, sizeof *c->x);
    c->y = tern__onnx_scratch(s->n, (size_t)s->steps, sizeof *c->y);
    TERN_TRY(tern_graph_check(g));
    take_weights(s, c, d);
    c->h = initial(s, INITIAL_H, d);
    if (s->cell == CELL_LSTM)
        c->c = initial(s, INITIAL_C, d);
    take_inputs(s, c, x, d);
    TERN_TRY(tern_graph_check(g));
    const bool backwards = s->reverse || d == 1;
    for (int64_t i = 0; i < s->steps; i++) {
        run_step(s, c, backwards ? s->steps - 1 - i : i);
        TERN_TRY(tern_graph_check(g));
    }
    *y = TERN_NONE;
    if (!tern__onnx_wants(s->n, 0))
        return TERN_OK;
    *y = tern__reshape(g, join(g, c->y, s->steps, 0), &(tern_shape){.rank = 3, .dim = {s->steps, s->batch, s->hidden}});
    if (s->masks)
        *y = tern__where(g, s->mask, *y, tern__like(g, *y, 0));
    return tern_graph_check(g);
}

/* --- Lengths --- */

/* Do all sequences have every step? Only asked of lengths that need no run to be known. */
static tern_status all_full(rnn *s, bool *full)
{
    const int64_t *len;
    int count;
    *full = true;
    TERN_TRY(tern__onnx_read_ints(s->n, LENS, &len, &count));
    for (int i = 0; i < count; i++) {
        if (len[i] < 0 || len[i] > s->steps)
            return tern__onnx_fail(s->n, TERN_E_INVALID, "sequence_lens gives %" PRId64 " steps of %" PRId64, len[i], s->steps);
        *full &= len[i] == s->steps;
    }
    return TERN_OK;
}

/* One comparison for all steps: steps below the lengths. */
static tern_status make_masks(rnn *s)
{
    bool full = !tern__onnx_has(s->n, LENS);
    if (!full && !tern__dtype_is(tern__onnx_type(s->n, LENS)->dtype, TERN__T_INT))
        return tern__onnx_fail(s->n, TERN_E_DTYPE, "sequence_lens is %s", tern_dtype_name(tern__onnx_type(s->n, LENS)->dtype));
    if (!full && tern__onnx_known(s->n, LENS))
        TERN_TRY(all_full(s, &full));
    if (full)
        return TERN_OK;
    tern_graph *g = s->g;
    const int64_t dims[3] = {s->steps, 1, 1};
    tern_value lens = tern__cast(g, tern__onnx_in(s->n, LENS), TERN_I32);
    tern_value t = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", dims, 3), TERN_INT("axis", 0), TERN_STRING("dtype", "i32")));
    lens = tern__reshape(g, lens, &(tern_shape){.rank = 3, .dim = {1, s->batch, 1}});
    s->mask = tern_graph_op2(g, "greater", lens, t, NULL);
    s->masks = tern__onnx_scratch(s->n, (size_t)s->steps, sizeof *s->masks);
    TERN_TRY(tern_graph_check(g));
    split(g, s->mask, 0, s->masks, (int)s->steps);
    for (int64_t i = 0; i < s->steps; i++)
        s->masks[i] = tern__squeeze(g, s->masks[i], 1u << 0);
    return tern_graph_check(g);
}

/* --- Results --- */

/* The last states of the directions: [dirs, batch, hidden]. */
static void set_state(rnn *s, int output, const tern_value *state)
{
    if (!tern__onnx_wants(s->n, output))
        return;
    tern_value v[2];
    for (int d = 0; d < s->dirs; d++)
        v[d] = tern__unsqueeze(s->g, state[d], 1u << (s->batch_first ? 1 : 0));
    tern__onnx_set(s->n, output, join(s->g, v, s->dirs, s->batch_first ? 1 : 0));
}

/* y of the directions, each [steps, batch, hidden]: [steps, dirs, batch, hidden] or, batch first, [batch, steps, dirs, hidden]. */
static void set_sequence(rnn *s, const tern_value *y)
{
    if (!tern__onnx_wants(s->n, 0))
        return;
    tern_value v[2];
    for (int d = 0; d < s->dirs; d++)
        v[d] = tern__unsqueeze(s->g, y[d], 1u << 1);
    tern_value all = join(s->g, v, s->dirs, 1);
    if (s->batch_first)
        all = tern__transpose(s->g, all, (const int[]){2, 0, 1, 3});
    tern__onnx_set(s->n, 0, all);
}

/* No steps at all, or nothing in them: nothing to give out, and the states stay. */
static tern_status run_nothing(rnn *s)
{
    tern_value h[2], c[2], y[2];
    for (int d = 0; d < s->dirs; d++) {
        h[d] = initial(s, INITIAL_H, d);
        c[d] = s->cell == CELL_LSTM ? initial(s, INITIAL_C, d) : TERN_NONE;
        y[d] = zeros(s, 3, (int64_t[]){s->steps, s->batch, s->hidden});
    }
    set_sequence(s, y);
    set_state(s, 1, h);
    if (s->cell == CELL_LSTM)
        set_state(s, 2, c);
    return tern_graph_check(s->g);
}

static tern_status handle(tern__onnx_node *n, cell kind)
{
    rnn s = {.n = n, .g = n->g, .cell = kind};
    TERN_TRY(read_attributes(&s));
    TERN_TRY(read_shapes(&s));
    if (s.steps == 0 || s.batch == 0 || s.hidden == 0)
        return run_nothing(&s);
    if (s.in == 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "steps of X have no elements");
    TERN_TRY(make_masks(&s));
    tern_value x = tern__onnx_in(n, X), y[2], h[2], c[2];
    if (s.batch_first)
        x = tern__transpose(s.g, x, (const int[]){1, 0, 2});
    for (int d = 0; d < s.dirs; d++) {
        chain one;
        TERN_TRY(run_direction(&s, x, d, &one, &y[d]));
        h[d] = one.h;
        c[d] = one.c;
    }
    set_sequence(&s, y);
    set_state(&s, 1, h);
    if (kind == CELL_LSTM)
        set_state(&s, 2, c);
    return tern_graph_check(s.g);
}

static tern_status handle_rnn(tern__onnx_node *n)
{
    return handle(n, CELL_RNN);
}

static tern_status handle_gru(tern__onnx_node *n)
{
    return handle(n, CELL_GRU);
}

static tern_status handle_lstm(tern__onnx_node *n)
{
    return handle(n, CELL_LSTM);
}

const tern__onnx_map tern__onnx_map_rnn[] = {
    {"", "RNN", 1, handle_rnn},
    {"", "GRU", 1, handle_gru},
    {"", "LSTM", 1, handle_lstm},
    {0},
};
