/* One kernel for launches that differ only in where they read and write, in sizes, and in numbers that they compute with. */
#ifndef TERN_COMPILE_SHARE_H
#define TERN_COMPILE_SHARE_H

#include "codegen/marks.h"
#include "compile/compile.h"

/* Sets shared_with and the offsets of the kernels that another one of the same text stands for. After lowering, before printing. */
tern_status tern__share_kernels(tern__compile *c);
/* Appends text with the marks resolved for kernel k. *mark counts the numbers met: 0 at the start of a template's defines or a fused kernel's code. */
/* item: parameters end with an item's place. */
void tern__kern_render(const tern__kern *k, const char *text, bool item, int *mark, tern__str *out);

#endif
