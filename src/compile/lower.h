/* What an implementation sees while a group becomes kernels: facts, kernel builders, hooks that codegen fills. */
#ifndef TERN_COMPILE_LOWER_H
#define TERN_COMPILE_LOWER_H

#include <stdint.h>

#include "device/device.h"
#include "exec/plan.h"
#include "graph/graph.h"

typedef struct tern__lower tern__lower; /* one group being lowered */
typedef struct tern__kern tern__kern;   /* one kernel being described: template, defines, arguments, range */

/* What the layout pass can tell an implementation. */
typedef struct tern__layout_query {
    const tern_graph *graph;
    tern__family family;
    const tern_device_info *device;
} tern__layout_query;

/* What can be tuned of an implementation, as data beside it: numbers, and the values worth trying for each. */
enum { TERN__MAX_PARAMS = 7 };
typedef struct tern__param {
    const char *name, *doc;
    const int16_t *values; /* rising, none of them 0, with a 0 behind the last */
} tern__param;
typedef struct tern__space {
    int n;
    tern__param param[TERN__MAX_PARAMS];
    /* The numbers that lower() works with for a node that is accepted: those of l's choice as far as shapes and the device's limits let it, the cost
     * model's where l has no choice. A choice is valid if it comes out as it went in. */
    void (*read)(const tern__lower *l, const tern__node *n, int32_t *value);
} tern__space;

/* An implementation of an anchor op (contraction, window, opaque). */
typedef struct tern__impl {
    const char *name; /* "cpu_tile", "simt_tile" */
    /* Capability and shape test; says why not. Never looks at vendor names. */
    bool (*accept)(const tern__lower *l, const tern__node *n, tern__str *why);
    /* Describes the kernels of this node. The epilogue and prologues are codegen's: the implementation only names the hooks. */
    tern_status (*lower)(tern__lower *l, const tern__node *n);
    unsigned prologue; /* bit i: operand i is only read through a load hook, so what makes it may be fused in */
    /* Blocked activations: bit i set means operand i (inputs first, then outputs) may be, and wants to be, BLOCKED by
     * tern__layout_block() of its channels. NULL: everything plain. Asked by the layout pass before lowering. */
    unsigned (*blocked)(const tern__layout_query *q, const tern__node *n);
    bool alone; /* it has no hooks: nothing is ever fused with it */
    /* Where it can do the work but another implementation after it may be faster. Not asked when it is forced; says why not. NULL: it is always worth it. */
    bool (*pays)(const tern__lower *l, const tern__node *n, tern__str *why);
    bool approximate; /* its results differ from the sum by more than the order of the terms: never taken where a session is to be exact */
    const tern__space *space;   /* what tern tune looks through; NULL: there is nothing to choose */
    const char *const *sources; /* kernels/ files whose text, with what it includes, the tuned numbers were measured with; ends with NULL */
} tern__impl;

/* The block for so many channels, the same for all that work on them: the device's vector width, or half of it, but at least 4, if that divides them and
 * the whole does not. 0: neither does. */
int tern__layout_block(const tern_device_info *d, int64_t channels);

/* --- Facts --- */
tern__family tern__lower_family(const tern__lower *l);
const tern_device_info *tern__lower_device(const tern__lower *l);
/* The device itself, for libraries that work on its queue. */
tern_device *tern__lower_open_device(const tern__lower *l);
const tern_graph *tern__lower_graph(const tern__lower *l);
/* Dtype, logical shape and layout of a value. */
const tern__type *tern__lower_type(const tern__lower *l, tern_value v);
/* True if v holds the same bytes in every run (constants; frozen weights): what is derived from it can be made once. */
bool tern__lower_is_constant(const tern__lower *l, tern_value v);

/* Number i of the implementation's space: the choice's if there is one, else what the cost model says; least to most in any case. */
int64_t tern__lower_param(const tern__lower *l, int i, int64_t otherwise, int64_t least, int64_t most);

/* --- Kernels ---
 * A kernel's text is: the lib headers, the defines, the hook functions, then kernels/TEMPLATE, which defines one kernel named
 * KERNEL whose last parameter is the macro HOOK_PARAMS (the buffers the hooks use). A template never touches the anchor's output itself.
 * Errors latch in the group; builders may be called on NULL. */
tern__kern *tern__lower_kernel(tern__lower *l, const char *template_name);
void tern__kern_define(tern__kern *k, const char *name, const char *fmt, ...) TERN_PRINTF(3, 4);
/* Defines a number of up to 31 bits that the template only reads at run time, so not in #if or as an array's extent: where kernels differ in nothing else
 * they become one, and NAME a parameter of it. A template without HOOK_PARAMS ends its parameters with SIZE_PARAMS, without a comma, for these. */
void tern__kern_size(tern__kern *k, const char *name, int64_t x);
/* Does anybody want the anchor's output v, or what the group computes from it? If not it need not be made. */
bool tern__lower_is_wanted(tern__lower *l, tern_value v);
/* Fixed parameters, in the template's order. A value used directly (no hook) must be materialised: plain or blocked memory. */
void tern__kern_value(tern__kern *k, tern_value v);
void tern__kern_slot(tern__kern *k, int slot, bool writes);
void tern__kern_i32(tern__kern *k, int32_t x);
void tern__kern_f32(tern__kern *k, float x);
void tern__kern_local(tern__kern *k, size_t size_bytes);
/* Instead of a kernel (template NULL): a call that enqueues by itself. It takes a copy of data, and as slots the kern's values and
 * slots in their order. Nothing is printed for it and it has no hooks, so its implementation is `alone`. */
void tern__kern_call(tern__kern *k, tern__plan_call fn, const void *data, size_t size);
/* A fixed argument of a call that holds the anchor's output. */
void tern__kern_result(tern__kern *k, tern_value v);
/* ND-range; global is rounded up to a multiple of local. One dimension: local is cut to what the device allows, which a kernel that counts on its
 * group (local memory, barriers) has to look at first. */
void tern__kern_range(tern__kern *k, int dims, const size_t global[3], const size_t local[3]);

/* n launches of the group share the values that this one reads and writes, a part to each: for the account of bytes. */
void tern__kern_part(tern__kern *k, int n);

/* --- Memory of the implementation's own --- */
/* Workspace that lives from this group's first launch to its last. Returns a slot. */
int tern__lower_temp(tern__lower *l, size_t size_bytes);
/* Repacked form of v, made once per (v, key) in a plan, and only at load time if v is constant. *slot is where it lies;
 * returns the kernel that makes it, for the caller to describe, or NULL if an earlier group already did. Where ANY_ADDRESS is 1 the template
 * takes v as bytes that are not aligned to its elements. */
tern__kern *tern__lower_pack(tern__lower *l, tern_value v, const char *key, size_t size_bytes, const char *template_name, int *slot);

/* --- Hooks ---
 * Coordinates: a hook is called with one uint expression per axis; the axes, outermost first, cover the value's logical dimensions in order
 * (an axis may stand for several neighbouring dimensions by the product of their extents: dims = how many). */
typedef struct tern__hook_axis {
    int dims;        /* logical dimensions this coordinate covers; 0 ends the list */
    int multiple_of; /* the coordinate is always a multiple of this when called with a vector (0 or 1: nothing known) */
} tern__hook_axis;

/* Defines in the kernel's text
 *     void STORE(T acc, uint c0, uint c1, ... , HOOK_ARGS)          (width 1)
 *     void STOREW(TW acc, uint c0, ... , HOOK_ARGS)                 (width W = 4, 8 or 16; coordinate `lane` names the first of W neighbours)
 * named NAME and NAME<W>, which finish the anchor's output v: epilogue ops, conversion, stores of every result the group keeps.
 * acc is in v's register type (float for f32/f16/bf16, else the dtype's own). widths: bit mask, e.g. 1|16.
 * An anchor of several outputs has a hook for each; a result of the group belongs to the hook of the output that it is computed from. */
void tern__kern_store(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, unsigned widths);

/* Defines void NAME<W>_AHEAD(uint c0, ..., HOOK_ARGS), which asks the memory for what NAME<W> will read there beside what all pixels of a channel share:
 * an anchor that asks before it computes finds a residual in cache. False, and nothing is defined: it reads no such thing. */
bool tern__kern_store_ahead(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, int width);

/* Defines T NAME(uint c0, ..., HOOK_ARGS) and NAME<W>: v's element(s) at the coordinates, in register type, computing whatever
 * the group has fused before v. The coordinates must be inside the shape. */
void tern__kern_load(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, unsigned widths);

/* OpenCL C name of a dtype in registers ("float", "int", "long") and in memory ("half" needs vload_half: use lib/io.clh). */
const char *tern__reg_type(tern_dtype t);
const char *tern__mem_type(tern_dtype t);

#endif
