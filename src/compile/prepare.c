/* Preparing a session: constants are packed, one launch after the other, and those that are only packed leave memory again. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/session_impl.h"

bool tern__is_passing(const tern_session *s, tern_value v)
{
    const tern__value *x = tern__value_at(s->c.g, v);
    return x->kind == TERN__VALUE_CONST && s->prepare_slot_of[v] >= 0 && s->slot_of[v] < 0 && tern__type_bytes(&x->type) == tern__value_bytes(s, v);
}

/* A launch of the prepare plan, and what it brings into memory. */
typedef struct packing {
    size_t bytes;
    int launch;
    int place; /* by launch: in the order they run */
} packing;

/* Constants on their way through packing: those that the i-th launch to run is the first, or the last, to need are lists that begin at first[i] and
 * last[i]. */
typedef struct passing {
    packing *order;
    tern_value *first, *last;             /* per place in the order */
    tern_value *next_first, *next_last;   /* per value */
    tern_value *waiting;                  /* no launch to come needs them */
    int n_waiting;
    size_t bytes;                         /* of these */
} passing;

/* So much may wait for the device before we do. */
enum { WAITING_BYTES = 64 << 20 };

static void passing_finish(passing *p)
{
    tern__free(p->order);
    tern__free(p->first);
    tern__free(p->last);
    tern__free(p->next_first);
    tern__free(p->next_last);
    tern__free(p->waiting);
}

static int by_bytes(const void *a, const void *b)
{
    const packing *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : (x->launch > y->launch) - (x->launch < y->launch);
}

static void span_of(const tern_session *s, tern_value v, int *first, int *last)
{
    *first = 1;
    *last = 0;
    if (tern__is_passing(s, v))
        tern__plan_slot_span(s->prepare, s->prepare_slot_of[v], first, last);
}

/* The largest first, while little else is in memory: launches that pack need nothing of each other. */
static void put_in_order(const tern_session *s, passing *p, int n_launches)
{
    for (int i = 0; i < n_launches; i++)
        p->order[i].launch = i;
    for (tern_value v = 0; v < s->c.g->n_values; v++) {
        int first, last;
        span_of(s, v, &first, &last);
        for (int i = first; i <= last; i++)
            p->order[i].bytes += tern__value_bytes(s, v);
    }
    qsort(p->order, (size_t)n_launches, sizeof *p->order, by_bytes);
    for (int i = 0; i < n_launches; i++)
        p->order[p->order[i].launch].place = i;
}

static tern_status passing_init(const tern_session *s, passing *p)
{
    const size_t n_values = (size_t)s->c.g->n_values, n_launches = (size_t)tern__plan_n_launches(s->prepare);
    *p = (passing){.order = tern__alloc_array(n_launches + 1, sizeof *p->order),
                   .first = tern__alloc_array(n_launches + 1, sizeof *p->first), .last = tern__alloc_array(n_launches + 1, sizeof *p->last),
                   .next_first = tern__alloc_array(n_values + 1, sizeof *p->next_first), .next_last = tern__alloc_array(n_values + 1, sizeof *p->next_last),
                   .waiting = tern__alloc_array(n_values + 1, sizeof *p->waiting)};
    if (!p->order || !p->first || !p->last || !p->next_first || !p->next_last || !p->waiting) {
        passing_finish(p);
        return tern__fail(TERN_E_NOMEM, "session: lists of %zu values", n_values);
    }
    for (size_t i = 0; i < n_launches; i++)
        p->first[i] = p->last[i] = TERN_NONE;
    put_in_order(s, p, (int)n_launches);
    for (tern_value v = 0; v < (tern_value)n_values; v++) {
        int from, to, first = (int)n_launches, last = -1;
        span_of(s, v, &from, &to);
        for (int i = from; i <= to; i++) {
            first = TERN_MIN(first, p->order[i].place);
            last = TERN_MAX(last, p->order[i].place);
        }
        if (first > last)
            continue;
        p->next_first[v] = p->first[first];
        p->first[first] = v;
        p->next_last[v] = p->last[last];
        p->last[last] = v;
    }
    return TERN_OK;
}

static tern_status bring(tern_session *s, tern_value v)
{
    const tern__value *x = tern__value_at(s->c.g, v);
    tern__buffer *b = NULL;
    TERN_TRY(tern__buffer_wrap(s->device, x->data->data, tern__type_bytes(&x->type), &b));
    tern_status st = tern__plan_bind(s->prepare, s->prepare_slot_of[v], b);
    tern__buffer_release(b);
    return st;
}

static tern_status let_go(tern_session *s, passing *p)
{
    TERN_TRY(tern__device_finish(s->device));
    for (int i = 0; i < p->n_waiting; i++) {
        tern__plan_unbind(s->prepare, s->prepare_slot_of[p->waiting[i]]);
        /* The graph is ours, and nothing reads the elements again. */
        tern__value *x = &s->c.g->values[p->waiting[i]];
        tern__blob_rest(x->data);
        tern__blob_release(x->data);
        x->data = NULL;
    }
    p->n_waiting = 0;
    p->bytes = 0;
    return TERN_OK;
}

tern_status tern__prepare(tern_session *s)
{
    passing p;
    TERN_TRY(passing_init(s, &p));
    tern_status st = TERN_OK;
    for (int i = 0; i < tern__plan_n_launches(s->prepare) && st == TERN_OK; i++) {
        for (tern_value v = p.first[i]; v != TERN_NONE && st == TERN_OK; v = p.next_first[v])
            st = bring(s, v);
        if (st == TERN_OK)
            st = tern__plan_run_one(s->prepare, p.order[i].launch);
        for (tern_value v = p.last[i]; v != TERN_NONE; v = p.next_last[v]) {
            p.waiting[p.n_waiting++] = v;
            p.bytes += tern__value_bytes(s, v);
        }
        if (st == TERN_OK && p.bytes > WAITING_BYTES)
            st = let_go(s, &p);
    }
    if (st == TERN_OK)
        st = let_go(s, &p);
    passing_finish(&p);
    return st;
}
