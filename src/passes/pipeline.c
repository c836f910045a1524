/* The order of the passes, and switching them off by name. */
#include "passes/pass.h"

#include "base/status.h"
#include "graph/graph.h"

#include <string.h>

/* These need to know the device, so compile/ runs them; their names are switched off like all others. */
static const tern__pass layout = {.name = "layout", .doc = "chooses blocked layouts for the ops that want them"};
static const tern__pass fuse = {.name = "fuse", .doc = "joins ops into groups that keep intermediate results out of memory"};
static const tern__pass chain = {.name = "chain", .doc = "makes one launch of kernels that follow each other on a CPU"};

/* Integers are looked for in the words that quantised models use and attention by its softmax, so before expanding, which comes first of all others,
 * since they look for primitives. One round of simplifying exposes equal values and new constants, so there is a second; what batch-norm folding
 * leaves to compute on constants is folded once more. */
static const tern__pass *const order[] = {
    &tern__pass_qdq,  &tern__pass_integer, &tern__pass_attention, &tern__pass_expand, &tern__pass_widen,  &tern__pass_simplify, &tern__pass_fold,
    &tern__pass_cse,  &tern__pass_simplify, &tern__pass_fold,     &tern__pass_cse,    &tern__pass_bnfold, &tern__pass_fold,     &tern__pass_dce,
};

static const tern__pass *const list[] = {
    &tern__pass_qdq,  &tern__pass_integer, &tern__pass_attention, &tern__pass_expand, &tern__pass_widen, &tern__pass_simplify, &tern__pass_fold,
    &tern__pass_cse,  &tern__pass_bnfold,  &tern__pass_dce,       &layout,            &fuse,             &chain,
};

const tern__pass *const *tern__pass_list(int *n)
{
    *n = TERN_COUNT(list);
    return list;
}

/* Takes the next word off a comma-separated list; false at its end. */
static bool next_word(const char **s, const char **word, size_t *len)
{
    *s += strspn(*s, ", ");
    *word = *s;
    *len = strcspn(*s, ", ");
    *s += *len;
    return *len > 0;
}

static bool word_is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(word, name, len) == 0;
}

static bool known(const char *word, size_t len)
{
    if (word_is(word, len, "all"))
        return true;
    for (int i = 0; i < TERN_COUNT(list); i++)
        if (word_is(word, len, list[i]->name))
            return true;
    return false;
}

tern_status tern__passes_check(const char *disable)
{
    const char *word;
    size_t len;
    while (disable && next_word(&disable, &word, &len)) {
        if (known(word, len))
            continue;
        tern__str names = {0};
        for (int i = 0; i < TERN_COUNT(list); i++)
            tern__str_addf(&names, "%s, ", list[i]->name);
        tern__fail(TERN_E_NOT_FOUND, "no pass is called \"%.*s\"; there are %sand \"all\"", (int)len, word, tern__str_text(&names));
        tern__str_finish(&names);
        return TERN_E_NOT_FOUND;
    }
    return TERN_OK;
}

bool tern__pass_disabled(const char *disable, const char *name)
{
    const char *word;
    size_t len;
    while (disable && next_word(&disable, &word, &len))
        if (word_is(word, len, "all") || word_is(word, len, name))
            return true;
    return false;
}

/* No device can run an op that only has an expansion, so "all" leaves expanding on; its own name is needed to stop it. */
static bool skipped(const char *disable, const tern__pass *p)
{
    const char *word;
    size_t len;
    if (p != &tern__pass_expand)
        return tern__pass_disabled(disable, p->name);
    while (disable && next_word(&disable, &word, &len))
        if (word_is(word, len, p->name))
            return true;
    return false;
}

static tern_status run_one(const tern__pass *p, const tern_graph *in, tern_graph **out)
{
    tern_graph *made = NULL;
    tern_status st = p->run(in, &made);
    if (st != TERN_OK)
        return tern__fail_in(st, "pass %s", p->name);
#ifndef NDEBUG
    st = tern__graph_verify(made);
    if (st != TERN_OK) {
        tern_graph_destroy(made);
        return tern__fail_in(st, "after pass %s", p->name);
    }
#endif
    *out = made;
    return TERN_OK;
}

tern_status tern__passes_run(const tern_graph *g, const char *disable, unsigned flags, tern_graph **out)
{
    TERN_TRY(tern__passes_check(disable));
    tern_graph *now = NULL;
    TERN_TRY(tern_graph_clone(g, &now));
    for (int i = 0; i < TERN_COUNT(order); i++) {
        const bool absent = (order[i] == &tern__pass_widen && !(flags & TERN__PASSES_WIDE)) || (order[i] == &tern__pass_qdq && (flags & TERN__PASSES_EXACT));
        if (absent || skipped(disable, order[i]))
            continue;
        tern_graph *next = NULL;
        tern_status st = run_one(order[i], now, &next);
        tern_graph_destroy(now);
        if (st != TERN_OK)
            return st;
        now = next;
    }
    *out = now;
    return TERN_OK;
}
