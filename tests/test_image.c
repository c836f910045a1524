/* Pictures: what is written comes back, what is damaged is a clear error, resizing weighs pixels as it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "tern_config.h"
#include <tern/image.h>

static char folder[] = "/tmp/tern-image-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static tern_tensor *picture(int64_t h, int64_t w, int64_t c)
{
    tern_tensor *t = NULL;
    assert_int_equal(tern_tensor_create(TERN_U8, &(tern_shape){3, {h, w, c}}, &t), TERN_OK);
    uint8_t *p = tern_tensor_data(t);
    for (size_t i = 0; i < tern_tensor_elems(t); i++)
        p[i] = (uint8_t)(i * 37 + i / 7);
    return t;
}

static void assert_shape(const tern_tensor *t, int64_t h, int64_t w, int64_t c)
{
    const tern_shape *s = tern_tensor_shape(t);
    assert_int_equal(tern_tensor_dtype(t), TERN_U8);
    assert_int_equal(s->rank, 3);
    assert_int_equal(s->dim[0], h);
    assert_int_equal(s->dim[1], w);
    assert_int_equal(s->dim[2], c);
}

/* 16 x 8 pixels of grey, 40 in the left half and 200 in the right one. */
static const uint8_t jpeg[] = {
    0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 0x4a, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00, 0xff, 0xdb, 0x00, 0x43,
    0x00, 0x03, 0x02, 0x02, 0x03, 0x02, 0x02, 0x03, 0x03, 0x03, 0x03, 0x04, 0x03, 0x03, 0x04, 0x05, 0x08, 0x05, 0x05, 0x04, 0x04, 0x05, 0x0a, 0x07,
    0x07, 0x06, 0x08, 0x0c, 0x0a, 0x0c, 0x0c, 0x0b, 0x0a, 0x0b, 0x0b, 0x0d, 0x0e, 0x12, 0x10, 0x0d, 0x0e, 0x11, 0x0e, 0x0b, 0x0b, 0x10, 0x16, 0x10,
    0x11, 0x13, 0x14, 0x15, 0x15, 0x15, 0x0c, 0x0f, 0x17, 0x18, 0x16, 0x14, 0x18, 0x12, 0x14, 0x15, 0x14, 0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x08,
    0x00, 0x10, 0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x15, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x08, 0x09, 0xff, 0xc4, 0x00, 0x14, 0x10, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00, 0x0a, 0x2d, 0x5b, 0xff, 0xd9,
};

#if TERN_HAVE_PNG
static void png_round_trip(void **state)
{
    (void)state;
    const int64_t sizes[][2] = {{1, 1}, {3, 5}, {64, 33}};
    for (size_t i = 0; i < 3; i++) {
        tern_tensor *t = picture(sizes[i][0], sizes[i][1], 3), *back = NULL;
        assert_int_equal(tern_image_save(t, path_of("t.png")), TERN_OK);
        assert_int_equal(tern_image_load(path_of("t.png"), &back), TERN_OK);
        assert_shape(back, sizes[i][0], sizes[i][1], 3);
        assert_memory_equal(tern_tensor_data(t), tern_tensor_data(back), tern_tensor_size_bytes(t));
        tern_tensor_destroy(t);
        tern_tensor_destroy(back);
    }
}

static void grey_comes_back_as_colour(void **state)
{
    (void)state;
    tern_tensor *t = picture(4, 6, 1), *back = NULL;
    assert_int_equal(tern_image_save(t, path_of("grey.png")), TERN_OK);
    assert_int_equal(tern_image_load(path_of("grey.png"), &back), TERN_OK);
    assert_shape(back, 4, 6, 3);
    const uint8_t *a = tern_tensor_data(t), *b = tern_tensor_data(back);
    for (size_t i = 0; i < 72; i++)
        assert_int_equal(b[i], a[i / 3]);
    tern_tensor_destroy(t);
    tern_tensor_destroy(back);
}

/* Every prefix of a file is refused, and no flipped byte does harm. */
static void damaged_png(void **state)
{
    (void)state;
    tern_tensor *t = picture(9, 7, 3), *back = NULL;
    uint8_t data[1024];
    assert_int_equal(tern_image_save(t, path_of("t.png")), TERN_OK);
    FILE *f = fopen(path_of("t.png"), "rb");
    assert_non_null(f);
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    assert_in_range(n, 60, sizeof data - 1);
    for (size_t cut = 0; cut + 12 < n; cut++) { /* without the last chunk's 12 bytes the picture is whole */
        write_file(path_of("cut.png"), data, cut);
        tern_status st = tern_image_load(path_of("cut.png"), &back);
        if (st != (cut < 8 ? TERN_E_UNSUPPORTED : TERN_E_CORRUPT))
            fail_msg("%zu of %zu bytes: %s", cut, n, tern_status_name(st));
    }
    for (size_t i = 0; i < n; i++) {
        data[i] ^= 0x55;
        write_file(path_of("flip.png"), data, n);
        if (tern_image_load(path_of("flip.png"), &back) == TERN_OK)
            tern_tensor_destroy(back);
        data[i] ^= 0x55;
    }
    tern_tensor_destroy(t);
}

static void save_takes_pictures_only(void **state)
{
    (void)state;
    tern_tensor *two = picture(2, 2, 2), *wrong = NULL, *one = picture(2, 2, 3);
    assert_int_equal(tern_tensor_create(TERN_F32, &(tern_shape){3, {2, 2, 3}}, &wrong), TERN_OK);
    assert_int_equal(tern_image_save(two, path_of("x.png")), TERN_E_SHAPE);
    assert_int_equal(tern_image_save(wrong, path_of("x.png")), TERN_E_SHAPE);
    assert_int_equal(tern_image_save(NULL, path_of("x.png")), TERN_E_INVALID);
    assert_int_equal(tern_image_save(one, path_of("none/x.png")), TERN_E_NOT_FOUND);
    tern_tensor_destroy(two);
    tern_tensor_destroy(wrong);
    tern_tensor_destroy(one);
}

/* Each allocation and file call fails once: a sentence, nothing left behind (the sanitizer looks), and the next call works. */
static void faults(void **state)
{
    (void)state;
    tern_tensor *t = picture(5, 4, 3);
    for (int kind = TERN__FAULT_ALLOC; kind <= TERN__FAULT_FILE; kind++)
        for (long n = 1, reached = 1; reached && n < 100; n++) {
            tern_tensor *back = NULL, *small = NULL;
            tern__fault_arm((tern__fault_kind)kind, n, false);
            tern_status st = tern_image_save(t, path_of("f.png"));
            if (st == TERN_OK)
                st = tern_image_load(path_of("f.png"), &back);
            if (st == TERN_OK)
                st = tern_image_resize(back, 3, 9, &small);
            reached = tern__fault_count((tern__fault_kind)kind) >= n;
            tern__fault_arm((tern__fault_kind)kind, 0, false);
            if (!reached)
                assert_int_equal(st, TERN_OK);
            tern_tensor_destroy(back);
            tern_tensor_destroy(small);
        }
    tern_tensor_destroy(t);
}
#endif

#if TERN_HAVE_JPEG
static void jpeg_is_read(void **state)
{
    (void)state;
    tern_tensor *t = NULL;
    write_file(path_of("t.jpg"), jpeg, sizeof jpeg);
    assert_int_equal(tern_image_load(path_of("t.jpg"), &t), TERN_OK);
    assert_shape(t, 8, 16, 3);
    const uint8_t *p = tern_tensor_data(t);
    for (int i = 0; i < 8 * 16 * 3; i++)
        assert_in_range(p[i], i / 3 % 16 < 8 ? 38 : 198, i / 3 % 16 < 8 ? 42 : 202);
    tern_tensor_destroy(t);
}

static void damaged_jpeg(void **state)
{
    (void)state;
    uint8_t data[sizeof jpeg];
    tern_tensor *t = NULL;
    for (size_t cut = 3; cut + 2 < sizeof jpeg; cut++) {
        write_file(path_of("cut.jpg"), jpeg, cut);
        if (tern_image_load(path_of("cut.jpg"), &t) != TERN_E_CORRUPT)
            fail_msg("%zu of %zu bytes", cut, sizeof jpeg);
    }
    memcpy(data, jpeg, sizeof jpeg);
    for (size_t i = 3; i < sizeof jpeg; i++)
        for (int bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1 << bit);
            write_file(path_of("flip.jpg"), data, sizeof data);
            if (tern_image_load(path_of("flip.jpg"), &t) == TERN_OK)
                tern_tensor_destroy(t);
            data[i] ^= (uint8_t)(1 << bit);
        }
}
#endif

static void files_that_are_no_pictures(void **state)
{
    (void)state;
    tern_tensor *t = NULL;
    write_file(path_of("text"), "no picture at all", 17);
    write_file(path_of("empty"), "", 0);
    assert_int_equal(tern_image_load(path_of("text"), &t), TERN_E_UNSUPPORTED);
    assert_int_equal(tern_image_load(path_of("empty"), &t), TERN_E_UNSUPPORTED);
    assert_int_equal(tern_image_load(path_of("none"), &t), TERN_E_NOT_FOUND);
    assert_int_equal(tern_image_load(folder, &t), TERN_E_IO);
    assert_int_equal(tern_image_load(NULL, &t), TERN_E_INVALID);
    assert_null(t);
}

static void resize_one(const uint8_t *from, int64_t h, int64_t w, const uint8_t *to, int64_t h2, int64_t w2)
{
    tern_tensor *t = NULL, *r = NULL;
    assert_int_equal(tern_tensor_create(TERN_U8, &(tern_shape){3, {h, w, 1}}, &t), TERN_OK);
    memcpy(tern_tensor_data(t), from, (size_t)(h * w));
    assert_int_equal(tern_image_resize(t, h2, w2, &r), TERN_OK);
    assert_shape(r, h2, w2, 1);
    assert_memory_equal(tern_tensor_data(r), to, (size_t)(h2 * w2));
    tern_tensor_destroy(t);
    tern_tensor_destroy(r);
}

static void resize_weighs_pixels(void **state)
{
    (void)state;
    /* The same size: the same picture. */
    resize_one((const uint8_t[]){1, 2, 3, 4}, 2, 2, (const uint8_t[]){1, 2, 3, 4}, 2, 2);
    /* Twice as wide: new centres lie a quarter and three quarters between old ones, and at the rim on the outermost. */
    resize_one((const uint8_t[]){0, 100}, 1, 2, (const uint8_t[]){0, 25, 75, 100}, 1, 4);
    resize_one((const uint8_t[]){0, 100}, 2, 1, (const uint8_t[]){0, 25, 75, 100}, 4, 1);
    /* To one pixel from three: weights 1/3, 1, 1/3 of a triangle of reach 3. */
    resize_one((const uint8_t[]){0, 0, 70}, 1, 3, (const uint8_t[]){20}, 1, 1);
    /* A flat picture stays flat. */
    uint8_t flat[35], many[77];
    memset(flat, 93, sizeof flat);
    memset(many, 93, sizeof many);
    resize_one(flat, 5, 7, many, 7, 11);
    resize_one(many, 7, 11, flat, 3, 2);
}

static void resize_refuses(void **state)
{
    (void)state;
    tern_tensor *t = picture(2, 2, 3), *r = NULL, *empty = NULL;
    assert_int_equal(tern_tensor_create(TERN_U8, &(tern_shape){3, {0, 2, 3}}, &empty), TERN_OK);
    assert_int_equal(tern_image_resize(t, 0, 2, &r), TERN_E_SHAPE);
    assert_int_equal(tern_image_resize(t, 2, -1, &r), TERN_E_SHAPE);
    assert_int_equal(tern_image_resize(t, INT64_MAX, 2, &r), TERN_E_SHAPE);
    assert_int_equal(tern_image_resize(empty, 2, 2, &r), TERN_E_SHAPE);
    assert_int_equal(tern_image_resize(NULL, 2, 2, &r), TERN_E_INVALID);
    assert_null(r);
    tern_tensor_destroy(t);
    tern_tensor_destroy(empty);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"t.png", "grey.png", "cut.png", "flip.png", "f.png", "t.jpg", "cut.jpg", "flip.jpg", "text", "empty"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if TERN_HAVE_PNG
        cmocka_unit_test(png_round_trip),
        cmocka_unit_test(grey_comes_back_as_colour),
        cmocka_unit_test(damaged_png),
        cmocka_unit_test(save_takes_pictures_only),
        cmocka_unit_test(faults),
#endif
#if TERN_HAVE_JPEG
        cmocka_unit_test(jpeg_is_read),
        cmocka_unit_test(damaged_jpeg),
#endif
        cmocka_unit_test(files_that_are_no_pictures),
        cmocka_unit_test(resize_weighs_pixels),
        cmocka_unit_test(resize_refuses),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
