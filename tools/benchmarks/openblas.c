/* The peer for SGEMM: OpenBLAS. */
#include "common.h"

#include <cblas.h>

static struct {
    int n;
    float *a, *b, *c;
} gemm;

static bool prepare(const char *name, int size)
{
    if (strcmp(name, "sgemm"))
        return false;
    free(gemm.a);
    free(gemm.b);
    free(gemm.c);
    size_t n = (size_t)size * (size_t)size;
    gemm.n = size;
    gemm.a = bench_alloc(n * sizeof(float));
    gemm.b = bench_alloc(n * sizeof(float));
    gemm.c = bench_alloc(n * sizeof(float));
    bench_fill(gemm.a, n, 1, 1.0f);
    bench_fill(gemm.b, n, 2, 1.0f);
    return true;
}

static void run(int repeats)
{
    int n = gemm.n;
    for (int i = 0; i < repeats; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, gemm.a, n, gemm.b, n, 0.0f, gemm.c, n);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        printf("%s\n", openblas_get_config());
        return 0;
    }
    return bench_serve(&(bench_program){prepare, run});
}
