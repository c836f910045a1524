/* Conversions between f32 and the 16-bit storage types, round to nearest even. */
#ifndef TERN_BASE_HALF_H
#define TERN_BASE_HALF_H

#include <stdint.h>

float tern__f16_to_f32(uint16_t h);
uint16_t tern__f32_to_f16(float f);
float tern__bf16_to_f32(uint16_t h);
uint16_t tern__f32_to_bf16(float f);

#endif
