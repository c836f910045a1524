/* Labelled image data sets by name, minibatches, and the order they are drawn in. */
#include <tern/data.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/idx.h"

#include <stdlib.h>
#include <string.h>

/* A data set that the library knows. In dirs a leading '$' stands for the folder in TERN_DATA_DIR. */
typedef struct known {
    const char *name;
    const char *dirs[5];
    const char *source; /* where the files come from, for the message */
    const char *classes[10];
} known;

static const known sets[] = {
    {.name = "fashion-mnist",
     .dirs = {"$/fashion-mnist", "/usr/share/datasets/fashion-mnist"},
     .source = "the Debian package dataset-fashion-mnist provides the files (apt install dataset-fashion-mnist)",
     .classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}},
    {.name = "mnist",
     .dirs = {"$/mnist", "data/mnist", "/usr/share/datasets/mnist"},
     .source = "put the four IDX files there, or use fashion-mnist from the Debian package dataset-fashion-mnist",
     .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
};

/* 60,000 images of 28 x 28 are 45 MiB; what is far above that is not one of these sets. */
static const size_t size_limit = (size_t)1 << 29;

static const known *find_set(const char *name, size_t length)
{
    for (int i = 0; i < TERN_COUNT(sets); i++)
        if (strlen(sets[i].name) == length && !strncmp(sets[i].name, name, length))
            return &sets[i];
    return NULL;
}

/* dir/file.gz, or dir/file where that is not there. */
static tern_status load_from(const char *dir, const char *file, tern__idx *out)
{
    tern_status st = TERN_E_NOT_FOUND;
    for (int plain = 0; plain < 2 && st == TERN_E_NOT_FOUND; plain++) {
        tern__str path = {0};
        tern__str_addf(&path, "%s/%s%s", dir, file, plain ? "" : ".gz");
        st = path.failed ? tern__fail(TERN_E_NOMEM, "data set: no memory for a path in %s", dir)
                         : tern__idx_load(tern__str_text(&path), size_limit, out);
        tern__str_finish(&path);
    }
    return st;
}

/* Both files of one split; all or nothing. */
static tern_status load_pair(const char *dir, tern_split split, tern__idx *images, tern__idx *labels)
{
    bool test = split == TERN_TEST;
    TERN_TRY(load_from(dir, test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte", images));
    tern_status st = load_from(dir, test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte", labels);
    if (st != TERN_OK) {
        tern__free(images->data);
        images->data = NULL;
    }
    return st;
}

/* Tries the usual places in order and lists them in tried. */
static tern_status load_usual(const known *k, tern_split split, tern__idx *images, tern__idx *labels, tern__str *tried)
{
    const char *base = getenv("TERN_DATA_DIR");
    tern_status st = TERN_E_NOT_FOUND;
    for (int i = 0; k->dirs[i] && st == TERN_E_NOT_FOUND; i++) {
        const char *dir = k->dirs[i];
        if (*dir == '$' && (!base || !*base))
            continue;
        tern__str full = {0};
        tern__str_addf(&full, "%s%s", *dir == '$' ? base : "", *dir == '$' ? dir + 1 : dir);
        tern__str_addf(tried, "%s%s", tried->len ? ", " : "", tern__str_text(&full));
        st = full.failed || tried->failed ? tern__fail(TERN_E_NOMEM, "data set %s: no memory", k->name)
                                          : load_pair(tern__str_text(&full), split, images, labels);
        tern__str_finish(&full);
    }
    return st;
}

static tern_status load_files(const known *k, const char *dir, tern_split split, tern__idx *images, tern__idx *labels)
{
    tern__str tried = {0};
    tern_status st = dir ? load_pair(dir, split, images, labels) : load_usual(k, split, images, labels, &tried);
    if (st == TERN_E_NOT_FOUND)
        tern__fail(st, "data set %s: no %s-images-idx3-ubyte.gz with its labels in %s; %s", k->name, split == TERN_TEST ? "t10k" : "train",
                   dir ? dir : tern__str_text(&tried), k->source);
    else if (st != TERN_OK)
        tern__fail_in(st, "data set %s", k->name);
    tern__str_finish(&tried);
    return st;
}

static tern_status check_pair(const known *k, const tern__idx *images, const tern__idx *labels)
{
    const tern_shape *x = &images->shape, *y = &labels->shape;
    if (x->rank != 3 || y->rank != 1 || x->dim[0] != y->dim[0])
        return tern__fail(TERN_E_CORRUPT, "data set %s: images of rank %d, labels of rank %d, %lld images and %lld labels", k->name, x->rank,
                          y->rank, x->rank ? (long long)x->dim[0] : 0, y->rank ? (long long)y->dim[0] : 0);
    if (x->dim[0] == 0 || x->dim[1] == 0 || x->dim[2] == 0)
        return tern__fail(TERN_E_CORRUPT, "data set %s: it is empty", k->name);
    for (int64_t i = 0; i < y->dim[0]; i++)
        if (labels->data[i] >= TERN_COUNT(k->classes))
            return tern__fail(TERN_E_CORRUPT, "data set %s: label %d of image %lld is not below %d", k->name, labels->data[i], (long long)i,
                              TERN_COUNT(k->classes));
    return TERN_OK;
}

static tern_status make_dataset(const known *k, tern__idx *images, tern__idx *labels, tern_dataset **out)
{
    TERN_TRY(check_pair(k, images, labels));
    tern_dataset *d = tern__alloc(sizeof *d);
    if (!d)
        return tern__fail(TERN_E_NOMEM, "data set %s: no memory", k->name);
    d->n = images->shape.dim[0];
    d->channels = 1;
    d->height = images->shape.dim[1];
    d->width = images->shape.dim[2];
    d->n_classes = TERN_COUNT(k->classes);
    d->class_names = k->classes;
    d->std[0] = d->std[1] = d->std[2] = 1;
    d->images = images->data;
    d->labels = labels->data;
    *out = d;
    return TERN_OK;
}

tern_status tern_dataset_open(const char *spec, tern_split split, tern_dataset **out)
{
    if (!spec || !out || (split != TERN_TRAIN && split != TERN_TEST))
        return tern__fail(TERN_E_INVALID, "data set: a name, a split and a place for the result are needed");
    const char *colon = strchr(spec, ':');
    const known *k = find_set(spec, colon ? (size_t)(colon - spec) : strlen(spec));
    if (!k)
        return tern__fail(TERN_E_NOT_FOUND, "no data set is called '%.*s'; there are %s and %s", (int)(colon ? colon - spec : 80), spec, sets[0].name,
                          sets[1].name);
    if (colon && !colon[1])
        return tern__fail(TERN_E_INVALID, "data set %s: no folder after the colon", k->name);
    tern__idx images = {0}, labels = {0};
    TERN_TRY(load_files(k, colon ? colon + 1 : NULL, split, &images, &labels));
    tern_status st = make_dataset(k, &images, &labels, out);
    if (st != TERN_OK) {
        tern__free(images.data);
        tern__free(labels.data);
    }
    return st;
}

/* Are these the names of a set that the library knows? */
static bool find_classes(const char *const *names)
{
    for (int i = 0; i < TERN_COUNT(sets); i++)
        if (sets[i].classes == names)
            return true;
    return false;
}

void tern_dataset_close(tern_dataset *d)
{
    if (!d)
        return;
    tern__free(d->images);
    tern__free(d->labels);
    if (!find_classes(d->class_names))
        tern__free((void *)d->class_names); /* the names of folders lie behind their list */
    tern__free(d);
}

/* Fisher and Yates, with 64 random bits a step so that the remainder's bias is out of sight. */
void tern_shuffle(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order)
{
    const uint64_t stream = 0x73687566666c6500u + epoch; /* apart from the streams that draw weights and masks */
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint64_t r = (uint64_t)tern__philox_word(seed, stream, 2 * (uint64_t)i) << 32 | tern__philox_word(seed, stream, 2 * (uint64_t)i + 1);
        int64_t j = (int64_t)(r % ((uint64_t)i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

void tern_dataset_batch(const tern_dataset *d, const int64_t *order, int64_t batch, float *x, int32_t *y)
{
    const int64_t area = d->height * d->width, pixels = d->channels * area;
    for (int64_t b = 0; b < batch; b++) {
        const uint8_t *image = d->images + order[b] * pixels;
        float *to = x + b * pixels;
        for (int64_t c = 0; c < d->channels; c++) {
            const float mean = c < 3 ? d->mean[c] : 0, std = c < 3 ? d->std[c] : 1;
            for (int64_t i = 0; i < area; i++)
                *to++ = ((float)*image++ / 255.0f - mean) / std;
        }
        y[b] = d->labels[order[b]];
    }
}
