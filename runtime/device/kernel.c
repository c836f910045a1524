/* Kernels: remembers what each argument was set to, so that only changes reach the driver, and launches. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"

static bool same_arg(const tern__arg_state *s, const tern__arg *a)
{
    if (!s->set || s->kind != (int)a->kind)
        return false;
    switch (a->kind) {
    case TERN__ARG_BUFFER: return s->buffer_id == a->buffer->id;
    case TERN__ARG_SCALAR: return s->size == a->size && memcmp(s->scalar, a->scalar, a->size) == 0;
    case TERN__ARG_LOCAL: return s->size == a->size;
    }
    return false;
}

static void remember_arg(tern__arg_state *s, const tern__arg *a)
{
    s->set = true;
    s->kind = (int)a->kind;
    s->size = a->size;
    if (a->kind == TERN__ARG_BUFFER)
        s->buffer_id = a->buffer->id;
    else if (a->kind == TERN__ARG_SCALAR)
        memcpy(s->scalar, a->scalar, a->size);
}

tern_status tern__kernel_set_arg(tern__kernel *k, int index, const tern__arg *arg)
{
    if (index < 0 || (k->n_args >= 0 && index >= k->n_args))
        return tern__fail(TERN_E_INVALID, "kernel %s: argument %d of %d", k->name, index, k->n_args);
    if (arg->kind == TERN__ARG_SCALAR && (arg->size == 0 || arg->size > sizeof arg->scalar))
        return tern__fail(TERN_E_INVALID, "kernel %s: argument %d is a scalar of %zu bytes", k->name, index, arg->size);
    if (arg->kind == TERN__ARG_BUFFER && arg->buffer->device != k->device)
        return tern__fail(TERN_E_INVALID, "kernel %s: argument %d is a buffer of another device", k->name, index);
    if (arg->kind == TERN__ARG_LOCAL && (arg->size == 0 || arg->size > k->device->info.local_mem_bytes))
        return tern__fail(TERN_E_INVALID, "kernel %s: argument %d asks for %zu bytes of local memory, this device has %llu", k->name, index,
                          arg->size, (unsigned long long)k->device->info.local_mem_bytes);
    tern__arg_state *s = k->args ? &k->args[index] : NULL;
    if (s && same_arg(s, arg))
        return TERN_OK;
    if (s)
        s->set = false; /* a failed call leaves the argument unknown */
    TERN_TRY(k->device->ops->kernel_set_arg(k, index, arg));
    if (s)
        remember_arg(s, arg);
    return TERN_OK;
}

int tern__kernel_n_args(const tern__kernel *k)
{
    return k->n_args;
}

static tern_status check_range(const tern__kernel *k, int dims, const size_t global[3], const size_t local[3])
{
    const tern_device_info *i = &k->device->info;
    if (dims < 1 || dims > 3)
        return tern__fail(TERN_E_INVALID, "kernel %s: a range of %d dimensions", k->name, dims);
    size_t items = 1;
    for (int a = 0; a < dims; a++) {
        if (global[a] == 0)
            return tern__fail(TERN_E_INVALID, "kernel %s: a global size of 0 along axis %d", k->name, a);
        if (local[0] && (local[a] == 0 || global[a] % local[a] || local[a] > i->max_work_group))
            return tern__fail(TERN_E_INVALID, "kernel %s: work-groups of %zu do not divide %zu items along axis %d", k->name, local[a],
                              global[a], a);
        items *= local[0] ? local[a] : 1;
    }
    if (items > i->max_work_group)
        return tern__fail(TERN_E_INVALID, "kernel %s: a work-group of %zu items, this device allows %u", k->name, items, i->max_work_group);
    return TERN_OK;
}

tern_status tern__kernel_launch(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event)
{
    TERN_TRY(check_range(k, dims, global, local));
    return k->device->ops->launch(k, dims, global, local, event);
}
