/* The null device: plans are made and "run" on it without any OpenCL. */
#ifndef TERN_DEVICE_NULL_NULL_H
#define TERN_DEVICE_NULL_NULL_H

#include "device/device.h"

/* select is "null", "null:cpu" or "null:gpu". */
tern_status tern__null_open(tern_device *d, const char *select, bool profile);

#endif
