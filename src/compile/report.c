/* What a session says about its plan. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/session_impl.h"

void tern_session_get_info(const tern_session *s, tern_plan_info *out)
{
    *out = s->info;
}

tern_status tern_session_output_info(const tern_session *s, int i, tern_dtype *dtype, tern_shape *shape)
{
    if (!s || i < 0 || i >= s->c.g->n_outputs)
        return tern__fail(TERN_E_INVALID, "session: output %d of %d", i, s ? s->c.g->n_outputs : 0);
    const tern__type *t = tern__type_of(s->c.g, s->c.g->outputs[i].value);
    if (dtype)
        *dtype = t->dtype;
    if (shape)
        *shape = t->shape;
    return TERN_OK;
}

int tern_session_n_groups(const tern_session *s)
{
    return s->c.n_groups;
}

tern_status tern_session_group(const tern_session *s, int i, tern_group_info *out)
{
    if (!s || !out || i < 0 || i >= s->c.n_groups)
        return tern__fail(TERN_E_INVALID, "session: group %d of %d", i, s ? s->c.n_groups : 0);
    const tern__group *gr = s->c.groups[i];
    int launches = 0;
    for (int k = 0; k < gr->n_kerns; k++)
        launches += !gr->kerns[k]->prepare;
    static const char *const origin[] = {[TERN__BY_MODEL] = "", [TERN__BY_FORCE] = "", [TERN__BY_STORE] = "store", [TERN__BY_TABLE] = "table"};
    *out = (tern_group_info){
        .choice = gr->choice.len ? tern__str_text(&gr->choice) : NULL,
        .problem = gr->problem.len ? tern__str_text(&gr->problem) : NULL,
        .tuned = gr->anchor >= 0 ? origin[s->c.choice_of[gr->anchor].origin] : "",
        .name = tern__str_text(&gr->name),
        .impl = gr->impl ? gr->impl->name : "fused",
        .ops = tern__str_text(&gr->ops),
        .bytes_unfused = gr->bytes_unfused,
        .bytes_fused = gr->bytes_fused,
        .flops = gr->flops,
        .n_launches = launches,
        .time_us = tern__plan_group_us(s->plan, i),
    };
    return TERN_OK;
}

const char *tern_session_source(const tern_session *s)
{
    return s ? tern__str_text(&s->source) : "";
}

tern_status tern_session_trace(tern_session *s, const char *path)
{
    if (!s || !path)
        return tern__fail(TERN_E_INVALID, "session: a session and a path are needed for a trace");
    if (!s->device->profile)
        return tern__fail(TERN_E_INVALID, "session: %s cannot be written, the device was opened without profiling", path);
    const char **names = tern__alloc_array((size_t)s->c.n_groups + 1, sizeof *names);
    if (!names)
        return tern__fail(TERN_E_NOMEM, "session: names of %d groups", s->c.n_groups);
    for (int i = 0; i < s->c.n_groups; i++)
        names[i] = tern__str_text(&s->c.groups[i]->ops);
    tern_status st = tern__plan_trace(s->plan, names, s->c.n_groups, path);
    tern__free(names);
    return st;
}
