/* Slots of cumsum's attributes, for its reference and its kernel. */
#ifndef TERN_OPS_SCAN_H
#define TERN_OPS_SCAN_H

#include "ops/common.h"

enum { TERN__SCAN_AXIS, TERN__SCAN_EXCLUSIVE, TERN__SCAN_REVERSE };

#endif
