/* Finds faces on a photograph with an ONNX detector and draws boxes around them.
 * usage: detect MODEL.onnx PHOTO.png|jpg OUT.png
 * The model takes one picture [1, 3, H, W] of (pixel - 127) / 128 and gives "scores" [1, N, 2] (nothing, face) and "boxes" [1, N, 4] (left, top,
 * right, bottom as shares of the picture) for N overlapping places it looked at, as the UltraFace family of detectors does.
 * Shows: tern_onnx_load, tern_onnx_session_run, tern_image_load and what is left to do after a detector: non-maximum suppression. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tern/image.h>
#include <tern/onnx.h>

enum { MAX_FACES = 200 };
static const float MIN_SCORE = 0.7f, MAX_OVERLAP = 0.3f;

typedef struct face {
    float score, left, top, right, bottom;
} face;

static void must(tern_status st)
{
    if (st != TERN_OK) {
        fprintf(stderr, "detect: %s\n", tern_last_error());
        exit(1);
    }
}

static void refuse(const char *sentence)
{
    fprintf(stderr, "detect: %s\n", sentence);
    exit(1);
}

/* The photograph as the model wants it: resized, channels first, around zero. */
static tern_tensor *prepare(const tern_onnx *m, const tern_tensor *photo)
{
    tern_onnx_port port;
    if (tern_onnx_n_inputs(m) != 1)
        refuse("the model must have one input, a picture");
    must(tern_onnx_input(m, 0, &port));
    if (port.rank != 4 || port.dim[1] != 3 || port.dim[2] < 1 || port.dim[3] < 1 || !port.typed || port.dtype != TERN_F32)
        refuse("the model's input must be f32 [1, 3, height, width]");
    tern_tensor *small = NULL, *x = NULL;
    must(tern_image_resize(photo, port.dim[2], port.dim[3], &small));
    must(tern_tensor_create(TERN_F32, &(tern_shape){4, {1, 3, port.dim[2], port.dim[3]}}, &x));
    const unsigned char *from = tern_tensor_data(small);
    float *to = tern_tensor_data(x);
    size_t n = (size_t)(port.dim[2] * port.dim[3]);
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            to[c * n + i] = ((float)from[3 * i + c] - 127) / 128;
    tern_tensor_destroy(small);
    return x;
}

/* The output of this name, which must be f32 [1, rows, columns]. */
static const float *output(const tern_onnx *m, const tern_onnx_value *out, const char *name, int64_t columns, int64_t *rows)
{
    for (int i = 0; i < tern_onnx_n_outputs(m); i++) {
        tern_onnx_port port;
        must(tern_onnx_output(m, i, &port));
        if (strcmp(port.name, name) || out[i].kind != TERN_ONNX_TENSOR)
            continue;
        const tern_shape *s = tern_tensor_shape(out[i].tensor);
        if (tern_tensor_dtype(out[i].tensor) == TERN_F32 && s->rank == 3 && s->dim[0] == 1 && s->dim[2] == columns && (!*rows || *rows == s->dim[1])) {
            *rows = s->dim[1];
            return tern_tensor_data(out[i].tensor);
        }
    }
    refuse("the model must give scores [1, N, 2] and boxes [1, N, 4]");
    return NULL;
}

static int by_score(const void *a, const void *b)
{
    float x = ((const face *)a)->score, y = ((const face *)b)->score;
    return (x < y) - (x > y);
}

static float area(float left, float top, float right, float bottom)
{
    return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
}

/* What two boxes share, as a part of what they cover together. */
static float overlap(const face *a, const face *b)
{
    float both = area(a->left > b->left ? a->left : b->left, a->top > b->top ? a->top : b->top, a->right < b->right ? a->right : b->right,
                      a->bottom < b->bottom ? a->bottom : b->bottom);
    float all = area(a->left, a->top, a->right, a->bottom) + area(b->left, b->top, b->right, b->bottom) - both;
    return all > 0 ? both / all : 0;
}

/* Non-maximum suppression: from the surest box down, each is kept unless it overlaps one that is kept already. */
static int suppress(face *f, int n)
{
    int kept = 0;
    qsort(f, (size_t)n, sizeof *f, by_score);
    for (int i = 0; i < n && kept < MAX_FACES; i++) {
        bool free_of_others = true;
        for (int k = 0; k < kept && free_of_others; k++)
            free_of_others = overlap(&f[i], &f[k]) <= MAX_OVERLAP;
        if (free_of_others)
            f[kept++] = f[i];
    }
    return kept;
}

/* All places with a good score, then those that survive. *faces is for free(). */
static int find_faces(const tern_onnx *m, const tern_onnx_value *out, face **faces)
{
    int64_t rows = 0;
    int n = 0;
    const float *score = output(m, out, "scores", 2, &rows), *box = output(m, out, "boxes", 4, &rows);
    *faces = calloc((size_t)rows + 1, sizeof **faces);
    if (!*faces)
        refuse("out of memory");
    for (int64_t i = 0; i < rows; i++)
        if (score[2 * i + 1] >= MIN_SCORE)
            (*faces)[n++] = (face){score[2 * i + 1], box[4 * i], box[4 * i + 1], box[4 * i + 2], box[4 * i + 3]};
    return suppress(*faces, n);
}

/* A share of an extent as a pixel inside it. */
static int64_t pixel(float share, int64_t extent)
{
    float at = share * (float)extent;
    return at >= (float)(extent - 1) ? extent - 1 : at > 0 ? (int64_t)at : 0;
}

static void fill(tern_tensor *photo, int64_t top, int64_t left, int64_t bottom, int64_t right)
{
    static const unsigned char green[3] = {40, 230, 60};
    const tern_shape *s = tern_tensor_shape(photo);
    unsigned char *p = tern_tensor_data(photo);
    for (int64_t y = top < 0 ? 0 : top; y <= bottom && y < s->dim[0]; y++)
        for (int64_t x = left < 0 ? 0 : left; x <= right && x < s->dim[1]; x++)
            memcpy(p + (y * s->dim[1] + x) * 3, green, 3);
}

static void draw(tern_tensor *photo, const face *f)
{
    const tern_shape *s = tern_tensor_shape(photo);
    int64_t left = pixel(f->left, s->dim[1]), right = pixel(f->right, s->dim[1]), top = pixel(f->top, s->dim[0]), bottom = pixel(f->bottom, s->dim[0]);
    int64_t w = 1 + (s->dim[0] + s->dim[1]) / 600; /* visible on large pictures too */
    fill(photo, top - w, left - w, top, right + w);
    fill(photo, bottom, left - w, bottom + w, right + w);
    fill(photo, top, left - w, bottom, left);
    fill(photo, top, right, bottom, right + w);
    printf("face at %lld,%lld to %lld,%lld, score %.3f\n", (long long)left, (long long)top, (long long)right, (long long)bottom, (double)f->score);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL.onnx PHOTO.png|jpg OUT.png\n", argv[0]);
        return 2;
    }
    tern_tensor *photo = NULL;
    tern_onnx *model = NULL;
    tern_device *device = NULL;
    tern_onnx_session *session = NULL;
    must(tern_image_load(argv[2], &photo));
    must(tern_onnx_load(argv[1], &model));
    must(tern_device_open(NULL, &device));
    must(tern_onnx_session_create(device, model, NULL, &session));

    tern_onnx_value in = {.kind = TERN_ONNX_TENSOR, .tensor = prepare(model, photo)};
    int n_out = tern_onnx_n_outputs(model);
    tern_onnx_value *out = calloc((size_t)n_out + 1, sizeof *out);
    if (!out)
        refuse("out of memory");
    must(tern_onnx_session_run(session, &in, out));

    face *faces = NULL;
    int n = find_faces(model, out, &faces);
    for (int i = 0; i < n; i++)
        draw(photo, &faces[i]);
    must(tern_image_save(photo, argv[3]));
    printf("%d %s, %s\n", n, n == 1 ? "face" : "faces", argv[3]);

    free(faces);
    for (int i = 0; i < n_out; i++)
        tern_onnx_value_clear(&out[i]);
    free(out);
    tern_tensor_destroy(in.tensor);
    tern_onnx_session_destroy(session);
    tern_onnx_destroy(model);
    tern_device_close(device);
    tern_tensor_destroy(photo);
    return 0;
}
