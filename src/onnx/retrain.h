/* What makes an inference model trainable. */
#ifndef TERN_ONNX_RETRAIN_H
#define TERN_ONNX_RETRAIN_H

#include "onnx/trace.h"

/* Batch normalisation uses the batch's statistics, dropout drops. */
bool tern__onnx_trains(const tern__onnx_trace *t);
/* The batch that the graph is made for instead of the model's; 0: the model's. */
int64_t tern__onnx_batch(const tern__onnx_trace *t);
/* Which of the scope's initialisers become variables, and which of these learn. */
void tern__onnx_mark_variables(tern__onnx_trace *t, const tern__onnx_scope *s, const Onnx__GraphProto *g);
/* A Constant node of the main graph: as an initialiser would, it becomes known data and a variable. *done: it did. */
tern_status tern__onnx_constant_weight(tern__onnx_node *n, bool *done);
/* TERN_E_NOT_FOUND if a pattern of weights to freeze fits no variable of the graph. */
tern_status tern__onnx_check_freeze(const tern__onnx_trace *t);
/* Makes the weights of a head for as many classes as the parameters say. */
tern_status tern__onnx_new_head(tern__onnx_trace *t);
/* What stands in for an initialiser, or NULL. */
const tern__onnx_override *tern__onnx_override_of(const tern__onnx_trace *t, const Onnx__TensorProto *p);
void tern__onnx_overrides_finish(tern__onnx_trace *t);
/* The operand of the softmax that v is, or v; without trailing axes of one element. */
tern_value tern__onnx_scores(tern_graph *g, tern_value v);

#endif
