/* Every allocation and file call made to fail in turn, once and for good, while files are read and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "formats_sample.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"
#include <tern/data.h>
#include <tern/model.h>

static tern_graph *graph;
static tern_tensor *tensor;
static char dataset[200];

static tern_status save_model(void) { return tern_model_save(graph, sample_path("out/m.tern")); }
static tern_status save_weights(void) { return tern_weights_save(graph, sample_path("out/w.safetensors")); }
static tern_status save_npy(void) { return tern_tensor_save_npy(tensor, sample_path("out/t.npy")); }
static tern_status load_weights(void) { return tern_weights_load(graph, sample_path("w.safetensors")); }

static tern_status load_model(void)
{
    tern_graph *g = NULL;
    tern_status st = tern_model_load(sample_path("m.tern"), &g);
    if ((st == TERN_OK) != (g != NULL))
        fail_msg("%s, and the graph is %p", tern_status_name(st), (void *)g);
    tern_graph_destroy(g);
    return st;
}

static tern_status load_npy(void)
{
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_load_npy(sample_path("t.npy"), &t);
    if ((st == TERN_OK) != (t != NULL))
        fail_msg("%s, and the tensor is %p", tern_status_name(st), (void *)t);
    tern_tensor_destroy(t);
    return st;
}

static tern_status open_dataset(void)
{
    tern_dataset *d = NULL;
    tern_status st = tern_dataset_open(dataset, TERN_TEST, &d);
    if ((st == TERN_OK) != (d != NULL))
        fail_msg("%s, and the data set is %p", tern_status_name(st), (void *)d);
    tern_dataset_close(d);
    return st;
}

static void count_file(void *user, const char *name, int64_t size_bytes)
{
    (void)name;
    *(int64_t *)user += 1000000000 + size_bytes;
}

/* How many files there are in out/, and their bytes: a half-written or forgotten one shows. */
static int64_t footprint(void)
{
    int64_t sum = 0;
    assert_int_equal(tern__dir_each(sample_path("out"), count_file, &sum), TERN_OK);
    return sum;
}

/* The call succeeds with nothing armed; with its n-th fault it fails with a sentence, leaves out/ as it was, and the next call works. */
static void walk(tern_status (*call)(void), tern__fault_kind kind)
{
    assert_int_equal(call(), TERN_OK);
    int64_t whole = footprint();
    for (int for_good = 0; for_good < 2; for_good++) {
        for (long n = 1;; n++) {
            assert_true(n < 100000);
            tern__fail(TERN_OK, "stale");
            tern__fault_arm(kind, n, for_good);
            tern_status st = call();
            bool reached = tern__fault_count(kind) >= n;
            tern__fault_arm(kind, 0, false);
            if ((st == TERN_OK) == reached)
                fail_msg("fault %ld of kind %d: %s: %s", n, (int)kind, tern_status_name(st), tern_last_error());
            if (footprint() != whole)
                fail_msg("fault %ld of kind %d left something behind", n, (int)kind);
            if (!reached)
                break;
            tern_status expected = kind == TERN__FAULT_ALLOC ? TERN_E_NOMEM : TERN_E_IO;
            if (st != expected || !strcmp(tern_last_error(), "stale"))
                fail_msg("fault %ld of kind %d: %s: %s", n, (int)kind, tern_status_name(st), tern_last_error());
        }
    }
    assert_int_equal(call(), TERN_OK);
}

static void walk_both(tern_status (*call)(void))
{
    walk(call, TERN__FAULT_ALLOC);
    walk(call, TERN__FAULT_FILE);
}

static void saving_models(void **state) { (void)state; walk_both(save_model); }
static void saving_weights(void **state) { (void)state; walk_both(save_weights); }
static void saving_npy(void **state) { (void)state; walk_both(save_npy); }
static void loading_models(void **state) { (void)state; walk_both(load_model); }
static void loading_weights(void **state) { (void)state; walk_both(load_weights); }
static void loading_npy(void **state) { (void)state; walk_both(load_npy); }
static void opening_datasets(void **state) { (void)state; walk_both(open_dataset); }

/* A failed load leaves the variables alone. */
static void weights_stay(void **state)
{
    (void)state;
    tern_graph *g = sample_graph();
    assert_non_null(g);
    assert_int_equal(tern_weights_save(g, sample_path("kept")), TERN_OK);
    for (long n = 1;; n++) {
        tern__fault_arm(TERN__FAULT_ALLOC, n, false);
        tern_status st = tern_weights_load(g, sample_path("w.safetensors"));
        tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
        assert_int_equal(tern_weights_save(g, sample_path("now")), TERN_OK);
        uint8_t *a, *b;
        size_t n_a, n_b;
        assert_int_equal(tern__file_read(sample_path("kept"), 0, &a, &n_a), TERN_OK);
        assert_int_equal(tern__file_read(sample_path("now"), 0, &b, &n_b), TERN_OK);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a);
        tern__free(a);
        tern__free(b);
        if (st == TERN_OK)
            break;
    }
    tern_graph_destroy(g);
}

/* Building the graph itself: an error that latches, and no leak. */
static void building(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        tern__fault_arm(TERN__FAULT_ALLOC, n, true);
        tern_graph *g = sample_graph();
        bool reached = tern__fault_count(TERN__FAULT_ALLOC) >= n;
        tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
        assert_int_equal(g == NULL, reached);
        tern_graph_destroy(g);
        if (!reached)
            break;
    }
}

static int setup(void **state)
{
    if (sample_setup(state) || tern__dir_create(sample_path("out"), 0755) || tern__dir_create(sample_path("set"), 0755))
        return -1;
    graph = sample_graph();
    tensor = sample_tensor(TERN_BF16, DIMS(3, 4));
    if (!graph || !tensor)
        return -1;
    static const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6}, labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 2};
    tern__file_writer w;
    tern__file_writer_open(&w, sample_path("set/t10k-images-idx3-ubyte.gz"), 0644);
    tern__file_writer_put(&w, images, sizeof images);
    if (tern__file_writer_close(&w))
        return -1;
    tern__file_writer_open(&w, sample_path("set/t10k-labels-idx1-ubyte.gz"), 0644);
    tern__file_writer_put(&w, labels, sizeof labels);
    if (tern__file_writer_close(&w))
        return -1;
    snprintf(dataset, sizeof dataset, "mnist:%s", sample_path("set"));
    return tern_model_save(graph, sample_path("m.tern")) || tern_weights_save(graph, sample_path("w.safetensors")) ||
           tern_tensor_save_npy(tensor, sample_path("t.npy"));
}

static int teardown(void **state)
{
    tern_graph_destroy(graph);
    tern_tensor_destroy(tensor);
    return sample_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saving_models),   cmocka_unit_test(saving_weights), cmocka_unit_test(saving_npy),
        cmocka_unit_test(loading_models),  cmocka_unit_test(loading_weights), cmocka_unit_test(loading_npy),
        cmocka_unit_test(opening_datasets), cmocka_unit_test(weights_stay),  cmocka_unit_test(building),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
