/* Data sets of labelled images, and minibatches in a reproducible order. */
#ifndef TERN_DATA_H
#define TERN_DATA_H

#include <tern/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All images in memory: u8 [n, channels, height, width] and u8 labels [n]. Owned by tern_dataset_close(). */
typedef struct tern_dataset {
    int64_t n, channels, height, width, n_classes;
    uint8_t *images, *labels;
    const char *const *class_names; /* n_classes names */
    float mean[3], std[3];          /* per channel, for tern_dataset_batch; 0 and 1 unless the caller sets others */
} tern_dataset;

typedef enum tern_split { TERN_TRAIN, TERN_TEST } tern_split;

/* spec is NAME or NAME:DIR; names are "fashion-mnist" and "mnist" (IDX files, gzip or not). Without DIR the usual
 * places are tried. TERN_E_NOT_FOUND says where it looked and which package provides the files; TERN_E_CORRUPT. */
TERN_API tern_status tern_dataset_open(const char *spec, tern_split split, tern_dataset **out) TERN_MUST_CHECK;
/* A folder of class-named folders of PNG and JPEG images, at most 256 classes, in alphabetical order. Where dir has the folders `train` and `test`
 * (or `val`) these are the splits; else every fifth file of each class, by name, is kept for the test. Images are resized to height x width;
 * channels is 3, or 1 for grey. TERN_E_NOT_FOUND, TERN_E_CORRUPT for a file that is no image (with its name), TERN_E_UNSUPPORTED. */
TERN_API tern_status tern_dataset_folder(const char *dir, tern_split split, int64_t channels, int64_t height, int64_t width,
                                         tern_dataset **out) TERN_MUST_CHECK;
TERN_API void tern_dataset_close(tern_dataset *d); /* NULL is fine */

/* A permutation of 0..n-1 drawn by Philox from seed and epoch, into order[n]. */
TERN_API void tern_shuffle(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order);
/* Copies images order[0..batch) as f32, (pixel / 255 - mean) / std, into x and labels as i32 into y. */
TERN_API void tern_dataset_batch(const tern_dataset *d, const int64_t *order, int64_t batch, float *x, int32_t *y);

#ifdef __cplusplus
}
#endif
#endif
