/* The inside of a launch plan, shared by recording, running and profiling. */
#ifndef TERN_EXEC_PLAN_IMPL_H
#define TERN_EXEC_PLAN_IMPL_H

#include "exec/plan.h"

typedef struct plan_slot {
    tern__slot_kind kind;
    size_t size;
    int alias_of;          /* slot whose memory this one shares; -1: its own */
    bool keep;
    int first, last;       /* launches that touch it or a slot that shares it; first > last: none */
    tern__buffer *buffer;  /* a reference; for an alias as well */
    int uses_at, n_uses;   /* BOUND: its part of plan.uses */
} plan_slot;

/* A kernel, or a call of fn. */
typedef struct plan_launch {
    char *kernel_name;     /* NULL: a call */
    int program, group, dims;
    size_t global[3], local[3];
    int args_at, n_args;   /* its part of plan.args */
    int chained;           /* launches that this one's chain stands for, on the first of them; -1 on the others; 0: on its own */
    int chain;             /* on the first: index into plan.chains */
    tern__kernel *kernel;  /* a reference after finish */
    tern__plan_call fn;
    void *data;            /* fn's, a copy */
    tern__plan_word *words; /* a chain's, a copy */
    int n_words;
    size_t unit;
    tern__buffer **slots;  /* fn's, by argument; the slots hold the references */
} plan_launch;

/* Where a bound slot is an argument. */
typedef struct plan_use {
    int launch, arg;       /* launch counts on into plan.chains */
} plan_use;

/* How many of the last runs keep their events. */
#define TERN__PLAN_KEPT_RUNS 32

struct tern__plan {
    tern_device *device;   /* a reference */
    plan_slot *slots;
    plan_launch *launches, *chains;
    tern__plan_arg *args;
    plan_use *uses;
    tern__buffer **chunks; /* the arena */
    int n_slots, cap_slots, n_launches, cap_launches, n_chains, cap_chains, n_args, cap_args, n_uses, n_chunks;
    size_t arena_bytes, arena_lower_bytes;
    int n_unbound;         /* BOUND slots that launches use and nothing is bound to */
    bool finished;

    void **events;         /* TERN__PLAN_KEPT_RUNS x n_launches x 2, on a profiling device: of a launch its own, of a call marks before and after it */
    long n_runs;           /* since finish */
};

/* The slot that holds the memory of slot. */
int tern__plan_root(const tern__plan *p, int slot);

/* Room for the events of the next run, the oldest run's released; NULL where nothing is profiled. */
void **tern__plan_next_events(tern__plan *p);
tern_status tern__plan_profile_init(tern__plan *p);
void tern__plan_profile_finish(tern__plan *p);

#endif
