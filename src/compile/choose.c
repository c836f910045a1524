/* Choosing an implementation: the forced one, or the first of the op's list that accepts. */
#include <string.h>

#include "base/status.h"
#include "compile/compile.h"

const char *tern__forced(const char *force, const char *op, int *len)
{
    for (const char *p = force; p && *p;) {
        const char *end = strchr(p, ',');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        const char *eq = memchr(p, '=', n);
        if (!eq) {
            *len = (int)n;
            return p;
        }
        if ((size_t)(eq - p) == strlen(op) && !memcmp(p, op, strlen(op))) {
            *len = (int)(n - (size_t)(eq + 1 - p));
            return eq + 1;
        }
        p += n + (end != NULL);
    }
    return NULL;
}

/* A bare name forces only the ops that have an implementation of that name. */
static bool has_impl(const tern__op *op, const char *name, int len)
{
    for (int i = 0; op->impls && op->impls[i]; i++)
        if (!strncmp(op->impls[i]->name, name, (size_t)len) && !op->impls[i]->name[len])
            return true;
    return false;
}

static bool takes(const tern__lower *l, const tern__impl *impl, const tern__node *n, bool forced, tern__str *why)
{
    if (impl->approximate && l->c->exact) {
        tern__str_add(why, "the session is to be exact");
        return false;
    }
    return impl->accept(l, n, why) && (forced || !impl->pays || impl->pays(l, n, why));
}

tern_status tern__choose_impl(const tern__compile *c, const tern__node *n, const tern__impl **out)
{
    *out = NULL;
    const tern__op *op = n->op;
    if (!op->impls || !op->impls[0]) {
        bool generated = op->trait == TERN__POINTWISE || op->trait == TERN__REDUCTION || op->trait == TERN__SOURCE || op->move;
        return generated ? TERN_OK : tern__fail(TERN_E_UNSUPPORTED, "%s: no implementation for this device", op->name);
    }
    tern__lower l = {(tern__compile *)c, NULL};
    int len = 0;
    const char *forced = tern__forced(c->force_impl, op->name, &len);
    bool named = forced && c->force_impl && strchr(c->force_impl, '=');
    if (forced && !named && !has_impl(op, forced, len))
        forced = NULL;
    tern__str why = {0};
    for (int i = 0; op->impls[i] && !*out; i++) {
        if (forced && (strncmp(op->impls[i]->name, forced, (size_t)len) || op->impls[i]->name[len]))
            continue;
        tern__str_addf(&why, "%s%s: ", why.len ? "; " : "", op->impls[i]->name);
        if (takes(&l, op->impls[i], n, forced != NULL, &why))
            *out = op->impls[i];
    }
    tern_status st = TERN_OK;
    if (why.failed)
        st = tern__fail(TERN_E_NOMEM, "compile: no memory to choose an implementation of %s", op->name);
    else if (!*out && forced && !has_impl(op, forced, len))
        st = tern__fail(TERN_E_NOT_FOUND, "%s: no implementation named %.*s", op->name, len, forced);
    else if (!*out)
        st = tern__fail(TERN_E_UNSUPPORTED, "%s: no implementation takes it (%s)", op->name, tern__str_text(&why));
    tern__str_finish(&why);
    return st;
}
