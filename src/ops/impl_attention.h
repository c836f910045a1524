/* What both kernels of attention are told: the mask's coordinates, sizes, numbers. */
#ifndef TERN_OPS_IMPL_ATTENTION_H
#define TERN_OPS_IMPL_ATTENTION_H

#include "ops/attention.h"
#include "ops/impl_cpu.h"

enum { TERN__ATT_INDEX_TEXT = 64 };

/* The node's sizes and attributes, of operands in memory. */
void tern__attention_of(const tern__lower *l, const tern__node *n, tern__attention *a);
/* Operand i of q, k, v: an axis for each dimension; neighbours along d in vectors of widths. */
void tern__attention_load(tern__kern *k, const char *name, tern_value v, int multiple, unsigned widths);
/* A number for each query, [batch, heads, sq]. */
void tern__attention_load_row(tern__kern *k, const char *name, tern_value v);
/* MASK, MASK_INDEX, MASK_WIDE, BELOW and LOAD_MASK, where there is a mask, operand `mask`; `multiple`: what j is a multiple of for a vector. */
void tern__attention_mask(tern__kern *k, const tern__lower *l, const tern__node *n, int mask, int multiple, unsigned widths);
/* Everything about scores and the result that is not a size of tiles. */
void tern__attention_define(tern__kern *k, const tern__attention *a);
/* STORE and STORE_INDEX; HAS_LSE and STORE_LSE, by (b, h, i). */
void tern__attention_store(tern__kern *k, tern__lower *l, const tern__attention *a, const tern__node *n, int multiple, unsigned widths);
/* The launch behind one that went through the keys in parts (attention_combine.cl); where they left their sums, and how large that is. */
tern_status tern__attention_combine(tern__lower *l, const tern__attention *a, const tern__node *n, int64_t parts, int partial);
size_t tern__attention_partial_bytes(const tern__attention *a, int64_t parts);
/* A result of four dimensions, as tern__attention_load. */
void tern__attention_store_heads(tern__kern *k, const char *name, tern_value v, int multiple, unsigned widths);
/* A number as OpenCL C spells it. */
void tern__attention_number(tern__kern *k, const char *name, double x);
/* A kernel that cuts k or v (of d elements a head) into panels of nr keys, or of nr elements, for vectors of width (attention_pack_cpu.cl). */
tern_status tern__attention_pack(tern__lower *l, const tern__attention *a, tern_value v, int64_t d, bool keys, int width, int nr, int *slot);

#endif
