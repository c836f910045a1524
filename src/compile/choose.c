/* Choosing an implementation and its numbers: the forced ones, those that were measured to be best, or the first of the op's list that accepts. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "compile/compile.h"
#include "compile/tuned.h"

/* --- Choices as text --- */

static const tern__impl *find_impl(const tern__op *op, const char *name, size_t len)
{
    for (int i = 0; op->impls && op->impls[i]; i++)
        if (!strncmp(op->impls[i]->name, name, len) && !op->impls[i]->name[len])
            return op->impls[i];
    return NULL;
}

static int find_param(const tern__space *space, const char *name, size_t len)
{
    for (int i = 0; space && i < space->n; i++)
        if (!strncmp(space->param[i].name, name, len) && !space->param[i].name[len])
            return i;
    return -1;
}

/* "tp=7" */
static tern_status parse_param(const tern__impl *impl, const char *text, size_t len, tern__choice *out)
{
    const char *eq = memchr(text, '=', len);
    const size_t name = eq ? (size_t)(eq - text) : len;
    const int i = find_param(impl->space, text, name);
    if (i < 0)
        return tern__fail(TERN_E_NOT_FOUND, "%s has no number named \"%.*s\"", impl->name, (int)TERN_MIN(name, (size_t)40), text);
    int64_t x = 0;
    for (const char *s = eq ? eq + 1 : text + len; s < text + len; s++)
        x = *s >= '0' && *s <= '9' && x < 10000 ? 10 * x + (*s - '0') : INT64_MAX / 16;
    for (const int16_t *v = impl->space->param[i].values; *v; v++)
        if (*v == x) {
            out->value[i] = (int32_t)x;
            return TERN_OK;
        }
    return tern__fail(TERN_E_INVALID, "%s: \"%.*s\" is none of the values of %s", impl->name, (int)TERN_MIN(len, (size_t)40), text, impl->space->param[i].name);
}

tern_status tern__choice_parse(const tern__op *op, const char *text, size_t len, tern__choice *out)
{
    const char *end = text + len, *colon = memchr(text, ':', len);
    const size_t name = colon ? (size_t)(colon - text) : len;
    tern__choice c = {.impl = find_impl(op, text, name)};
    if (!c.impl)
        return tern__fail(TERN_E_NOT_FOUND, "%s: no implementation named %.*s", op->name, (int)TERN_MIN(name, (size_t)80), text);
    while (colon) {
        const char *from = colon + 1;
        colon = memchr(from, ':', (size_t)(end - from));
        TERN_TRY(parse_param(c.impl, from, (size_t)((colon ? colon : end) - from), &c));
    }
    *out = c;
    return TERN_OK;
}

void tern__choice_print(tern__str *s, const tern__choice *choice)
{
    tern__str_add(s, choice->impl->name);
    for (int i = 0; choice->impl->space && i < choice->impl->space->n; i++)
        if (choice->value[i])
            tern__str_addf(s, ":%s=%" PRId32, choice->impl->space->param[i].name, choice->value[i]);
}

/* --- Choosing --- */

/* The text that force_impl has for an op, "op=name" or only "name", which forces those ops alone that have an implementation of that name. */
static const char *forced_text(const char *force, const tern__op *op, size_t *len)
{
    for (const char *p = force; p && *p;) {
        const size_t n = strcspn(p, ","), word = strcspn(p, ":,="), own = strlen(op->name);
        if (p[word] != '=' && find_impl(op, p, word)) {
            *len = n;
            return p;
        }
        if (p[word] == '=' && word == own && !memcmp(p, op->name, own)) {
            *len = n - own - 1;
            return p + own + 1;
        }
        p += n + (p[n] == ',');
    }
    return NULL;
}

/* A number that shapes or the device's limits change is none that was measured. */
static bool keeps(const tern__lower *l, const tern__node *n, const tern__choice *choice, tern__str *why)
{
    int32_t value[TERN__MAX_PARAMS] = {0};
    const tern__space *space = choice->impl->space;
    bool any = false;
    for (int i = 0; space && i < space->n; i++)
        any |= choice->value[i] != 0;
    if (!any)
        return true;
    space->read(l, n, value);
    for (int i = 0; i < space->n; i++)
        if (choice->value[i] && choice->value[i] != value[i]) {
            tern__str_addf(why, "%s %" PRId32 " comes out as %" PRId32, space->param[i].name, choice->value[i], value[i]);
            return false;
        }
    return true;
}

bool tern__choice_fits(const tern__compile *c, const tern__node *n, const tern__choice *choice, tern__str *why)
{
    tern__lower l = {(tern__compile *)c, NULL, choice};
    if (choice->impl->approximate && c->exact) {
        tern__str_add(why, "the session is to be exact");
        return false;
    }
    return choice->impl->accept(&l, n, why) && keeps(&l, n, choice, why);
}

static tern_status refuse(const tern__op *op, const tern__str *why)
{
    if (why->failed)
        return tern__fail(TERN_E_NOMEM, "compile: no memory to choose an implementation of %s", op->name);
    return tern__fail(TERN_E_UNSUPPORTED, "%s: no implementation takes it (%s)", op->name, tern__str_text(why));
}

static tern_status take_forced(const tern__compile *c, const tern__node *n, const char *text, size_t len, tern__choice *out)
{
    tern__choice choice;
    tern__str why = {0};
    TERN_TRY(tern__choice_parse(n->op, text, len, &choice));
    choice.origin = TERN__BY_FORCE;
    tern__str_addf(&why, "%s: ", choice.impl->name);
    const bool fits = tern__choice_fits(c, n, &choice, &why);
    tern_status st = fits && !why.failed ? TERN_OK : refuse(n->op, &why);
    tern__str_finish(&why);
    if (st == TERN_OK)
        *out = choice;
    return st;
}

static tern_status take_first(const tern__compile *c, const tern__node *n, tern__choice *out)
{
    tern__lower l = {(tern__compile *)c, NULL, NULL};
    tern__str why = {0};
    for (int i = 0; n->op->impls[i] && !out->impl; i++) {
        const tern__choice choice = {.impl = n->op->impls[i]};
        tern__str_addf(&why, "%s%s: ", why.len ? "; " : "", choice.impl->name);
        if (tern__choice_fits(c, n, &choice, &why) && (!choice.impl->pays || choice.impl->pays(&l, n, &why)))
            *out = choice;
    }
    tern_status st = out->impl && !why.failed ? TERN_OK : refuse(n->op, &why);
    tern__str_finish(&why);
    return st;
}

tern_status tern__choose_impl(const tern__compile *c, const tern__node *n, tern__choice *out)
{
    *out = (tern__choice){.impl = NULL};
    const tern__op *op = n->op;
    if (!op->impls || !op->impls[0]) {
        bool generated = op->trait == TERN__POINTWISE || op->trait == TERN__REDUCTION || op->trait == TERN__SOURCE || op->move;
        return generated ? TERN_OK : tern__fail(TERN_E_UNSUPPORTED, "%s: no implementation for this device", op->name);
    }
    size_t len = 0;
    const char *forced = forced_text(c->force_impl, op, &len);
    if (forced)
        return take_forced(c, n, forced, len, out);
    TERN_TRY(tern__tuned_find(c, n, out));
    return out->impl ? TERN_OK : take_first(c, n, out);
}
