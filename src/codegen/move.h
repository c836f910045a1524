/* Index maps that ops' move hooks share. */
#ifndef TERN_CODEGEN_MOVE_H
#define TERN_CODEGEN_MOVE_H

#include "codegen/body.h"

/* Coordinates in `from` of the element that has coord in `to`: same elements, same row-major order. */
void tern__move_reshape(tern__body *b, const tern_shape *to, const tern__aff *coord, const tern_shape *from, tern__aff *out);

#endif
