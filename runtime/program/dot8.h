/* The processor's dot product of bytes: u8 times i8 added up in i32, four products to a lane. */
#ifndef TERN_PROGRAM_DOT8_H
#define TERN_PROGRAM_DOT8_H

#include "device/device.h"

/* May kernels for this device use the instruction vpdpbusd on vectors of 16? The first call compiles and runs kernels/probe_dot8.cl and compares; the
 * device remembers the answer. */
bool tern__device_dot8(tern_device *d);

#endif
