/* Graphs: values and the operations that make them; building, checking, printing, differentiating. */
#ifndef TERN_GRAPH_H
#define TERN_GRAPH_H

#include <tern/base.h>
#include <tern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_graph tern_graph;

/* A value is its index in its graph. Functions that add values give TERN_NONE after the
 * first error and do nothing from then on: build a whole network, then ask tern_graph_check() once. */
typedef int32_t tern_value;
#define TERN_NONE (-1)

/* Attributes: a list that ends with {0}. The macros make one entry each.
 *   tern_graph_add(g, "conv", in, 3, TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INT("group", 1))); */
typedef enum tern_attr_type { TERN_ATTR_NONE, TERN_ATTR_INT, TERN_ATTR_FLOAT, TERN_ATTR_STRING, TERN_ATTR_INTS } tern_attr_type;
typedef struct tern_attr {
    const char *name;
    tern_attr_type type;
    int64_t i;
    double f;
    const char *s;
    const int64_t *ints;
    int n_ints;
} tern_attr;
#define TERN_INT(nm, v) {.name = (nm), .type = TERN_ATTR_INT, .i = (v)}
#define TERN_FLOAT(nm, v) {.name = (nm), .type = TERN_ATTR_FLOAT, .f = (v)}
#define TERN_STRING(nm, v) {.name = (nm), .type = TERN_ATTR_STRING, .s = (v)}
#define TERN_INTS(nm, v, n) {.name = (nm), .type = TERN_ATTR_INTS, .ints = (v), .n_ints = (n)}
#define TERN_ATTRS(...) ((const tern_attr[]){__VA_ARGS__, {0}})

TERN_API tern_status tern_graph_create(tern_graph **out) TERN_MUST_CHECK;
TERN_API tern_status tern_graph_clone(const tern_graph *g, tern_graph **out) TERN_MUST_CHECK;
TERN_API void tern_graph_destroy(tern_graph *g); /* NULL is fine */

/* An input that each run provides. A session may bind other extents to the axes whose bit is set in
 * free_axes (bit 0 is the outermost); shape holds the extent to build with. */
TERN_API tern_value tern_graph_input(tern_graph *g, const char *name, tern_dtype dtype, const tern_shape *shape, unsigned free_axes);
/* A constant; the graph copies the tensor's data. */
TERN_API tern_value tern_graph_constant(tern_graph *g, const tern_tensor *data);
/* A rank-0 constant of the given type. */
TERN_API tern_value tern_graph_scalar(tern_graph *g, tern_dtype dtype, double x);
/* A variable: state that lives on the device from run to run, known by its name, with a first value.
 * Only a trainable one gets a gradient in tern_graph_minimize(). */
TERN_API tern_value tern_graph_variable(tern_graph *g, const char *name, const tern_tensor *initial, bool trainable);

/* Applies an op, by its name, to n_in values; optional inputs are TERN_NONE or left off. Returns its
 * first output. tern_graph_add_n gives all outputs into outs[0..n_out). attrs may be NULL. */
TERN_API tern_value tern_graph_add(tern_graph *g, const char *op, const tern_value *in, int n_in, const tern_attr *attrs);
TERN_API void tern_graph_add_n(tern_graph *g, const char *op, const tern_value *in, int n_in, const tern_attr *attrs,
                               tern_value *outs, int n_out);
/* Short forms for one, two and three inputs. */
TERN_API tern_value tern_graph_op1(tern_graph *g, const char *op, tern_value a, const tern_attr *attrs);
TERN_API tern_value tern_graph_op2(tern_graph *g, const char *op, tern_value a, tern_value b, const tern_attr *attrs);
TERN_API tern_value tern_graph_op3(tern_graph *g, const char *op, tern_value a, tern_value b, tern_value c, const tern_attr *attrs);

/* Names a result. Order of the calls is the order of a session's outputs. */
TERN_API void tern_graph_output(tern_graph *g, const char *name, tern_value v);
/* After each run the variable takes this value (same dtype and shape). Every op of the run sees the old one. */
TERN_API void tern_graph_assign(tern_graph *g, tern_value variable, tern_value v);

/* TERN_OK, or the first error since the graph was made (its sentence again in tern_last_error()). */
TERN_API tern_status tern_graph_check(const tern_graph *g) TERN_MUST_CHECK;

/* What a value is. shape and dtype of TERN_NONE: TERN_E_INVALID. */
TERN_API tern_status tern_graph_value_info(const tern_graph *g, tern_value v, tern_dtype *dtype, tern_shape *shape) TERN_MUST_CHECK;
TERN_API int tern_graph_n_inputs(const tern_graph *g);
TERN_API int tern_graph_n_outputs(const tern_graph *g);
TERN_API int tern_graph_n_variables(const tern_graph *g);
TERN_API const char *tern_graph_input_name(const tern_graph *g, int i);
TERN_API const char *tern_graph_output_name(const tern_graph *g, int i);
TERN_API const char *tern_graph_variable_name(const tern_graph *g, int i);
TERN_API tern_value tern_graph_input_value(const tern_graph *g, int i);
TERN_API tern_value tern_graph_output_value(const tern_graph *g, int i);
TERN_API tern_value tern_graph_variable_value(const tern_graph *g, int i);
/* The value with this name (input, variable or output); TERN_E_NOT_FOUND lists near ones. */
TERN_API tern_status tern_graph_find(const tern_graph *g, const char *name, tern_value *out) TERN_MUST_CHECK;

/* Multiply-adds of one run: matrix products and convolutions, as the graph stands. */
TERN_API int64_t tern_graph_macs(const tern_graph *g);

/* Writes the graph as text, one node a line, or as Graphviz "dot". *out is for tern_text_free(). */
TERN_API tern_status tern_graph_print(const tern_graph *g, char **out) TERN_MUST_CHECK;
TERN_API tern_status tern_graph_dot(const tern_graph *g, char **out) TERN_MUST_CHECK;
TERN_API void tern_text_free(char *text);

/* Adds d loss / d wrt[i] for a one-element floating-point loss: reverse mode, new nodes in the same graph.
 * TERN_E_UNSUPPORTED names an op on the way that has no gradient; a wrt that no gradient of the loss reaches is TERN_E_INVALID;
 * TERN_E_SHAPE for a loss that is not one number, TERN_E_DTYPE for a wrt that is not floating point. grads is set only on success. */
TERN_API tern_status tern_graph_gradients(tern_graph *g, tern_value loss, const tern_value *wrt, int n, tern_value *grads) TERN_MUST_CHECK;

/* One update rule for all trainable variables: gradients, the op of that name ("sgd", "momentum", "adam"),
 * its moments as variables NAME/m and NAME/v, a step counter "train/step" and the learning rate as the
 * variable "train/lr", and the assignments. Trainable variables that the loss does not depend on are left alone;
 * TERN_E_INVALID if there is none that it does, TERN_E_NOT_FOUND for another name of an optimizer. weight_decay is decoupled from the
 * gradient for adam and added to it (L2) for the others. Zero fields take the usual defaults (lr 0.01, or 0.001 for adam;
 * momentum 0.9; beta1 0.9, beta2 0.999, eps 1e-8). */
typedef struct tern_optimizer {
    const char *name;
    double lr, momentum, beta1, beta2, eps, weight_decay;
} tern_optimizer;
TERN_API tern_status tern_graph_minimize(tern_graph *g, tern_value loss, const tern_optimizer *opt) TERN_MUST_CHECK;

/* Names of all ops, in alphabetical order; *n of them. Owned by the library. */
TERN_API const char *const *tern_op_names(int *n);

#ifdef __cplusplus
}
#endif
#endif
