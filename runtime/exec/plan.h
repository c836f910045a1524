/* Launch plans: a flat list of kernel launches, and of calls into libraries that enqueue by themselves, over buffer slots, recorded once and run without allocation or waiting. */
#ifndef TERN_EXEC_PLAN_H
#define TERN_EXEC_PLAN_H

#include "device/device.h"

/* Where a slot's memory comes from. */
typedef enum tern__slot_kind {
    TERN__SLOT_ARENA,   /* an intermediate: live from its first to its last launch, packed into the arena */
    TERN__SLOT_OWNED,   /* lives as long as the plan (packed constants, workspace that must persist) */
    TERN__SLOT_BOUND,   /* bound by the caller before a run: inputs, outputs, variables */
} tern__slot_kind;

typedef struct tern__plan tern__plan;

/* An argument of a recorded launch. */
typedef struct tern__plan_arg {
    enum { TERN__PLAN_SLOT, TERN__PLAN_SCALAR, TERN__PLAN_LOCAL, TERN__PLAN_ARENA } kind;
    int slot;           /* SLOT */
    bool writes;        /* SLOT: written (may be read as well) */
    uint8_t scalar[8];  /* SCALAR */
    size_t size;        /* SCALAR, LOCAL */
} tern__plan_arg;

typedef struct tern__plan_launch {
    const char *kernel;         /* name in program */
    int program;                /* index into the programs given to tern__plan_finish */
    int group;                  /* label for profiles */
    int dims;
    size_t global[3], local[3];
    const tern__plan_arg *args; /* copied */
    int n_args;
} tern__plan_launch;

/* A step that enqueues its own work on the device's queue and does not wait. slots: the buffers of its slots in this run. */
typedef tern_status (*tern__plan_call)(tern_device *d, tern__buffer *const *slots, const void *data);

/* Offsets for intervals [first, last] so that no two live at once overlap; sizes are rounded up to align.
 * Greedy by size with the lowest fitting gap; *peak is what it needs, *lower the largest sum of sizes live at one time.
 * chunk_limit bounds one allocation: blocks get a chunk index and an offset within it. */
typedef struct tern__mem_block {
    size_t size;
    int first, last;
    int chunk;      /* out */
    size_t offset;  /* out */
} tern__mem_block;
tern_status tern__mem_plan(tern__mem_block *blocks, int n, size_t align, size_t chunk_limit, size_t *peak, size_t *lower, int *n_chunks);

tern_status tern__plan_create(tern_device *d, tern__plan **out);
void tern__plan_destroy(tern__plan *p);
/* Adds a slot of size bytes, index in *slot. */
tern_status tern__plan_add_slot(tern__plan *p, tern__slot_kind kind, size_t size, int *slot);
/* Makes the slot share another's memory (same bytes, possibly fewer): in-place results, reshaped views. */
tern_status tern__plan_alias_slot(tern__plan *p, int slot, int of);
/* The slot must survive to the end of the run (an arena value that is read back). */
void tern__plan_keep_slot(tern__plan *p, int slot);
tern_status tern__plan_add_launch(tern__plan *p, const tern__plan_launch *l);
/* Makes one launch of the last n that were recorded: runs enqueue it in their stead, while memory goes by them. Its first argument is an OWNED slot that
 * begins as zeroes, its second one that holds the words. Not for plans on a profiling device, and with an ARENA argument only for intermediates that
 * surely fit one allocation. */
typedef struct tern__plan_word {
    uint32_t number;
    int slot;           /* not -1: instead of the number where in the arena this slot begins, in units of `unit` bytes */
} tern__plan_word;
tern_status tern__plan_chain(tern__plan *p, int n, const tern__plan_launch *l, const tern__plan_word *words, int n_words, size_t unit);
/* Adds a call between the launches: fn gets a copy of data, and the n slots, of which writes tells those it writes (may read as well). */
tern_status tern__plan_add_call(tern__plan *p, tern__plan_call fn, const void *data, size_t data_size, const int *slots, const bool *writes, int n,
                                int group);
/* Launches and calls. */
int tern__plan_n_launches(const tern__plan *p);

/* Places arena slots, creates buffers and kernels, sets the arguments that never change. */
tern_status tern__plan_finish(tern__plan *p, tern__program *const *programs, int n_programs);

/* Binds memory to a BOUND slot (retained until bound anew). Cheap when nothing changes. */
tern_status tern__plan_bind(tern__plan *p, int slot, tern__buffer *b);
/* Takes the memory away from a BOUND slot again; runs need another bind. Nothing that uses it may be in flight. */
void tern__plan_unbind(tern__plan *p, int slot);
/* The first and last launch that touch a slot, or one that shares its memory; *first > *last: none does. After finish. */
void tern__plan_slot_span(const tern__plan *p, int slot, int *first, int *last);
/* The buffer behind a slot after finish; borrowed. */
tern__buffer *tern__plan_slot_buffer(const tern__plan *p, int slot);

/* Enqueues every launch in order. No allocation, no waiting but for what calls do inside (with a profiling device: events are kept for the last runs). */
tern_status tern__plan_run(tern__plan *p);
/* Enqueues launch i alone, for which only its own slots must be bound. Not profiled. */
tern_status tern__plan_run_one(tern__plan *p, int i);

size_t tern__plan_arena_bytes(const tern__plan *p);
size_t tern__plan_arena_lower_bytes(const tern__plan *p);
/* Median time of a group's launches over the profiled runs, 0 when there are none. */
double tern__plan_group_us(tern__plan *p, int group);
/* The least time from the start of a group's first launch to the end of its last in one of the kept runs, 0 when there are none. */
double tern__plan_group_span_us(tern__plan *p, int group);
/* Chrome trace events of the kept runs; names[group]. */
tern_status tern__plan_trace(tern__plan *p, const char *const *names, int n_groups, const char *path);

#endif
