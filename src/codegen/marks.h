/* Marks in generated text for what kernels may differ in and still be one; compile/share.c replaces them. */
#ifndef TERN_CODEGEN_MARKS_H
#define TERN_CODEGEN_MARKS_H

#define TERN__MARK_ADDED "\x01"  /* before, in decimal, what an address adds to its other terms, 0 too; TERN__MARK_END after it */
#define TERN__MARK_ALONE "\x02"  /* the same for an address without other terms */
#define TERN__MARK_SIZE "\x06"   /* the same for a factor in an address, or a size that a template reads */
#define TERN__MARK_FLOAT "\x07" /* the same for the bits of a float that is computed with */
#define TERN__MARK_INT "\x08"   /* the same for an int that is computed with */
#define TERN__MARK_END "\x03"
#define TERN__MARK_NAME "\x04"   /* the kernel's name */
#define TERN__MARK_PARAMS "\x05" /* the end of a fused kernel's parameters */

#endif
