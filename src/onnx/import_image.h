/* What the handlers of image operators share among their files. */
#ifndef TERN_ONNX_IMPORT_IMAGE_H
#define TERN_ONNX_IMPORT_IMAGE_H

#include "onnx/import_nn.h"

/* import_resize.c */
tern_status tern__onnx_resize(tern__onnx_node *n);
tern_status tern__onnx_upsample(tern__onnx_node *n);

/* import_sample.c: x [N, C, spatial...] read at positions between its elements. coord[d] [N, points...] are positions along spatial axis d,
 * all of one shape, in the wide type of x; the result is [N, C, points...] in that type. */
enum { TERN__SAMPLE_NEAREST, TERN__SAMPLE_LINEAR, TERN__SAMPLE_CUBIC };
enum { TERN__OUTSIDE_ZEROS, TERN__OUTSIDE_BORDER, TERN__OUTSIDE_REFLECT };
typedef struct tern__onnx_sampler {
    int mode, outside;
    bool corners;   /* REFLECT: at the middles of the outermost elements, else at their outer edges */
} tern__onnx_sampler;
tern_value tern__onnx_sample(tern_graph *g, const tern__onnx_sampler *s, tern_value x, const tern_value *coord);
tern_status tern__onnx_grid_sample(tern__onnx_node *n);
tern_status tern__onnx_affine_grid(tern__onnx_node *n);

/* import_roi.c */
tern_status tern__onnx_roi_align(tern__onnx_node *n);
tern_status tern__onnx_max_roi_pool(tern__onnx_node *n);
tern_status tern__onnx_deform_conv(tern__onnx_node *n);

#endif
