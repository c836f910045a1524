/* The table of image operators. */
#include "onnx/import_image.h"

const tern__onnx_map tern__onnx_map_image[] = {
    {"", "Resize", 10, tern__onnx_resize},
    {"", "Upsample", 1, tern__onnx_upsample},
    {"", "GridSample", 16, tern__onnx_grid_sample},
    {"com.microsoft", "GridSample", 1, tern__onnx_grid_sample},
    {"", "AffineGrid", 20, tern__onnx_affine_grid},
    {"", "RoiAlign", 10, tern__onnx_roi_align},
    {"", "MaxRoiPool", 1, tern__onnx_max_roi_pool},
    {"", "DeformConv", 19, tern__onnx_deform_conv},
    {0},
};
