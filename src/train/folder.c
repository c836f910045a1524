/* A folder of class-named folders of images as a data set. */
#include <tern/data.h>
#include <tern/image.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/str.h"

enum { TEST_EVERY = 5, MAX_CLASSES = 256 };

/* Names in a folder, sorted. */
typedef struct names {
    char **name;
    int n, cap;
    bool images; /* only files that look like images */
    bool failed;
} names;

static bool looks_like_image(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

static void note_name(void *user, const char *name, int64_t size_bytes)
{
    names *l = user;
    (void)size_bytes;
    if (*name == '.' || (l->images && !looks_like_image(name)))
        return;
    char *copy = tern__strdup(name);
    if (!copy || (l->n == l->cap && !TERN_GROW(l->name, l->n, l->cap))) {
        tern__free(copy);
        l->failed = true;
        return;
    }
    l->name[l->n++] = copy;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_finish(names *l)
{
    for (int i = 0; i < l->n; i++)
        tern__free(l->name[i]);
    tern__free(l->name);
    *l = (names){0};
}

static tern_status list(const char *dir, bool images, names *l)
{
    *l = (names){.images = images};
    tern_status st = (images ? tern__dir_each : tern__dir_each_folder)(dir, note_name, l);
    if (st == TERN_OK && l->failed)
        st = tern__fail(TERN_E_NOMEM, "data set %s: no memory for the names in it", dir);
    if (st != TERN_OK) {
        names_finish(l);
        return st;
    }
    if (l->n > 0)
        qsort(l->name, (size_t)l->n, sizeof *l->name, by_name);
    return TERN_OK;
}

static bool has(const names *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->name[i], name) == 0)
            return true;
    return false;
}

typedef struct folder {
    tern__str dir;      /* of the class folders */
    bool shared;        /* both splits come from it */
    tern_split split;
    names classes;
    tern_dataset *d;
    int64_t cap;
} folder;

/* Where this split's class folders are. */
static tern_status find_split(folder *f, const char *dir)
{
    TERN_TRY(list(dir, false, &f->classes));
    const bool train = has(&f->classes, "train"), test = has(&f->classes, "test"), val = has(&f->classes, "val");
    f->shared = !train || !(test || val);
    tern__str_addf(&f->dir, "%s%s", dir, f->shared ? "" : f->split == TERN_TRAIN ? "/train" : test ? "/test" : "/val");
    if (!f->shared) {
        names_finish(&f->classes);
        TERN_TRY(list(tern__str_text(&f->dir), false, &f->classes));
    }
    if (f->dir.failed)
        return tern__fail(TERN_E_NOMEM, "data set %s: no memory", dir);
    if (f->classes.n < 2 || f->classes.n > MAX_CLASSES)
        return tern__fail(f->classes.n < 2 ? TERN_E_NOT_FOUND : TERN_E_UNSUPPORTED, "data set %s: %d class folders; it takes 2 to %d, each with PNG or JPEG images",
                          tern__str_text(&f->dir), f->classes.n, MAX_CLASSES);
    return TERN_OK;
}

/* One block: the list, and the names behind it. */
static tern_status name_classes(folder *f)
{
    size_t size = (size_t)f->classes.n * sizeof(char *);
    for (int i = 0; i < f->classes.n; i++)
        size += strlen(f->classes.name[i]) + 1;
    const char **list_of = tern__alloc(size);
    if (!list_of)
        return tern__fail(TERN_E_NOMEM, "data set: no memory for %d names", f->classes.n);
    char *at = (char *)(list_of + f->classes.n);
    for (int i = 0; i < f->classes.n; i++) {
        const size_t len = strlen(f->classes.name[i]) + 1;
        list_of[i] = memcpy(at, f->classes.name[i], len);
        at += len;
    }
    f->d->class_names = list_of;
    f->d->n_classes = f->classes.n;
    return TERN_OK;
}

static tern_status make_room(folder *f, size_t pixels)
{
    tern_dataset *d = f->d;
    if (d->n < f->cap)
        return TERN_OK;
    const int64_t cap = f->cap ? 2 * f->cap : 64;
    size_t bytes;
    uint8_t *images = tern__mul_size((size_t)cap, pixels, &bytes) ? tern__realloc_array(d->images, (size_t)cap, pixels) : NULL;
    if (images)
        d->images = images;
    uint8_t *labels = tern__realloc_array(d->labels, (size_t)cap, 1);
    if (labels)
        d->labels = labels;
    if (!images || !labels)
        return tern__fail(TERN_E_NOMEM, "data set %s: no memory for %" PRId64 " images", tern__str_text(&f->dir), cap);
    f->cap = cap;
    return TERN_OK;
}

/* [h, w, 3] to planes; grey by the luma of ITU-R BT.601. */
static void store_planes(const uint8_t *rgb, int64_t area, int64_t channels, uint8_t *to)
{
    for (int64_t i = 0; i < area; i++, rgb += 3) {
        for (int64_t c = 0; channels == 3 && c < 3; c++)
            to[c * area + i] = rgb[c];
        if (channels == 1)
            to[i] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
}

static tern_status add_image(folder *f, const char *path, int label)
{
    tern_dataset *d = f->d;
    tern_tensor *image = NULL, *fit = NULL;
    const size_t pixels = (size_t)(d->channels * d->height * d->width);
    TERN_TRY(make_room(f, pixels));
    tern_status st = tern_image_load(path, &image);
    if (st == TERN_OK)
        st = tern_image_resize(image, d->height, d->width, &fit);
    if (st == TERN_OK) {
        store_planes(tern_tensor_data(fit), d->height * d->width, d->channels, d->images + (size_t)d->n * pixels);
        d->labels[d->n++] = (uint8_t)label;
    }
    tern_tensor_destroy(image);
    tern_tensor_destroy(fit);
    return st;
}

static tern_status add_class(folder *f, int label)
{
    tern__str dir = {0}, path = {0};
    names files = {0};
    tern__str_addf(&dir, "%s/%s", tern__str_text(&f->dir), f->classes.name[label]);
    tern_status st = dir.failed ? tern__fail(TERN_E_NOMEM, "data set: no memory for a path") : list(tern__str_text(&dir), true, &files);
    for (int i = 0; i < files.n && st == TERN_OK; i++) {
        const bool test = i % TEST_EVERY == TEST_EVERY - 1;
        if (f->shared && test != (f->split == TERN_TEST))
            continue;
        tern__str_clear(&path);
        tern__str_addf(&path, "%s/%s", tern__str_text(&dir), files.name[i]);
        st = path.failed ? tern__fail(TERN_E_NOMEM, "data set: no memory for a path") : add_image(f, tern__str_text(&path), label);
    }
    names_finish(&files);
    tern__str_finish(&dir);
    tern__str_finish(&path);
    return st;
}

static tern_status load(folder *f, const char *dir)
{
    TERN_TRY(find_split(f, dir));
    TERN_TRY(name_classes(f));
    for (int i = 0; i < f->classes.n; i++)
        TERN_TRY(add_class(f, i));
    if (f->d->n == 0)
        return tern__fail(TERN_E_NOT_FOUND, "data set %s: no PNG or JPEG image for the %s in its %d class folders%s", tern__str_text(&f->dir),
                          f->split == TERN_TEST ? "test" : "training", f->classes.n, f->shared ? "; every fifth of a class is for the test" : "");
    return TERN_OK;
}

tern_status tern_dataset_folder(const char *dir, tern_split split, int64_t channels, int64_t height, int64_t width, tern_dataset **out)
{
    const int64_t longest = 1 << 14;
    if (!dir || !out || (split != TERN_TRAIN && split != TERN_TEST))
        return tern__fail(TERN_E_INVALID, "data set: a folder, a split and a place for the result are needed");
    if ((channels != 1 && channels != 3) || height < 1 || width < 1 || height > longest || width > longest)
        return tern__fail(TERN_E_INVALID, "data set %s: images of %" PRId64 " channels, %" PRId64 " x %" PRId64 "; 1 or 3 are possible, and 1 to %" PRId64, dir,
                          channels, height, width, longest);
    folder f = {.split = split, .d = tern__alloc(sizeof *f.d)};
    if (!f.d)
        return tern__fail(TERN_E_NOMEM, "data set %s: no memory", dir);
    f.d->channels = channels;
    f.d->height = height;
    f.d->width = width;
    f.d->std[0] = f.d->std[1] = f.d->std[2] = 1;
    tern_status st = load(&f, dir);
    names_finish(&f.classes);
    tern__str_finish(&f.dir);
    if (st != TERN_OK) {
        tern_dataset_close(f.d);
        return st;
    }
    *out = f.d;
    return TERN_OK;
}
