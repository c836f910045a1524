/* Analysis of a fused group: which passes over the elements it takes, and what each computes. */
#include "codegen/fused.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codegen/fused_impl.h"
#include "compile/lower.h"

/* --- Levels: how many reductions lie between a value and the group's inputs --- */

struct levels {
    const tern__fused *f;
    signed char *of; /* per value; -1 not known yet */
};

static int level(struct levels *l, tern_value v)
{
    if (l->of[v] >= 0)
        return l->of[v];
    int top = 0;
    const tern__node *n = tern__producer(l->f->g, v);
    if (n && l->f->inside(l->f->user, v)) {
        for (int i = 0; i < n->n_in; i++) {
            int k = n->in[i] == TERN_NONE ? 0 : level(l, n->in[i]);
            top = TERN_MAX(top, k);
        }
        top += n->op->trait == TERN__REDUCTION;
    }
    l->of[v] = (signed char)TERN_MIN(top, 100);
    return l->of[v];
}

/* --- Space --- */

static tern_status refuse(const char *why)
{
    return tern__fail(TERN_E_UNSUPPORTED, "fusion: %s", why);
}

bool tern__same_space(const tern__type *a, const tern__type *b)
{
    return tern__shape_equal(&a->shape, &b->shape) && a->layout.kind == b->layout.kind && a->layout.block == b->layout.block;
}

/* What is folded may be of any size, for nothing stores it; the loops over it count in 32 bits. */
static tern_status check_counters(const tern__fz *z)
{
    int64_t rows = 1, folded = 1;
    for (int d = 0; d < z->space.shape.rank; d++)
        *(z->mask >> d & 1 ? &folded : &rows) *= z->space.shape.dim[d];
    if (rows > INT32_MAX || folded > INT32_MAX)
        return tern__fail(TERN_E_UNSUPPORTED, "fusion: %lld rows of %lld elements are more than a 32-bit counter reaches", (long long)rows, (long long)folded);
    return TERN_OK;
}

static tern_status find_space(tern__fz *z)
{
    const tern__fused *f = z->f;
    if (f->n_reductions == 0) {
        z->space = *tern__type_of(f->g, f->concat ? f->concat->in[f->piece] : f->outs[0]);
        return TERN_OK;
    }
    for (int i = 0; i < f->n_reductions; i++) {
        const tern__node *n = tern__producer(f->g, f->reductions[i]);
        const tern__type *in = tern__type_of(f->g, n->in[0]);
        unsigned mask;
        TERN_TRY(tern__reduce_mask(n, in->shape.rank, &mask));
        if (i == 0) {
            z->space = *in;
            z->mask = mask;
            TERN_TRY(check_counters(z));
        } else if (!tern__same_space(&z->space, in) || mask != z->mask) {
            return refuse("reductions over different axes");
        }
    }
    return TERN_OK;
}

/* Is v one number a row? Then its coordinates at the current row. */
static bool row_coords(const tern__fz *z, tern_value v, const tern__aff *elem, tern__aff *out)
{
    const tern_shape *s = tern__shape_of(z->f->g, v), *e = &z->space.shape;
    bool keeps = s->rank == e->rank;
    for (int d = 0; d < e->rank && keeps; d++)
        keeps = s->dim[d] == (z->mask >> d & 1 ? 1 : e->dim[d]);
    if (keeps) {
        for (int d = 0; d < e->rank; d++)
            out[d] = z->mask >> d & 1 ? tern__aff_const(0) : elem[d];
        return true;
    }
    int k = 0;
    for (int d = 0; d < e->rank; d++) {
        if (z->mask >> d & 1)
            continue;
        if (k == s->rank || s->dim[k] != e->dim[d])
            return false;
        out[k++] = elem[d];
    }
    return k == s->rank;
}

/* --- Bodies --- */

/* Adds the physical axes to a body; elem gets the logical coordinates. */
static void make_axes(tern__fz *z, tern__body *b, tern__aff *elem)
{
    const tern__type *t = &z->space;
    bool blocked = t->layout.kind == TERN__BLOCKED;
    int64_t k = blocked ? t->layout.block : 1;
    int n = t->shape.rank + blocked;
    z->n_axes = 0;
    for (int i = 0; i < n; i++) {
        int d = i < t->shape.rank ? i : 1; /* the innermost axis of a blocked layout is the rest of axis 1 */
        int64_t extent = i == t->shape.rank ? k : i == 1 ? t->shape.dim[i] / k : t->shape.dim[i];
        char name[16];
        snprintf(name, sizeof name, "a%d", i);
        int var;
        tern__aff a = tern__body_axis(b, name, extent, 16, &var);
        if (i == t->shape.rank)
            elem[1] = tern__aff_axpy(a, k, elem[1]);
        else
            elem[d] = a;
        z->axis[z->n_axes] = var;
        z->kind[z->n_axes++] = z->mask >> d & 1;
    }
    for (int i = z->last; i >= 0 && i < n - 1; i++) { /* the axis that is to be the innermost goes behind the others */
        int axis = z->axis[i], kind = z->kind[i];
        z->axis[i] = z->axis[i + 1], z->kind[i] = z->kind[i + 1];
        z->axis[i + 1] = axis, z->kind[i + 1] = kind;
    }
    z->lane = -1;
    for (int i = n - 1; i >= 0 && z->lane < 0; i--)
        if (b->var[z->axis[i]].extent > 1) {
            z->lane = z->axis[i];
            z->lane_kept = z->kind[i] == 0;
        }
    b->lane = z->lane;
    z->kept_mask = 0;
    for (int i = 0; i < n; i++)
        if (z->kind[i] == 0)
            z->kept_mask |= 1u << z->axis[i];
}

static tern__body *new_body(tern__fz *z, tern__aff *elem)
{
    tern__body *b = tern__alloc(sizeof *b);
    if (!b)
        return NULL;
    tern__body_init(b, z->f->g, &z->params, z->f->inside, z->f->user);
    b->tag = z->n_all;
    make_axes(z, b, elem);
    z->all[z->n_all++] = b;
    return b;
}

/* Makes the finished reductions of earlier loops known. */
static void preset_reductions(tern__fz *z, tern__body *b, const tern__aff *elem, int before)
{
    for (int i = 0; i < z->n_reds; i++) {
        tern__aff c[TERN_MAX_RANK];
        if (z->red[i].loop < before && row_coords(z, z->red[i].value, elem, c))
            tern__body_preset(b, z->red[i].value, c, z->red[i].name, z->lane_kept && z->lane >= 0, z->kept_mask);
    }
}

static void add_reduction(tern__fz *z, tern__body *b, tern__red *r, const tern__aff *elem)
{
    r->reg = tern__body_value(b, r->node->in[0], elem);
    r->index_reg = -1;
    if (!r->op->reduction->index || b->failed)
        return;
    /* The position along the folded axes, row-major. */
    tern__aff at = tern__aff_const(0);
    int64_t stride = 1;
    for (int d = z->space.shape.rank - 1; d >= 0; d--)
        if (z->mask >> d & 1) {
            at = tern__aff_axpy(at, stride, elem[d]);
            stride *= z->space.shape.dim[d];
        }
    r->index_reg = tern__body_index_value(b, at);
    z->has_index = true;
}

static tern_status body_status(const tern__body *b)
{
    return b->failed ? refuse(b->reason) : TERN_OK;
}

/* Is the output stored with the rows rather than the elements? */
static bool is_row_output(const tern__fz *z, tern_value v)
{
    if (z->n_reds == 0)
        return false;
    const tern__node *n = tern__producer(z->f->g, v);
    return n->op->trait == TERN__REDUCTION || !tern__same_space(tern__type_of(z->f->g, v), &z->space);
}

/* An input of a concat goes to its place in the result. */
static tern_status make_piece(tern__fz *z)
{
    const tern__fused *f = z->f;
    tern__aff elem[TERN_MAX_RANK + 1];
    int axis;
    z->n_loops = 1;
    tern__body *b = z->loop[1] = new_body(z, elem);
    if (!b)
        return tern__fail(TERN_E_NOMEM, "codegen: %zu bytes", sizeof *b);
    TERN_TRY(tern__axis(f->concat, tern__attr_int(f->concat, 0), z->space.shape.rank, &axis));
    const int r = tern__body_value(b, f->concat->in[f->piece], elem);
    int64_t start = 0;
    for (int i = 0; i < f->piece; i++)
        start += tern__shape_of(f->g, f->concat->in[i])->dim[axis];
    elem[axis] = tern__aff_add(elem[axis], tern__aff_const(start));
    tern__body_store(b, f->outs[0], elem, r);
    return body_status(b);
}

static tern_status make_bodies(tern__fz *z, struct levels *l)
{
    if (z->f->concat)
        return make_piece(z);
    tern__aff elem[TERN_MAX_RANK + 1];
    for (int p = 1; p <= z->n_loops; p++) {
        tern__body *b = z->loop[p] = new_body(z, elem);
        if (!b)
            return tern__fail(TERN_E_NOMEM, "codegen: %zu bytes", sizeof *b);
        preset_reductions(z, b, elem, p);
        for (int i = 0; i < z->n_reds; i++)
            if (z->red[i].loop == p)
                add_reduction(z, b, &z->red[i], elem);
        for (int i = 0; i < z->f->n_outs; i++) {
            tern_value v = z->f->outs[i];
            if (!is_row_output(z, v) && level(l, v) + 1 == p)
                tern__body_store(b, v, elem, tern__body_value(b, v, elem));
        }
        TERN_TRY(body_status(b));
    }
    return TERN_OK;
}

static tern_status make_rows(tern__fz *z)
{
    tern__aff elem[TERN_MAX_RANK + 1], c[TERN_MAX_RANK];
    for (int i = 0; i < z->f->n_outs; i++) {
        tern_value v = z->f->outs[i];
        if (!is_row_output(z, v))
            continue;
        if (!z->rows) {
            z->rows = new_body(z, elem);
            if (!z->rows)
                return tern__fail(TERN_E_NOMEM, "codegen: %zu bytes", sizeof *z->rows);
            /* Vectors here run along the kept axis, or not at all. */
            preset_reductions(z, z->rows, elem, TERN__MAX_LOOPS + 1);
        }
        if (!row_coords(z, v, elem, c))
            return refuse("a result that is neither per element nor per row");
        tern__body_store(z->rows, v, c, tern__body_value(z->rows, v, c));
    }
    return z->rows ? body_status(z->rows) : TERN_OK;
}

static tern_status find_reductions(tern__fz *z, struct levels *l)
{
    if (z->f->n_reductions > TERN__MAX_REDS)
        return refuse("too many reductions");
    for (int i = 0; i < z->f->n_reductions; i++) {
        tern__red *r = &z->red[z->n_reds++];
        r->value = z->f->reductions[i];
        r->node = tern__producer(z->f->g, r->value);
        r->op = r->node->op;
        r->loop = level(l, r->value);
        tern_dtype t = tern__dtype_of(z->f->g, r->node->in[0]);
        if (r->op->reduction->index)
            r->acc = t;
        else if (tern__dtype_is(t, TERN__T_FLOAT))
            r->acc = t == TERN_F64 ? TERN_F64 : TERN_F32;
        else
            r->acc = t >= TERN_U8 && t <= TERN_U64 ? TERN_U64 : TERN_I64;
        snprintf(r->name, sizeof r->name, "q%d", i);
        z->n_loops = TERN_MAX(z->n_loops, r->loop);
    }
    for (int i = 0; i < z->f->n_outs; i++)
        if (!is_row_output(z, z->f->outs[i]))
            z->n_loops = TERN_MAX(z->n_loops, level(l, z->f->outs[i]) + 1);
    return z->n_loops > TERN__MAX_LOOPS ? refuse("too many passes over a row") : TERN_OK;
}

/* Every reduction must be used, every loop must do something; the lane's width follows from what all bodies allow. */
static void settle_axes(tern__fz *z)
{
    z->n_axes = tern__body_collapse(z->all, z->n_all, z->axis, z->kind, z->n_axes);
    z->n_rows = z->n_folded = 1;
    for (int i = 0; i < z->n_axes; i++) {
        if (z->kind[i]) {
            z->reduced[z->n_reduced++] = z->axis[i];
            z->n_folded *= tern__fz_extent(z, z->axis[i]);
        } else {
            z->kept[z->n_kept++] = z->axis[i];
            z->n_rows *= tern__fz_extent(z, z->axis[i]);
        }
    }
    z->width = z->f->family == TERN__FAMILY_CPU ? TERN_MIN(z->f->vector_width, 16) : 1;
    if (z->width < 4)
        z->width = z->f->family == TERN__FAMILY_CPU ? 4 : 1;
    if (z->n_axes)
        z->lane = z->axis[z->n_axes - 1];
    for (int i = 0; i < z->n_all; i++)
        z->all[i]->lane = z->lane;
    if (z->lane < 0 || z->has_index)
        z->width = 1;
    else if (z->width > 4 && (tern__fz_extent(z, z->lane) == 4 || tern__fz_extent(z, z->lane) == 8)) /* as in blocks smaller than the vectors */
        z->width = TERN_MIN(z->width, (int)tern__fz_extent(z, z->lane));
    for (int i = 0; i < z->n_all && z->width > 1; i++) {
        bool rows_scalar = z->all[i] == z->rows && !z->lane_kept;
        if (!rows_scalar && !tern__body_vectorizable(z->all[i], z->width))
            z->width = 1;
    }
    if (z->lane >= 0 && tern__fz_extent(z, z->lane) < z->width)
        z->width = 1;
}

static tern_status analyse(tern__fz *z)
{
    struct levels l = {z->f, tern__alloc((size_t)z->f->g->n_values + 1)};
    if (!l.of)
        return tern__fail(TERN_E_NOMEM, "codegen: %d values", z->f->g->n_values);
    memset(l.of, -1, (size_t)z->f->g->n_values + 1);
    tern_status st = find_space(z);
    if (st == TERN_OK)
        st = find_reductions(z, &l);
    for (int i = 0; i < z->f->n_outs && st == TERN_OK && !z->f->concat; i++)
        if (z->n_reds == 0 && !tern__same_space(tern__type_of(z->f->g, z->f->outs[i]), &z->space))
            st = refuse("results of different shapes");
    if (st == TERN_OK)
        st = make_bodies(z, &l);
    if (st == TERN_OK)
        st = make_rows(z);
    tern__free(l.of);
    return st;
}

static void free_bodies(tern__fz *z)
{
    for (int i = 0; i < z->n_all; i++)
        tern__free(z->all[i]);
    z->n_all = 0;
}

/* Where the innermost axis is too short for vectors and there is something to compute: the nearest axis outside it that is long enough and not folded,
 * as make_axes counts them; -1 none. */
static int longer_lane(const tern__fz *z)
{
    const int width = TERN_MAX(TERN_MIN(z->f->vector_width, 16), 4);
    bool computes = z->n_reds > 0;
    for (int i = 0; i < z->n_all; i++)
        for (int k = 0; k < z->all[i]->n_ins; k++)
            computes |= z->all[i]->ins[k].op == TERN__INS_CALL;
    if (z->f->family != TERN__FAMILY_CPU || z->width > 1 || z->lane < 0 || z->has_index || !computes || tern__fz_extent(z, z->lane) >= 4)
        return -1;
    for (int i = z->n_axes - 2; i >= 0; i--)
        if (!z->kind[i] && tern__fz_extent(z, z->axis[i]) >= width)
            return z->axis[i];
    return -1;
}

/* Where vectors would be stored element by element, as when a blocked value goes into a plain one: the axis along which stores are whole; -1 none. Then
 * loads are taken apart instead: the cache lines they share are read again soon, while lines to write at strides of whole pages crowd each other out. */
static int storing_lane(const tern__fz *z)
{
    int lane = -1;
    if (z->f->family != TERN__FAMILY_CPU || z->width == 1 || z->n_reds > 0 || tern__fz_transposes(z, &(tern__transposition){0}))
        return -1;
    for (int k = 0; k < z->n_all; k++)
        for (int i = 0; i < z->all[k]->n_ins; i++) {
            const tern__ins *s = &z->all[k]->ins[i];
            int whole = -1;
            for (int a = 0; s->op == TERN__INS_STORE && a < z->n_axes; a++)
                whole = tern__aff_coef(&s->index, z->axis[a]) == 1 ? z->axis[a] : whole;
            if (s->op == TERN__INS_STORE && (whole < 0 || whole == z->lane || (lane >= 0 && lane != whole)))
                return -1;
            lane = s->op == TERN__INS_STORE ? whole : lane;
        }
    return lane;
}

/* Chooses the lane and its width; analyses once more with vectors along another axis where those along the innermost cannot be, or cannot be stored. */
static tern_status settle(tern__fz *z)
{
    settle_axes(z);
    const int longer = longer_lane(z), last = longer >= 0 ? longer : storing_lane(z);
    if (last < 0)
        return TERN_OK;
    tern__fz other = {.f = z->f, .needs = z->needs, .lane = -1, .last = last};
    tern_status st = analyse(&other);
    if (st == TERN_OK)
        settle_axes(&other);
    const bool better = st == TERN_OK && other.width > 1;
    free_bodies(better ? z : &other);
    if (better)
        *z = other;
    return st;
}

tern_status tern__fused_generate(const tern__fused *f, tern__needs *needs, tern__fused_code *code)
{
    tern__fz z = {.f = f, .needs = needs, .lane = -1, .last = -1};
    memset(code, 0, sizeof *code);
    tern_status st = analyse(&z);
    if (st == TERN_OK && needs)
        st = settle(&z);
    if (st == TERN_OK && needs) {
        code->params = z.params;
        if (z.n_loops <= 1)
            tern__find_in_place(z.all, z.n_all, &z.params, f->g, code->in_place);
        st = f->family == TERN__FAMILY_CPU ? tern__fused_write_cpu(&z, code) : tern__fused_write_simt(&z, code);
        for (int i = 0; i < code->n_kernels; i++)
            if (st == TERN_OK && code->kernel[i].text.failed)
                st = tern__fail(TERN_E_NOMEM, "codegen: no memory for a kernel's text");
    }
    free_bodies(&z);
    if (st != TERN_OK)
        tern__fused_code_finish(code);
    return st;
}

void tern__fused_code_finish(tern__fused_code *code)
{
    for (int i = 0; i < TERN_COUNT(code->kernel); i++)
        tern__str_finish(&code->kernel[i].text);
    code->n_kernels = 0;
}

/* Where parameter o is stored, if that is one place. */
static const tern__aff *store_of(tern__body *const *bodies, int n, int o)
{
    const tern__aff *at = NULL;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < bodies[k]->n_ins; i++) {
            if (bodies[k]->ins[i].op != TERN__INS_STORE || bodies[k]->ins[i].param != o)
                continue;
            if (at)
                return NULL;
            at = &bodies[k]->ins[i].index;
        }
    return at;
}

static bool loads_only_at(tern__body *const *bodies, int n, int p, const tern__aff *at)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < bodies[k]->n_ins; i++)
            if (bodies[k]->ins[i].op == TERN__INS_LOAD && bodies[k]->ins[i].param == p && !tern__aff_equal(at, &bodies[k]->ins[i].index))
                return false;
    return true;
}

void tern__find_in_place(tern__body *const *bodies, int n, const tern__params *ps, const tern_graph *g, uint64_t *in_place)
{
    for (int o = 0; o < ps->n; o++) {
        in_place[o] = 0;
        const tern__type *to = tern__type_of(g, ps->p[o].v);
        const tern__aff *at = ps->p[o].writes && !ps->p[o].reads ? store_of(bodies, n, o) : NULL;
        for (int p = 0; p < ps->n && at; p++) {
            const tern__type *from = tern__type_of(g, ps->p[p].v);
            if (!ps->p[p].writes && tern_dtype_size(from->dtype) == tern_dtype_size(to->dtype) && tern__type_bytes(from) == tern__type_bytes(to) &&
                loads_only_at(bodies, n, p, at))
                in_place[o] |= 1ull << p;
        }
    }
}

void tern__print_params(tern__str *out, const tern_graph *g, const tern__params *ps, const unsigned char *uses)
{
    bool first = true;
    for (int i = 0; i < ps->n; i++) {
        if (uses && !uses[i])
            continue;
        tern__str_addf(out, "%sglobal %s%s *h%d", first ? "" : ", ", ps->p[i].writes ? "" : "const ",
                       tern__mem_type(tern__dtype_of(g, ps->p[i].v)), i);
        first = false;
    }
}
