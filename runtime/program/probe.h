/* What a device's instructions can do beyond OpenCL, found out by compiling, running and comparing. The first question of a kind does that, and the device
 * remembers the answer; where the compiler refuses, a run fails or a result is off, it is no. */
#ifndef TERN_PROGRAM_PROBE_H
#define TERN_PROGRAM_PROBE_H

#include "device/device.h"

/* CPU: may kernels use the instruction vpdpbusd on vectors of 16: u8 times i8 added up in i32, four products to a lane (kernels/probe_dot8.cl)?
 * SIMT: may they set DOT8_INSTRUCTIONS for kernels/lib/dot8.clh (kernels/probe_dot8_simt.cl)? */
bool tern__device_dot8(tern_device *d);

/* May kernels of the SIMT family set MATRIX_INSTRUCTIONS for kernels/lib/matrix.clh: products of whole tiles of f16, summed in f32
 * (kernels/probe_matrix.cl)? */
bool tern__device_matrix(tern_device *d);

#endif
