/* Pictures: PNG and JPEG files as tensors, and tensors as PNG files. */
#ifndef TERN_IMAGE_H
#define TERN_IMAGE_H

#include <tern/base.h>
#include <tern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A PNG or JPEG file, told apart by its first bytes, as u8 [height, width, 3]: red, green, blue. Grey is repeated, what is transparent lies on
 * black, 16 bits become 8, orientation tags are not looked at. TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT, TERN_E_NOMEM; TERN_E_UNSUPPORTED
 * for another format, more than 2^27 pixels, or a library built without libpng or libjpeg. */
TERN_API tern_status tern_image_load(const char *path, tern_tensor **out) TERN_MUST_CHECK;

/* Writes u8 [height, width, 3], or grey as [height, width] or [height, width, 1], as a PNG file: whole or not at all. */
TERN_API tern_status tern_image_save(const tern_tensor *image, const char *path) TERN_MUST_CHECK;

/* u8 [h, w, C] at another size: bilinear between pixel centres where it grows, averaged over what a new pixel covers where it shrinks. */
TERN_API tern_status tern_image_resize(const tern_tensor *image, int64_t height, int64_t width, tern_tensor **out) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
