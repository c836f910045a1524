/* A loaded ONNX model: its message, what it declares, and its weights as Tern's bytes. */
#ifndef TERN_ONNX_MODEL_H
#define TERN_ONNX_MODEL_H

#include <tern/onnx.h>

#include "onnx/proto.h"

/* A tensor message as bytes, kept because every trace asks for it again. */
typedef struct tern__onnx_weight {
    const Onnx__TensorProto *proto;
    tern__type type;
    tern__blob *data;
} tern__onnx_weight;

struct tern_onnx {
    tern__onnx_file *file;
    const Onnx__ModelProto *proto;
    const Onnx__ValueInfoProto **inputs; /* those without an initialiser */
    int n_inputs;
    tern_onnx_op *ops;
    int n_ops, cap_ops;
    int *op_at, *function_at;            /* open addressing by name; 0: free, i + 1: the i-th */
    int cap_op_at, cap_function_at;      /* powers of two, or 0 */
    int n_nodes;
    tern__onnx_weight *weights;          /* open addressing by the message's address */
    int n_weights, cap_weights;
};

/* Borrowed bytes of a tensor message of this model. */
tern_status tern__onnx_weight_of(tern_onnx *m, const Onnx__TensorProto *p, tern__type *type, tern__blob **data);
/* Is v what the model declares for its i-th input? */
tern_status tern__onnx_check_input(const tern_onnx *m, int i, const tern_onnx_value *v);
/* The version of a domain that a list of imports asks for; 1 if it is not in the list, and "" is "ai.onnx". */
int tern__onnx_opset(Onnx__OperatorSetIdProto *const *sets, size_t n, const char *domain);
/* The model's own function of this name, or NULL; its place among the functions, or -1. */
const Onnx__FunctionProto *tern__onnx_function(const tern_onnx *m, const char *domain, const char *name);
int tern__onnx_function_index(const tern_onnx *m, const char *domain, const char *name);
/* Nodes and bodies of one walk, with loops unrolled and functions in place of their calls. */
enum { TERN__ONNX_MAX_WALKED = 500000 };
/* Refuses functions that call themselves, or that make more of the graph than a walk goes through. */
tern_status tern__onnx_check_calls(const tern_onnx *m);
/* Every node calls fn, those of subgraphs after their owner. */
typedef tern_status (*tern__onnx_visit)(void *user, const Onnx__NodeProto *p);
tern_status tern__onnx_each_node(Onnx__NodeProto *const *nodes, size_t n, int depth, tern__onnx_visit fn, void *user);
/* "default domain" names are the empty text. */
const char *tern__onnx_domain(const char *domain);

#endif
