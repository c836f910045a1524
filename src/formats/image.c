/* Pictures in files: PNG through libpng, JPEG through libjpeg, each where the library was built with it. */
#include <tern/image.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "tern_config.h"

#include <math.h>
#include <string.h>

#if TERN_HAVE_PNG
#include <png.h>
#endif
#if TERN_HAVE_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <jpeglib.h>
#include <jerror.h>
#endif

enum { MAX_PIXELS = 1 << 27 };

#if TERN_HAVE_PNG || TERN_HAVE_JPEG
/* Room for the picture, if it is one that can be meant. */
static tern_status new_picture(const char *path, uint64_t height, uint64_t width, tern_tensor **out)
{
    if (height == 0 || width == 0 || height > MAX_PIXELS || width > MAX_PIXELS || height * width > MAX_PIXELS)
        return tern__fail(TERN_E_UNSUPPORTED, "%s: a picture of %llu x %llu pixels; at most %d in all are read", path, (unsigned long long)width,
                          (unsigned long long)height, (int)MAX_PIXELS);
    return tern_tensor_create(TERN_U8, &(tern_shape){3, {(int64_t)height, (int64_t)width, 3}}, out);
}
#endif

/* --- PNG --- */

#if TERN_HAVE_PNG
static tern_status load_png(const char *path, const uint8_t *data, size_t size, tern_tensor **out)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    tern_tensor *t = NULL;
    tern_status st = TERN_OK;
    if (!png_image_begin_read_from_memory(&image, data, size))
        st = tern__fail(TERN_E_CORRUPT, "%s: not a sound PNG file: %s", path, image.message);
    /* Deflate packs 1032 to 1 at best (and a bit a pixel is 24 times less than what comes out): a file that claims more is not read. */
    if (st == TERN_OK && (uint64_t)image.width * image.height / 8 > (uint64_t)size * 1100)
        st = tern__fail(TERN_E_CORRUPT, "%s: %zu bytes cannot hold %u x %u pixels", path, size, image.width, image.height);
    if (st == TERN_OK)
        st = new_picture(path, image.height, image.width, &t);
    if (st == TERN_OK) {
        image.format = PNG_FORMAT_RGB;
        if (!png_image_finish_read(&image, &(png_color){0, 0, 0}, tern_tensor_data(t), 0, NULL))
            st = tern__fail(TERN_E_CORRUPT, "%s: not a sound PNG file: %s", path, image.message);
    }
    png_image_free(&image);
    if (st != TERN_OK)
        tern_tensor_destroy(t);
    else
        *out = t;
    return st;
}

static tern_status save_png(const char *path, const void *pixels, int64_t height, int64_t width, int channels)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)width, .height = (png_uint_32)height,
                       .format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    uint8_t *data = tern__alloc(size);
    tern_status st = data ? TERN_OK : tern__fail(TERN_E_NOMEM, "%s: no memory for %zu bytes", path, (size_t)size);
    if (st == TERN_OK && !png_image_write_to_memory(&image, data, &size, 0, pixels, 0, NULL))
        st = tern__fail(TERN_E_INVALID, "%s: the picture cannot be written: %s", path, image.message);
    tern__file_writer w;
    if (st == TERN_OK && (st = tern__file_writer_open(&w, path, 0644)) == TERN_OK) {
        tern__file_writer_put(&w, data, size);
        st = tern__file_writer_close(&w);
    }
    png_image_free(&image);
    tern__free(data);
    return st;
}
#else
static tern_status load_png(const char *path, const uint8_t *data, size_t size, tern_tensor **out)
{
    (void)data, (void)size, (void)out;
    return tern__fail(TERN_E_UNSUPPORTED, "%s: this Tern was built without libpng, so it reads no PNG files", path);
}

static tern_status save_png(const char *path, const void *pixels, int64_t height, int64_t width, int channels)
{
    (void)pixels, (void)height, (void)width, (void)channels;
    return tern__fail(TERN_E_UNSUPPORTED, "%s: this Tern was built without libpng, so it writes no PNG files", path);
}
#endif

/* --- JPEG --- */

#if TERN_HAVE_JPEG
/* libjpeg wants its errors to leave by a jump; its other words go nowhere. */
typedef struct jpeg_trouble {
    struct jpeg_error_mgr base;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX];
} jpeg_trouble;

static void jpeg_failed(j_common_ptr c)
{
    jpeg_trouble *e = (jpeg_trouble *)c->err;
    c->err->format_message(c, e->message);
    longjmp(e->back, 1);
}

/* libjpeg paints what is missing of a file grey and warns: here that is an error. */
static void jpeg_says(j_common_ptr c, int level)
{
    if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF)
        jpeg_failed(c);
}

/* Nothing that must be given back lives in this function, so a jump out of libjpeg leaves nothing behind. */
static tern_status read_jpeg(struct jpeg_decompress_struct *d, jpeg_trouble *e, const char *path, const uint8_t *data, size_t size, tern_tensor **t)
{
    if (setjmp(e->back))
        return tern__fail(TERN_E_CORRUPT, "%s: not a sound JPEG file: %s", path, e->message);
    jpeg_create_decompress(d);
    jpeg_mem_src(d, data, (unsigned long)size);
    jpeg_read_header(d, TRUE);
    d->out_color_space = JCS_RGB;
    tern_status st = new_picture(path, d->image_height, d->image_width, t);
    if (st != TERN_OK)
        return st;
    jpeg_start_decompress(d);
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = (JSAMPROW)tern_tensor_data(*t) + (size_t)d->output_scanline * d->output_width * 3;
        jpeg_read_scanlines(d, &row, 1);
    }
    jpeg_finish_decompress(d);
    return TERN_OK;
}

static tern_status load_jpeg(const char *path, const uint8_t *data, size_t size, tern_tensor **out)
{
    struct jpeg_decompress_struct d = {0};
    jpeg_trouble e;
    tern_tensor *t = NULL;
    d.err = jpeg_std_error(&e.base);
    e.base.error_exit = jpeg_failed;
    e.base.emit_message = jpeg_says;
    tern_status st = read_jpeg(&d, &e, path, data, size, &t);
    jpeg_destroy_decompress(&d);
    if (st != TERN_OK)
        tern_tensor_destroy(t);
    else
        *out = t;
    return st;
}
#else
static tern_status load_jpeg(const char *path, const uint8_t *data, size_t size, tern_tensor **out)
{
    (void)data, (void)size, (void)out;
    return tern__fail(TERN_E_UNSUPPORTED, "%s: this Tern was built without libjpeg, so it reads no JPEG files", path);
}
#endif

tern_status tern_image_load(const char *path, tern_tensor **out)
{
    if (!path || !out)
        return tern__fail(TERN_E_INVALID, "image: a path and a place for the picture are needed");
    uint8_t *data = NULL;
    size_t size = 0;
    tern_status st = tern__file_read(path, (size_t)1 << 30, &data, &size);
    if (st != TERN_OK)
        return st;
    if (size >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8))
        st = load_png(path, data, size, out);
    else if (size >= 3 && !memcmp(data, "\xff\xd8\xff", 3))
        st = load_jpeg(path, data, size, out);
    else
        st = tern__fail(TERN_E_UNSUPPORTED, "%s: neither a PNG nor a JPEG file", path);
    tern__free(data);
    return st;
}

tern_status tern_image_save(const tern_tensor *image, const char *path)
{
    if (!image || !path || !tern_tensor_data(image))
        return tern__fail(TERN_E_INVALID, "image: a host tensor and a path are needed");
    const tern_shape *s = tern_tensor_shape(image);
    int channels = s->rank == 3 ? (int)(s->dim[2] > 4 ? 4 : s->dim[2]) : 1;
    if (tern_tensor_dtype(image) != TERN_U8 || (s->rank != 2 && s->rank != 3) || (channels != 1 && channels != 3))
        return tern__fail(TERN_E_SHAPE, "%s: a picture is u8 [height, width] or [height, width, 1 or 3], not %s of rank %d", path,
                          tern_dtype_name(tern_tensor_dtype(image)), s->rank);
    if (s->dim[0] < 1 || s->dim[1] < 1 || s->dim[0] > MAX_PIXELS || s->dim[1] > MAX_PIXELS || s->dim[0] * s->dim[1] > MAX_PIXELS)
        return tern__fail(TERN_E_SHAPE, "%s: a picture of %lld x %lld pixels cannot be written", path, (long long)s->dim[1], (long long)s->dim[0]);
    return save_png(path, tern_tensor_data(image), s->dim[0], s->dim[1], channels);
}

/* --- Another size --- */

/* New pixel i is the sum of old ones first .. first + n by weight. */
typedef struct tap {
    int64_t first, n;
    float *weight;
} tap;

/* A triangle as wide as a new pixel or an old one, whichever is wider, at each new pixel's centre. */
static void make_tap(tap *t, int64_t i, int64_t from, int64_t to)
{
    double scale = (double)from / (double)to, reach = scale > 1 ? scale : 1, centre = ((double)i + 0.5) * scale - 0.5, sum = 0;
    int64_t first = (int64_t)ceil(centre - reach), last = (int64_t)floor(centre + reach);
    t->first = first < 0 ? 0 : first;
    t->n = (last > from - 1 ? from - 1 : last) - t->first + 1;
    for (int64_t k = 0; k < t->n; k++) {
        double w = 1 - fabs((double)(t->first + k) - centre) / reach;
        t->weight[k] = (float)(w > 0 ? w : 0);
        sum += w > 0 ? w : 0;
    }
    for (int64_t k = 0; k < t->n; k++)
        t->weight[k] = (float)(t->weight[k] / sum);
}

/* Along the middle axis of [rows, from, inner] to [rows, to, inner]. */
static tern_status resample(const float *x, float *y, int64_t rows, int64_t from, int64_t to, int64_t inner)
{
    tap t = {.weight = tern__alloc_array((size_t)(2 * (from / to + 2)) + 1, sizeof(float))};
    if (!t.weight)
        return tern__fail(TERN_E_NOMEM, "image: no memory to resize %lld pixels to %lld", (long long)from, (long long)to);
    for (int64_t i = 0; i < to; i++) {
        make_tap(&t, i, from, to);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < inner; c++) {
                const float *p = x + (r * from + t.first) * inner + c;
                float sum = 0;
                for (int64_t k = 0; k < t.n; k++)
                    sum += t.weight[k] * p[k * inner];
                y[(r * to + i) * inner + c] = sum;
            }
    }
    tern__free(t.weight);
    return TERN_OK;
}

/* Both directions; the floats between live here. */
static tern_status resize_into(const tern_tensor *image, int64_t height, int64_t width, uint8_t *to)
{
    const tern_shape *s = tern_tensor_shape(image);
    const uint8_t *from = tern_tensor_data(image);
    size_t n = tern_tensor_elems(image), n_wide = (size_t)(s->dim[0] * width * s->dim[2]), n_new = (size_t)(height * width * s->dim[2]);
    float *x = tern__alloc_array(n, sizeof *x), *wide = tern__alloc_array(n_wide, sizeof *wide), *y = tern__alloc_array(n_new, sizeof *y);
    tern_status st = x && wide && y ? TERN_OK : tern__fail(TERN_E_NOMEM, "image: no memory to resize to %lld x %lld", (long long)width, (long long)height);
    for (size_t i = 0; i < n && st == TERN_OK; i++)
        x[i] = from[i];
    if (st == TERN_OK)
        st = resample(x, wide, s->dim[0], s->dim[1], width, s->dim[2]);
    if (st == TERN_OK)
        st = resample(wide, y, 1, s->dim[0], height, width * s->dim[2]);
    for (size_t i = 0; i < n_new && st == TERN_OK; i++)
        to[i] = (uint8_t)(y[i] + 0.5f);
    tern__free(x);
    tern__free(wide);
    tern__free(y);
    return st;
}

tern_status tern_image_resize(const tern_tensor *image, int64_t height, int64_t width, tern_tensor **out)
{
    if (!image || !out || !tern_tensor_data(image))
        return tern__fail(TERN_E_INVALID, "image: a host tensor and a place for the result are needed");
    const tern_shape *s = tern_tensor_shape(image);
    if (tern_tensor_dtype(image) != TERN_U8 || s->rank != 3 || tern_tensor_elems(image) == 0)
        return tern__fail(TERN_E_SHAPE, "image: only u8 [height, width, channels] is resized, not %s of rank %d", tern_dtype_name(tern_tensor_dtype(image)), s->rank);
    if (height < 1 || width < 1 || height > MAX_PIXELS || width > MAX_PIXELS || height * width > MAX_PIXELS || s->dim[2] > 16 ||
        s->dim[0] > MAX_PIXELS / width)
        return tern__fail(TERN_E_SHAPE, "image: %lld x %lld pixels cannot become %lld x %lld", (long long)s->dim[1], (long long)s->dim[0], (long long)width,
                          (long long)height);
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_create(TERN_U8, &(tern_shape){3, {height, width, s->dim[2]}}, &t);
    if (st == TERN_OK && (st = resize_into(image, height, width, tern_tensor_data(t))) != TERN_OK)
        tern_tensor_destroy(t);
    if (st == TERN_OK)
        *out = t;
    return st;
}
