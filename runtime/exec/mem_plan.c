/* Packing of intermediates into an arena: several greedy orders, then the best one repaired where its peak lies. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"
#include "exec/plan.h"

/* How often the best order is repaired; each try costs one packing. */
#define REPAIRS 48

typedef struct item {
    size_t size; /* rounded up */
    int first, last;
    int chunk;
    size_t offset;
} item;

typedef struct packing {
    const item *items; /* sizes and lifetimes */
    int n;
    size_t limit;
    int *order;
    item *placed;      /* those placed so far, by rising chunk and offset */
    item *result;      /* by index */
    size_t peak;
    int n_chunks;
} packing;

static bool live_together(const item *a, const item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap that is free for all of the item's life; placed is sorted, so one walk finds it. */
static void find_gap(const packing *p, int n_placed, item *it)
{
    int chunk = 0;
    size_t at = 0;
    for (int i = 0; i < n_placed; i++) {
        const item *o = &p->placed[i];
        if (!live_together(o, it))
            continue;
        if (o->chunk > chunk) { /* nothing more in the way in this chunk */
            if (it->size <= p->limit - at)
                break;
            chunk = o->chunk;
            at = 0;
        }
        if (o->chunk == chunk) {
            if (o->offset >= at && o->offset - at >= it->size)
                break;
            at = TERN_MAX(at, o->offset + o->size);
        }
        if (at > p->limit || it->size > p->limit - at) {
            chunk++;
            at = 0;
        }
    }
    it->chunk = chunk;
    it->offset = at;
}

static bool before(const item *a, const item *b)
{
    return a->chunk != b->chunk ? a->chunk < b->chunk : a->offset < b->offset;
}

static void pack(packing *p)
{
    p->peak = 0;
    p->n_chunks = 0;
    for (int i = 0; i < p->n; i++) {
        item it = p->items[p->order[i]];
        find_gap(p, i, &it);
        int at = i;
        for (; at > 0 && before(&it, &p->placed[at - 1]); at--)
            p->placed[at] = p->placed[at - 1];
        p->placed[at] = it;
        p->result[p->order[i]] = it;
        p->n_chunks = TERN_MAX(p->n_chunks, it.chunk + 1);
    }
    for (int c = 0; c < p->n_chunks; c++) {
        size_t top = 0;
        for (int i = 0; i < p->n; i++)
            if (p->result[i].chunk == c)
                top = TERN_MAX(top, p->result[i].offset + p->result[i].size);
        p->peak += top;
    }
}

/* Sort keys of the greedy orders; ties fall to the index, so that results never depend on the sort. */
typedef struct sort_key {
    double key, second;
    int index;
} sort_key;

static int compare_keys(const void *a, const void *b)
{
    const sort_key *x = a, *y = b;
    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    if (x->second != y->second)
        return x->second > y->second ? -1 : 1;
    return x->index - y->index;
}

enum { BY_SIZE, BY_LIFETIME, BY_AREA, BY_FIRST, BY_LAST, N_ORDERS };

static void sort_order(packing *p, sort_key *keys, int how)
{
    for (int i = 0; i < p->n; i++) {
        const item *it = &p->items[i];
        double life = (double)it->last - it->first + 1, size = (double)it->size;
        double key = how == BY_SIZE ? size : how == BY_LIFETIME ? life : how == BY_AREA ? life * size : how == BY_FIRST ? -it->first : it->last;
        keys[i] = (sort_key){ .key = key, .second = how == BY_SIZE ? life : size, .index = i };
    }
    qsort(keys, (size_t)p->n, sizeof *keys, compare_keys);
    for (int i = 0; i < p->n; i++)
        p->order[i] = keys[i].index;
}

/* The block that reaches highest was placed too late: try it, and with it its kind, earlier. */
static void promote_highest(packing *p, int attempt)
{
    int at = 0;
    for (int i = 1; i < p->n; i++) {
        const item *a = &p->result[p->order[i]], *b = &p->result[p->order[at]];
        if (a->chunk != b->chunk ? a->chunk > b->chunk : a->offset + a->size > b->offset + b->size)
            at = i;
    }
    int to = attempt % 2 ? 0 : at / 2;
    int moved = p->order[at];
    memmove(&p->order[to + 1], &p->order[to], (size_t)(at - to) * sizeof *p->order);
    p->order[to] = moved;
}

typedef struct best {
    size_t peak;
    int n_chunks;
    int *order;
    item *result;
} best;

static bool keep_if_better(const packing *p, best *b)
{
    if (b->n_chunks && p->peak >= b->peak)
        return false;
    b->peak = p->peak;
    b->n_chunks = p->n_chunks;
    memcpy(b->order, p->order, (size_t)p->n * sizeof *p->order);
    memcpy(b->result, p->result, (size_t)p->n * sizeof *p->result);
    return true;
}

static void search(packing *p, sort_key *keys, best *b, size_t lower)
{
    for (int how = 0; how < N_ORDERS && (!b->n_chunks || b->peak > lower); how++) {
        sort_order(p, keys, how);
        pack(p);
        keep_if_better(p, b);
        for (int r = 0; r < REPAIRS && b->peak > lower; r++) {
            promote_highest(p, r);
            pack(p);
            keep_if_better(p, b);
        }
    }
}

/* The largest sum of sizes live at one time. It is reached where some item begins. */
static size_t lower_bound(const item *items, int n)
{
    size_t lower = 0;
    for (int i = 0; i < n; i++) {
        size_t sum = 0;
        for (int j = 0; j < n; j++)
            if (items[j].first <= items[i].first && items[i].first <= items[j].last)
                sum += items[j].size;
        lower = TERN_MAX(lower, sum);
    }
    return lower;
}

static tern_status make_items(const tern__mem_block *blocks, int n, size_t align, size_t limit, item *items)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        const tern__mem_block *b = &blocks[i];
        if (b->first > b->last)
            return tern__fail(TERN_E_INVALID, "memory plan: block %d lives from %d to %d", i, b->first, b->last);
        size_t size = b->size;
        if (!tern__add_size(TERN_MAX(size, 1), align - 1, &size))
            return tern__fail(TERN_E_DEVICE_MEMORY, "memory plan: block %d has %zu bytes", i, b->size);
        size = size / align * align;
        if (size > limit)
            return tern__fail(TERN_E_DEVICE_MEMORY, "memory plan: an intermediate of %s is over the %s of one allocation",
                              tern__size_words(b->size).s, tern__size_words(limit).s);
        if (!tern__add_size(total, size, &total))
            return tern__fail(TERN_E_DEVICE_MEMORY, "memory plan: %d intermediates add up to more than memory can address", n);
        items[i] = (item){ .size = size, .first = b->first, .last = b->last };
    }
    return TERN_OK;
}

static tern_status plan_blocks(tern__mem_block *blocks, int n, size_t align, size_t limit, packing *p, sort_key *keys, best *b,
                               size_t *lower)
{
    TERN_TRY(make_items(blocks, n, align, limit, (item *)p->items));
    *lower = lower_bound(p->items, n);
    search(p, keys, b, *lower);
    for (int i = 0; i < n; i++) {
        blocks[i].chunk = b->result[i].chunk;
        blocks[i].offset = b->result[i].offset;
    }
    return TERN_OK;
}

tern_status tern__mem_plan(tern__mem_block *blocks, int n, size_t align, size_t chunk_limit, size_t *peak, size_t *lower, int *n_chunks)
{
    *peak = *lower = 0;
    *n_chunks = 0;
    if (n == 0)
        return TERN_OK;
    if (align == 0)
        align = 1;
    size_t m = (size_t)n;
    item *items = tern__alloc_array(m, sizeof *items);
    sort_key *keys = tern__alloc_array(m, sizeof *keys);
    packing p = { .items = items, .n = n, .limit = chunk_limit ? chunk_limit / align * align : SIZE_MAX / 2 };
    best b = { 0 };
    p.order = tern__alloc_array(m, sizeof *p.order);
    p.placed = tern__alloc_array(m, sizeof *p.placed);
    p.result = tern__alloc_array(m, sizeof *p.result);
    b.order = tern__alloc_array(m, sizeof *b.order);
    b.result = tern__alloc_array(m, sizeof *b.result);
    tern_status st;
    if (items && keys && p.order && p.placed && p.result && b.order && b.result)
        st = plan_blocks(blocks, n, align, p.limit, &p, keys, &b, lower);
    else
        st = tern__fail(TERN_E_NOMEM, "memory plan: no host memory to place %d intermediates", n);
    *peak = b.peak;
    *n_chunks = b.n_chunks;
    void *const scratch[] = { items, keys, p.order, p.placed, p.result, b.order, b.result };
    for (int i = 0; i < TERN_COUNT(scratch); i++)
        tern__free(scratch[i]);
    return st;
}
