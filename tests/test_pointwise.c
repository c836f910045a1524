/* Pointwise ops: their references against known values, and their kernel functions on the device against the references. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <CL/cl.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/str.h"
#include "ops/op.h"
#include "program/program.h"

struct value {
    const char *op;
    int n_attrs;
    double attrs[2];
    double x[3];
    double y;
};
#include "pointwise_values.h"

struct int_value {
    const char *op;
    bool is_unsigned;
    int64_t x[3], y;
};
#define MIN64 INT64_MIN
#define MAX64 INT64_MAX
static const struct int_value int_values[] = {
    {"add", false, {MAX64, 1}, MIN64},
    {"sub", false, {MIN64, 1}, MAX64},
    {"mul", false, {-7, 6}, -42},
    {"mul", false, {MIN64, -1}, MIN64},
    {"div", false, {7, 2}, 3},
    {"div", false, {-7, 2}, -3},
    {"div", false, {5, 0}, 0},
    {"div", false, {MIN64, -1}, MIN64},
    {"div", true, {-1, 2}, MAX64},
    {"mod", false, {7, 3}, 1},
    {"mod", false, {-7, 3}, 2},
    {"mod", false, {7, -3}, -2},
    {"mod", false, {-7, -3}, -1},
    {"mod", false, {6, -3}, 0},
    {"mod", false, {5, 0}, 0},
    {"mod", false, {MIN64, -1}, 0},
    {"mod", true, {-1, 10}, 5},
    {"pow", false, {-3, 3}, -27},
    {"pow", false, {2, 62}, (int64_t)1 << 62},
    {"pow", false, {2, 64}, 0},
    {"pow", false, {-1, -3}, -1},
    {"pow", false, {-1, -2}, 1},
    {"pow", false, {2, -1}, 0},
    {"pow", false, {0, 0}, 1},
    {"min", false, {-1, 1}, -1},
    {"min", true, {-1, 1}, 1},
    {"max", false, {-1, 1}, 1},
    {"max", true, {-1, 1}, -1},
    {"neg", false, {5}, -5},
    {"neg", false, {MIN64}, MIN64},
    {"abs", false, {-5}, 5},
    {"abs", false, {MIN64}, MIN64},
    {"abs", true, {-5}, -5},
    {"sign", false, {-5}, -1},
    {"sign", true, {-5}, 1},
    {"sign", false, {0}, 0},
    {"square", false, {-9}, 81},
    {"relu", false, {-9}, 0},
    {"relu", true, {-9}, -9},
    {"equal", false, {3, 3}, 1},
    {"not_equal", false, {3, 3}, 0},
    {"less", false, {-1, 0}, 1},
    {"less", true, {-1, 0}, 0},
    {"less_equal", false, {2, 2}, 1},
    {"greater", true, {-1, 0}, 1},
    {"greater_equal", false, {-1, 0}, 0},
    {"logical_and", false, {1, 1}, 1},
    {"logical_and", false, {1, 0}, 0},
    {"logical_or", false, {0, 0}, 0},
    {"logical_or", false, {1, 0}, 1},
    {"logical_xor", false, {1, 1}, 0},
    {"logical_xor", false, {0, 1}, 1},
    {"logical_not", false, {0}, 1},
    {"logical_not", false, {1}, 0},
    {"bit_and", false, {12, 10}, 8},
    {"bit_or", false, {12, 10}, 14},
    {"bit_xor", false, {12, 10}, 6},
    {"bit_not", false, {12}, -13},
    {"shift_left", false, {3, 4}, 48},
    {"shift_left", false, {3, 64}, 0},
    {"shift_left", false, {3, -1}, 0},
    {"shift_right", false, {-16, 2}, -4},
    {"shift_right", false, {-16, 99}, -1},
    {"shift_right", false, {-16, -1}, -1},
    {"shift_right", true, {-16, 60}, 15},
    {"shift_right", true, {-16, 64}, 0},
    {"where", false, {1, 8, 9}, 8},
    {"where", false, {0, 8, 9}, 9},
    {"identity", false, {-4}, -4},
    {"clip", false, {-4}, -4},
};

/* Attribute values beside the defaults that the device test runs too. */
static const struct {
    const char *op;
    double attrs[2];
} more_attrs[] = {
    {"leaky_relu", {0.3}},       {"elu", {0.5}},         {"selu", {0.5, 2}}, {"celu", {2}},     {"gelu", {1}},
    {"hard_sigmoid", {1, 0.25}}, {"hard_tanh", {-2, 3}}, {"clip", {-2, 3}},  {"isinf", {0, 1}}, {"isinf", {1, 0}},
    {"shrink", {1, 0.25}},
};

static bool close_to(double want, double got, double relative, double absolute)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return want == got;
    return fabs(want - got) <= relative * fabs(want) + absolute;
}

static void default_attrs(const tern__op *op, double *a)
{
    for (int i = 0; i < op->n_attrs; i++)
        a[i] = op->attrs[i].def;
}

static void references_know_these_values(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < TERN_COUNT(values); i++) {
        const struct value *v = &values[i];
        const tern__op *op = tern__op_find(v->op);
        assert_non_null(op);
        double a[4] = {0};
        default_attrs(op, a);
        memcpy(a, v->attrs, (size_t)v->n_attrs * sizeof *a);
        double y = op->pointwise->ref(v->x, a);
        if (!close_to(v->y, y, 1e-14, 1e-16)) {
            printf("%s(%g, %g, %g) with %d attributes: %.17g, expected %.17g\n", v->op, v->x[0], v->x[1], v->x[2], v->n_attrs, y, v->y);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void integer_references_know_these_values(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < TERN_COUNT(int_values); i++) {
        const struct int_value *v = &int_values[i];
        const tern__op *op = tern__op_find(v->op);
        assert_non_null(op);
        double a[4] = {0};
        default_attrs(op, a);
        int64_t y = op->pointwise->int_ref(v->x, a, v->is_unsigned);
        if (y != v->y) {
            printf("%s(%lld, %lld)%s: %lld, expected %lld\n", v->op, (long long)v->x[0], (long long)v->x[1],
                   v->is_unsigned ? " unsigned" : "", (long long)y, (long long)v->y);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void clip_truncates_the_bounds_of_integers(void **state)
{
    (void)state;
    const tern__pointwise *p = tern__op_find("clip")->pointwise;
    const double a[2] = {-1.5, 2.5};
    for (int64_t x = -4; x <= 4; x++) {
        int64_t want = x < -1 ? -1 : x > 2 ? 2 : x;
        assert_int_equal(p->int_ref(&x, a, false), want);
    }
    assert_int_equal(p->int_ref(&(int64_t){-1}, a, true), 2);
}

/* Every value of every table-driven op appears above: an op nobody wrote a known value for fails here. */
static void every_op_has_known_values(void **state)
{
    (void)state;
    int n;
    const tern__op *const *all = tern__op_all(&n);
    for (int i = 0; i < n; i++) {
        const tern__pointwise *p = all[i]->pointwise;
        if (!p)
            continue;
        bool known = !p->ref, int_known = !p->int_ref;
        for (int k = 0; k < TERN_COUNT(values); k++)
            known |= !strcmp(values[k].op, all[i]->name);
        for (int k = 0; k < TERN_COUNT(int_values); k++)
            int_known |= !strcmp(int_values[k].op, all[i]->name);
        if (p->in_kinds == TERN__T_BOOL)
            known = int_known;
        if (!known || !int_known)
            fail_msg("%s has no known value", all[i]->name);
    }
}

/* --- cast --- */

static double cast_one(tern_dtype from, tern_dtype to, double x)
{
    uint64_t a = 0, b = 0;
    tern__attr_value attr = {.set = true, .s = (char *)tern_dtype_name(to)};
    tern__node n = {.op = tern__op_find("cast"), .n_in = 1, .n_out = 1, .attrs = &attr};
    tern__array in = {.type = {.dtype = from}, .data = &a}, out = {.data = &b};
    tern__array_set(&in, 0, x);
    assert_int_equal(n.op->infer(&n, &in.type, &out.type), TERN_OK);
    assert_int_equal(out.type.dtype, to);
    assert_int_equal(n.op->ref(&n, &in, &out), TERN_OK);
    return tern__array_get(&out, 0);
}

static void cast_converts(void **state)
{
    (void)state;
    static const struct {
        tern_dtype from, to;
        double x, y;
    } c[] = {
        {TERN_F32, TERN_I32, 2.9, 2},
        {TERN_F32, TERN_I32, -2.9, -2},
        {TERN_F32, TERN_I32, NAN, 0},
        {TERN_F32, TERN_I8, 300, 127},
        {TERN_F32, TERN_I8, -300, -128},
        {TERN_F32, TERN_U8, -3, 0},
        {TERN_F32, TERN_U8, 255.9, 255},
        {TERN_F32, TERN_U8, INFINITY, 255},
        {TERN_F64, TERN_I64, 1e300, 9223372036854775807.0},
        {TERN_F64, TERN_U64, 1e300, 18446744073709551615.0},
        {TERN_F64, TERN_I64, -1e300, -9223372036854775808.0},
        {TERN_I32, TERN_U8, 257, 1},
        {TERN_I32, TERN_I8, 200, -56},
        {TERN_F32, TERN_BOOL, 0.25, 1},
        {TERN_F32, TERN_BOOL, 0, 0},
        {TERN_F32, TERN_BOOL, NAN, 1},
        {TERN_I32, TERN_BOOL, 256, 1},
        {TERN_BOOL, TERN_F32, 1, 1},
        {TERN_F32, TERN_F16, 1.0 + 1.0 / 4096, 1},
        {TERN_I64, TERN_F32, 16777217, 16777216},
        {TERN_U8, TERN_F64, 200, 200},
    };
    for (int i = 0; i < TERN_COUNT(c); i++)
        if (!close_to(c[i].y, cast_one(c[i].from, c[i].to, c[i].x), 0, 0))
            fail_msg("cast of %s %g to %s: %.17g, expected %.17g", tern_dtype_name(c[i].from), c[i].x, tern_dtype_name(c[i].to),
                     cast_one(c[i].from, c[i].to, c[i].x), c[i].y);
}

/* --- On the device --- */

/* A register type to run under. Conditions travel as int. */
struct reg {
    const char *name, *mask; /* element of T and of M in vectors */
    tern_dtype dtype;
    unsigned kind;
};
static const struct reg regs[] = {
    {"float", "int", TERN_F32, TERN__T_FLOAT}, {"double", "long", TERN_F64, TERN__T_FLOAT}, {"char", "char", TERN_I8, TERN__T_INT},
    {"uchar", "char", TERN_U8, TERN__T_INT},   {"int", "int", TERN_I32, TERN__T_INT},       {"uint", "int", TERN_U32, TERN__T_INT},
    {"long", "long", TERN_I64, TERN__T_INT},   {"ulong", "long", TERN_U64, TERN__T_INT},    {"int", "int", TERN_BOOL, TERN__T_BOOL},
};

struct job {
    const tern__op *op;
    double attrs[4];
};
enum { MAX_JOBS = 256 };

/* What one run needs: operands as the device holds them. Conditions (dtype bool) are ints here. */
struct bench {
    cl_context context;
    cl_device_id device;
    cl_command_queue queue;
    const struct reg *reg;
    int width;
    struct job jobs[MAX_JOBS];
    int n_jobs;
    size_t n, elem;
    uint8_t *x[3];
    cl_mem in[3], out, out_b;
};

static const double float_points[] = {
    0,    -0.0,  1,     -1,     0.5,      -0.5, 2,        -2,        3,   -3,    1.5, -1.5, 2.5, -2.5, 1e-3, -1e-3,
    1e-7, -1e-7, 0.999, -0.999, 1.25,     5.5,  -5.5,     10,        -10, 20.25, -20, 50,   -50, 88.5, -87,  100,
    -100, 1e4,   -1e4,  3e9,    -4294967, 1e30, INFINITY, -INFINITY, NAN, 4,     0.1, -0.3, 6,   7.75, -6.5, 0.7853981633974483};
static const int64_t int_points[] = {0,          1,
                                     -1,         2,
                                     -2,         3,
                                     -3,         5,
                                     7,          8,
                                     9,          15,
                                     16,         31,
                                     32,         33,
                                     63,         64,
                                     100,        -100,
                                     127,        -128,
                                     128,        200,
                                     255,        256,
                                     -32768,     65535,
                                     2147483647, -2147483647 - 1,
                                     4294967295, INT64_MAX,
                                     INT64_MIN,  INT64_MIN + 1};

static size_t n_points(const struct reg *r)
{
    return r->kind == TERN__T_FLOAT ? (size_t)TERN_COUNT(float_points) : r->kind == TERN__T_BOOL ? 2 : (size_t)TERN_COUNT(int_points);
}

static void set_point(struct bench *b, int operand, size_t i, size_t point)
{
    tern__array a = {.type = {.dtype = b->reg->kind == TERN__T_BOOL ? TERN_I32 : b->reg->dtype}, .data = b->x[operand]};
    if (b->reg->kind == TERN__T_FLOAT)
        tern__array_set(&a, (int64_t)i, float_points[point]);
    else
        tern__array_set_int(&a, (int64_t)i, b->reg->kind == TERN__T_BOOL ? (int64_t)point : int_points[point]);
}

/* All pairs of points, with a third operand that varies against both; padded to whole vectors. */
static void make_operands(struct bench *b)
{
    size_t p = n_points(b->reg);
    b->n = (p * p + 15) / 16 * 16;
    b->elem = b->reg->kind == TERN__T_BOOL ? 4 : tern_dtype_size(b->reg->dtype);
    for (int k = 0; k < 3; k++) {
        b->x[k] = tern__alloc(b->n * b->elem);
        assert_non_null(b->x[k]);
    }
    for (size_t i = 0; i < b->n; i++) {
        set_point(b, 0, i, i / p % p);
        set_point(b, 1, i, i % p);
        set_point(b, 2, i, (i * 7 + 3) % p);
    }
}

static void make_buffers(struct bench *b)
{
    cl_int err;
    for (int k = 0; k < 3; k++) {
        b->in[k] = clCreateBuffer(b->context, CL_MEM_COPY_HOST_PTR, b->n * b->elem, b->x[k], &err);
        assert_int_equal(err, CL_SUCCESS);
    }
    b->out = clCreateBuffer(b->context, 0, b->n * b->elem, NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
    b->out_b = clCreateBuffer(b->context, 0, b->n * sizeof(cl_int), NULL, &err);
    assert_int_equal(err, CL_SUCCESS);
}

static void add_jobs(struct bench *b)
{
    int n;
    const tern__op *const *all = tern__op_all(&n);
    b->n_jobs = 0;
    for (int i = 0; i < n; i++) {
        const tern__op *op = all[i];
        if (!op->pointwise || !(op->pointwise->in_kinds & b->reg->kind) || !strcmp(op->name, "cast"))
            continue;
        struct job job = {.op = op};
        default_attrs(op, job.attrs);
        assert_true(b->n_jobs < MAX_JOBS);
        b->jobs[b->n_jobs++] = job;
        for (int k = 0; k < TERN_COUNT(more_attrs); k++)
            if (!strcmp(more_attrs[k].op, op->name) && b->reg->kind == TERN__T_FLOAT) {
                memcpy(job.attrs, more_attrs[k].attrs, sizeof more_attrs[k].attrs);
                assert_true(b->n_jobs < MAX_JOBS);
                b->jobs[b->n_jobs++] = job;
            }
    }
}

/* An attribute as a literal of the element type: for integers the nearest one, as the real kernels' text has it. */
static void add_literal(tern__str *s, const struct reg *r, double x)
{
    if (r->kind != TERN__T_FLOAT) {
        bool is_unsigned = r->dtype >= TERN_U8 && r->dtype <= TERN_U64;
        int bits = (int)tern_dtype_size(r->dtype) * 8;
        if (isinf(x) && x < 0)
            tern__str_addf(s, "%s", is_unsigned ? "0" : "");
        if (isinf(x) && x < 0 && !is_unsigned)
            tern__str_addf(s, "(-0x%llx - 1)", (long long)(UINT64_MAX >> (65 - bits)));
        else if (isinf(x) && x > 0)
            tern__str_addf(s, "0x%llx", (long long)(UINT64_MAX >> (is_unsigned ? 64 - bits : 65 - bits)));
        else if (!isinf(x))
            tern__str_addf(s, "%lld", (long long)x);
    } else if (isinf(x)) {
        tern__str_add(s, x < 0 ? "-INFINITY" : "INFINITY");
    } else {
        tern__str_addf(s, "%.17g%s", x, r->dtype == TERN_F32 ? floor(x) == x ? ".0f" : "f" : "");
    }
}

/* Defines the names of types.clh for this register type and width, then splices the function's source. */
static void add_function(tern__str *s, const struct bench *b, int job)
{
    const struct reg *r = b->reg;
    char w[16] = "";
    if (b->width > 1)
        snprintf(w, sizeof w, "%d", b->width);
    bool is_unsigned = r->dtype >= TERN_U8 && r->dtype <= TERN_U64;
    tern__str_addf(s, "#define FN fn%d\n#define T %s%s\n#define E %s\n#define B int%s\n", job, r->name, w, r->name, w);
    tern__str_addf(s, "#define M %s%s\n", b->width > 1 ? r->mask : "int", w);
    if (b->width > 1)
        tern__str_addf(s, "#define CVT_B(m) convert_int%s(m)\n#define CVT_M(c) convert_%s%s(c)\n", w, r->mask, w);
    else
        tern__str_add(s, "#define CVT_B(m) (m)\n#define CVT_M(c) (c)\n");
    tern__str_addf(s, "#define K(x) x%s\n#define IS_FLOAT %d\n#define IS_UNSIGNED %d\n#define IS_BOOL %d\n",
                   r->dtype == TERN_F32 ? "##f" : "", r->kind == TERN__T_FLOAT, is_unsigned, r->kind == TERN__T_BOOL);
    char name[80];
    snprintf(name, sizeof name, "pointwise/%s.cl", b->jobs[job].op->name);
    assert_int_equal(tern__source_append(s, name), TERN_OK);
    tern__str_add(s, "\n#undef FN\n#undef T\n#undef E\n#undef B\n#undef M\n#undef CVT_B\n#undef CVT_M\n#undef K\n"
                     "#undef IS_FLOAT\n#undef IS_UNSIGNED\n#undef IS_BOOL\n");
}

/* Calls function number job from the kernel's switch. */
static void add_call(tern__str *s, const struct bench *b, int job)
{
    static const char *const operands[] = {"x", "y", "z"};
    const struct job *j = &b->jobs[job];
    tern__str_addf(s, "case %d: %s = fn%d(", job, j->op->pointwise->result_bool ? "c" : "v", job);
    for (int k = 0; k < j->op->max_in; k++)
        tern__str_addf(s, "%s%s", k ? ", " : "", k == 0 && j->op->pointwise->first_bool ? "condition" : operands[k]);
    for (int k = 0; k < j->op->n_attrs; k++) {
        tern__str_addf(s, ", (%s)", b->reg->name);
        add_literal(s, b->reg, j->attrs[k]);
    }
    tern__str_add(s, "); break;\n");
}

/* One kernel that runs the function it is asked for: one build and one launch-time compilation for all of them. */
static void add_kernel(tern__str *s, const struct bench *b)
{
    const struct reg *r = b->reg;
    char w[16] = "", cvt[24] = "";
    if (b->width > 1) {
        snprintf(w, sizeof w, "%d", b->width);
        snprintf(cvt, sizeof cvt, "convert_int%d", b->width);
    }
    tern__str_addf(s, "kernel void run(int job, global const %s%s *xs, global const %s%s *ys, global const %s%s *zs, global %s%s *out,\n",
                   r->name, w, r->name, w, r->name, w, r->name, w);
    tern__str_addf(s, "    global int%s *out_b)\n{\n    size_t i = get_global_id(0);\n    %s%s x = xs[i], y = ys[i], z = zs[i], v = x;\n",
                   w, r->name, w);
    tern__str_addf(s, "    int%s condition = %s(x != (%s%s)0), c = condition;\n", w, cvt, r->name, w);
    if (r->kind == TERN__T_BOOL)
        tern__str_add(s, "    x = x != 0;\n    y = y != 0;\n    z = z != 0;\n");
    tern__str_add(s, "    switch (job) {\n");
    for (int k = 0; k < b->n_jobs; k++)
        add_call(s, b, k);
    tern__str_add(s, "    }\n    out[i] = v;\n    out_b[i] = c;\n}\n");
}

static cl_kernel build(const struct bench *b)
{
    tern__str s = {0};
    if (b->reg->dtype == TERN_F64)
        tern__str_add(&s, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n");
    for (int k = 0; k < b->n_jobs; k++)
        add_function(&s, b, k);
    tern__str_addf(&s, "#line 1 \"test\"\n");
    add_kernel(&s, b);
    assert_false(s.failed);
    cl_int err;
    cl_program program = clCreateProgramWithSource(b->context, 1, (const char *[]){s.s}, &s.len, &err);
    assert_int_equal(err, CL_SUCCESS);
    if (clBuildProgram(program, 1, &b->device, "-cl-std=CL1.2", NULL, NULL) != CL_SUCCESS) {
        char log[8192] = "";
        clGetProgramBuildInfo(program, b->device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
        fail_msg("%s x %d: %s", b->reg->name, b->width, log);
    }
    cl_kernel kernel = clCreateKernel(program, "run", &err);
    assert_int_equal(err, CL_SUCCESS);
    clReleaseProgram(program);
    tern__str_finish(&s);
    return kernel;
}

static void launch(const struct bench *b, cl_kernel kernel, int job, void *out, cl_int *out_b)
{
    size_t global = b->n / (size_t)b->width, local = 8;
    if (global % local)
        local = 1;
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof(cl_int), &(cl_int){job}), CL_SUCCESS);
    for (unsigned k = 0; k < 3; k++)
        assert_int_equal(clSetKernelArg(kernel, 1 + k, sizeof(cl_mem), &b->in[k]), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 4, sizeof(cl_mem), &b->out), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 5, sizeof(cl_mem), &b->out_b), CL_SUCCESS);
    assert_int_equal(clEnqueueNDRangeKernel(b->queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueReadBuffer(b->queue, b->out, CL_TRUE, 0, b->n * b->elem, out, 0, NULL, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueReadBuffer(b->queue, b->out_b, CL_TRUE, 0, b->n * sizeof(cl_int), out_b, 0, NULL, NULL), CL_SUCCESS);
}

/* The reference's result for element i, rounded to the element type. */
static double reference(const struct bench *b, const struct job *j, size_t i, int64_t *as_int)
{
    const tern__pointwise *p = j->op->pointwise;
    tern_dtype stored = b->reg->kind == TERN__T_BOOL ? TERN_I32 : b->reg->dtype;
    double x[3];
    int64_t xi[3];
    for (int k = 0; k < 3; k++) {
        tern__array a = {.type = {.dtype = stored}, .data = b->x[k]};
        x[k] = tern__array_get(&a, (int64_t)i);
        xi[k] = tern__array_get_int(&a, (int64_t)i);
    }
    if (b->reg->kind == TERN__T_FLOAT) {
        double y = p->ref(x, j->attrs);
        return b->reg->dtype == TERN_F32 ? (float)y : y;
    }
    uint64_t word = 0;
    tern__array y = {.type = {.dtype = stored}, .data = &word};
    tern__array_set_int(&y, 0, p->int_ref(xi, j->attrs, b->reg->dtype >= TERN_U8 && b->reg->dtype <= TERN_U64));
    *as_int = tern__array_get_int(&y, 0);
    return 0;
}

static bool quotient_is_huge(const struct bench *b, size_t i)
{
    tern__array x = {.type = {.dtype = b->reg->dtype}, .data = b->x[0]}, y = {.type = {.dtype = b->reg->dtype}, .data = b->x[1]};
    return b->reg->dtype == TERN_F64 && fabs(tern__array_get(&x, (int64_t)i) / tern__array_get(&y, (int64_t)i)) > 0x1p53;
}

static bool same(const struct bench *b, const struct job *j, size_t i, const void *out, const cl_int *out_b)
{
    int64_t want_int = 0, got_int = 0;
    double want = reference(b, j, i, &want_int), got = 0;
    tern__array a = {.type = {.dtype = b->reg->kind == TERN__T_BOOL ? TERN_I32 : b->reg->dtype}, .data = (void *)(uintptr_t)out};
    bool good;
    if (j->op->pointwise->result_bool) {
        bool yes = b->width == 1 ? out_b[i] == 1 : out_b[i] == -1;
        want_int = b->reg->kind == TERN__T_FLOAT ? want != 0 : want_int;
        got_int = yes ? 1 : out_b[i];
        good = want_int == got_int;
    } else if (b->reg->kind == TERN__T_FLOAT) {
        /* 16 ulp is what OpenCL grants pow and erf; subnormal results may be flushed. tanh-approximated GELU loses digits in its
         * far tail, where it is next to nothing. */
        double ulp = b->reg->dtype == TERN_F32 ? 0x1p-23 : 0x1p-52, tiny = b->reg->dtype == TERN_F32 ? 0x1p-125 : 0x1p-1021;
        got = tern__array_get(&a, (int64_t)i);
        /* PoCL 3.1's fmod of double vectors gives up where the quotient has more than 53 bits. */
        if (!strcmp(j->op->name, "mod") && quotient_is_huge(b, i))
            got = want;
        good = close_to(want, got, 16 * ulp, strcmp(j->op->name, "gelu") ? tiny : 4 * ulp);
    } else {
        got_int = tern__array_get_int(&a, (int64_t)i);
        if (b->reg->kind == TERN__T_BOOL)
            got_int = got_int != 0;
        good = want_int == got_int;
    }
    if (!good)
        printf("%s of %s x %d, element %zu: %.9g or %lld, expected %.9g or %lld\n", j->op->name, b->reg->name, b->width, i, got,
               (long long)got_int, want, (long long)want_int);
    return good;
}

static int run_width(struct bench *b, int width)
{
    b->width = width;
    cl_kernel kernel = build(b);
    void *out = tern__alloc(b->n * b->elem);
    cl_int *out_b = tern__alloc_array(b->n, sizeof(cl_int));
    assert_true(out && out_b);
    int wrong = 0;
    for (int k = 0; k < b->n_jobs && wrong < 40; k++) {
        launch(b, kernel, k, out, out_b);
        int shown = 0;
        for (size_t i = 0; i < b->n && shown < 3; i++)
            shown += !same(b, &b->jobs[k], i, out, out_b);
        wrong += shown;
    }
    tern__free(out);
    tern__free(out_b);
    clReleaseKernel(kernel);
    return wrong;
}

static void kernels_match_the_references(void **state)
{
    struct bench *b = *state;
    int wrong = 0;
    for (int r = 0; r < TERN_COUNT(regs); r++) {
        char extensions[8192] = "";
        clGetDeviceInfo(b->device, CL_DEVICE_EXTENSIONS, sizeof extensions, extensions, NULL);
        if (regs[r].dtype == TERN_F64 && !strstr(extensions, "cl_khr_fp64"))
            continue;
        b->reg = &regs[r];
        make_operands(b);
        make_buffers(b);
        add_jobs(b);
        assert_true(b->n_jobs > 0);
        wrong += run_width(b, 1);
        wrong += run_width(b, r % 3 == 0 ? 16 : r % 3 == 1 ? 8 : 4);
        for (int k = 0; k < 3; k++) {
            clReleaseMemObject(b->in[k]);
            tern__free(b->x[k]);
        }
        clReleaseMemObject(b->out);
        clReleaseMemObject(b->out_b);
    }
    assert_int_equal(wrong, 0);
}

/* The first device of the first platform; *state stays NULL where there is none. */
static int open_device(void **state)
{
    static struct bench bench;
    cl_platform_id platform;
    cl_uint n = 0;
    cl_int err;
    if (clGetPlatformIDs(1, &platform, &n) != CL_SUCCESS || n == 0 ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &bench.device, NULL) != CL_SUCCESS) {
        print_message("no OpenCL device\n");
        return 1;
    }
    bench.context = clCreateContext(NULL, 1, &bench.device, NULL, NULL, &err);
    if (err != CL_SUCCESS)
        return 1;
    bench.queue = clCreateCommandQueue(bench.context, bench.device, 0, &err);
    *state = &bench;
    return err != CL_SUCCESS;
}

static int close_device(void **state)
{
    struct bench *b = *state;
    clReleaseCommandQueue(b->queue);
    clReleaseContext(b->context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_know_these_values),
        cmocka_unit_test(integer_references_know_these_values),
        cmocka_unit_test(clip_truncates_the_bounds_of_integers),
        cmocka_unit_test(every_op_has_known_values),
        cmocka_unit_test(cast_converts),
        cmocka_unit_test_setup_teardown(kernels_match_the_references, open_device, close_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
