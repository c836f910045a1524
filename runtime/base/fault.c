/* Counters that make the n-th call of a kind fail. */
#include <assert.h>
#include <stdatomic.h>

#include "base/fault.h"

static struct {
    atomic_long count, nth;
    atomic_bool for_good;
} state[TERN__FAULT_KINDS];

void tern__fault_arm(tern__fault_kind kind, long nth, bool for_good)
{
    assert((unsigned)kind < TERN__FAULT_KINDS);
    atomic_store(&state[kind].nth, 0);
    atomic_store(&state[kind].count, 0);
    atomic_store(&state[kind].for_good, for_good);
    atomic_store(&state[kind].nth, nth);
}

long tern__fault_count(tern__fault_kind kind) { return atomic_load(&state[kind].count); }

bool tern__fault_hit(tern__fault_kind kind)
{
    long n = atomic_fetch_add_explicit(&state[kind].count, 1, memory_order_relaxed) + 1;
    long nth = atomic_load_explicit(&state[kind].nth, memory_order_relaxed);
    if (nth <= 0)
        return false;
    return n == nth || (n > nth && atomic_load_explicit(&state[kind].for_good, memory_order_relaxed));
}
