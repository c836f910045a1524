/* Which device: ranks what the machine has, says why, and reads a selection such as "0", "gpu" or part of a name. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "device/impl.h"
#include "device/opencl/opencl.h"

const char *tern__device_type_name(tern_device_type t)
{
    switch (t) {
    case TERN_DEVICE_CPU: return "cpu";
    case TERN_DEVICE_GPU: return "gpu";
    case TERN_DEVICE_ACCELERATOR: return "accelerator";
    case TERN_DEVICE_NULL: return "null";
    }
    return "?";
}

static const char *kind_words(const tern_device_info *i)
{
    if (!i->compiler)
        return "without a kernel compiler";
    if (i->type == TERN_DEVICE_GPU)
        return i->unified_memory ? "a GPU in the host's memory" : "a GPU with memory of its own";
    return i->type == TERN_DEVICE_CPU ? "a CPU" : "an accelerator";
}

static int rank(const tern_device_info *i)
{
    if (!i->compiler)
        return 0;
    if (i->type == TERN_DEVICE_GPU)
        return i->unified_memory ? 3 : 4;
    return i->type == TERN_DEVICE_CPU ? 2 : 1;
}

/* Lanes times clock: crude, but only devices of one kind are ever compared by it. */
static double lanes_mhz(const tern_device_info *i)
{
    return (double)i->compute_units * i->clock_mhz * (i->native_vector_f32 ? i->native_vector_f32 : 1);
}

static bool better(const tern_device_info *a, const tern_device_info *b)
{
    if (rank(a) != rank(b))
        return rank(a) > rank(b);
    return lanes_mhz(a) > lanes_mhz(b);
}

static int best_of(const tern_device_info *infos, int n, const bool *among)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if ((!among || among[i]) && (best < 0 || better(&infos[i], &infos[best])))
            best = i;
    return best;
}

void tern__device_explain(tern_device_info *infos, int n)
{
    int best = best_of(infos, n, NULL);
    for (int i = 0; i < n; i++) {
        tern_device_info *d = &infos[i];
        const tern_device_info *b = &infos[best];
        d->chosen = i == best;
        if (d->chosen && n == 1)
            snprintf(d->why, sizeof d->why, "chosen: the only device, %s", kind_words(d));
        else if (d->chosen)
            snprintf(d->why, sizeof d->why, "chosen: %s, %u compute units at %u MHz", kind_words(d), d->compute_units, d->clock_mhz);
        else if (rank(d) != rank(b))
            snprintf(d->why, sizeof d->why, "not chosen: %s, and device %d is %s", kind_words(d), best, kind_words(b));
        else
            snprintf(d->why, sizeof d->why, "not chosen: compute units x vector width x clock is %.0f, not above the %.0f of device %d",
                     lanes_mhz(d), lanes_mhz(b), best);
    }
}

static bool contains_nocase(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

static bool same_nocase(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && contains_nocase(a, b);
}

static bool is_index(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n < 6 && strspn(s, "0123456789") == n;
}

static bool matches(const tern_device_info *d, int i, const char *select)
{
    static const char *const types[] = { "cpu", "gpu", "accelerator" };
    if (is_index(select))
        return atoi(select) == i;
    for (int t = 0; t < TERN_COUNT(types); t++)
        if (same_nocase(select, types[t]))
            return same_nocase(tern__device_type_name(d->type), select);
    return contains_nocase(d->name, select) || contains_nocase(d->platform, select);
}

static tern_status fail_nothing_fits(const char *select, const tern_device_info *infos, int n)
{
    tern__str s = { 0 };
    for (int i = 0; i < n; i++)
        tern__str_addf(&s, "%s%d: %s (%s, %s)", i ? "; " : "", i, infos[i].name, tern__device_type_name(infos[i].type), infos[i].platform);
    tern_status st = tern__fail(TERN_E_NO_DEVICE, "device: nothing fits \"%s\"; there is %s", select, tern__str_text(&s));
    tern__str_finish(&s);
    return st;
}

tern_status tern__device_choose(const char *select, tern_device_info *infos, int n, int *out)
{
    bool *among = tern__alloc_array((size_t)n, sizeof *among);
    if (!among)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to choose among %d devices", n);
    for (int i = 0; i < n; i++)
        among[i] = !select[0] || matches(&infos[i], i, select);
    int best = best_of(infos, n, among);
    tern__free(among);
    if (best < 0)
        return fail_nothing_fits(select, infos, n);
    *out = best;
    return TERN_OK;
}

tern_status tern_device_list(tern_device_info **infos, int *n)
{
    if (!infos || !n)
        return tern__fail(TERN_E_INVALID, "device: nowhere to put the list of devices");
    tern__cl_list list;
    TERN_TRY(tern__cl_enumerate(&list));
    tern__device_explain(list.infos, list.n);
    *infos = list.infos;
    *n = list.n;
    list.infos = NULL;
    tern__cl_list_finish(&list);
    return TERN_OK;
}

void tern_device_list_free(tern_device_info *infos)
{
    tern__free(infos);
}
