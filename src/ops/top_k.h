/* Slots of top_k's attributes, for its reference and its kernels. */
#ifndef TERN_OPS_TOP_K_H
#define TERN_OPS_TOP_K_H

#include "ops/common.h"

enum { TERN__TOP_K, TERN__TOP_AXIS, TERN__TOP_LARGEST };

#endif
