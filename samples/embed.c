/* An application with OpenCL of its own lends Tern its context, its queue and its buffers.
 * Its own kernel makes a picture in a cl_mem, Tern blurs it, and its own kernel reads the result: the picture never
 * leaves the device, and nothing is copied. The answer is checked on the host.
 * Shows: tern_device_from_cl, tern_tensor_from_cl, and that an in-order queue is all the synchronisation needed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tern/graph.h>
#include <tern/opencl.h>
#include <tern/session.h>

enum { SIDE = 64 };

static const char source[] =
    "float wave(int x, int y) { return sin(0.3f * x) * cos(0.2f * y); }\n"
    "kernel void paint(global float *p) { int x = get_global_id(0), y = get_global_id(1); p[y * get_global_size(0) + x] = wave(x, y); }\n"
    "kernel void brighten(global float *p) { p[get_global_id(0)] = 2 * p[get_global_id(0)] + 1; }\n";

static void must(tern_status st)
{
    if (st != TERN_OK) {
        fprintf(stderr, "embed: %s\n", tern_last_error());
        exit(1);
    }
}

static void must_cl(cl_int err, const char *what)
{
    if (err != CL_SUCCESS) {
        fprintf(stderr, "embed: %s failed with %d\n", what, (int)err);
        exit(1);
    }
}

/* What the application has before Tern comes. */
typedef struct app {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_mem picture, blurred;
} app;

static app app_open(void)
{
    app a = {0};
    cl_platform_id platform;
    cl_int err;
    must_cl(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    must_cl(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &a.device, NULL), "clGetDeviceIDs");
    a.context = clCreateContext(NULL, 1, &a.device, NULL, NULL, &err);
    must_cl(err, "clCreateContext");
    a.queue = clCreateCommandQueue(a.context, a.device, 0, &err);
    must_cl(err, "clCreateCommandQueue");
    a.program = clCreateProgramWithSource(a.context, 1, (const char *[]){source}, NULL, &err);
    must_cl(err, "clCreateProgramWithSource");
    must_cl(clBuildProgram(a.program, 1, &a.device, "", NULL, NULL), "clBuildProgram");
    a.picture = clCreateBuffer(a.context, CL_MEM_READ_WRITE, SIDE * SIDE * sizeof(float), NULL, &err);
    must_cl(err, "clCreateBuffer");
    a.blurred = clCreateBuffer(a.context, CL_MEM_READ_WRITE, SIDE * SIDE * sizeof(float), NULL, &err);
    must_cl(err, "clCreateBuffer");
    return a;
}

static void app_run(const app *a, const char *kernel_name, cl_mem mem, cl_uint dims)
{
    const size_t global[2] = {dims == 2 ? SIDE : SIDE * SIDE, SIDE};
    cl_int err;
    cl_kernel k = clCreateKernel(a->program, kernel_name, &err);
    must_cl(err, "clCreateKernel");
    must_cl(clSetKernelArg(k, 0, sizeof mem, &mem), "clSetKernelArg");
    must_cl(clEnqueueNDRangeKernel(a->queue, k, dims, NULL, global, NULL, 0, NULL, NULL), "clEnqueueNDRangeKernel");
    clReleaseKernel(k);
}

static void app_close(app *a)
{
    clReleaseMemObject(a->picture);
    clReleaseMemObject(a->blurred);
    clReleaseProgram(a->program);
    clReleaseCommandQueue(a->queue);
    clReleaseContext(a->context);
}

/* A 3x3 mean as a convolution with a constant weight. */
static tern_graph *blur_graph(const tern_shape *picture)
{
    tern_graph *g;
    tern_tensor *w;
    float ninth[9];
    for (int i = 0; i < 9; i++)
        ninth[i] = 1.0f / 9;
    must(tern_graph_create(&g));
    must(tern_tensor_wrap(TERN_F32, &(tern_shape){4, {1, 1, 3, 3}}, ninth, &w));
    tern_value x = tern_graph_input(g, "picture", TERN_F32, picture, 0);
    int64_t pads[4] = {1, 1, 1, 1};
    tern_graph_output(g, "blurred", tern_graph_op2(g, "conv", x, tern_graph_constant(g, w), TERN_ATTRS(TERN_INTS("pads", pads, 4))));
    must(tern_graph_check(g));
    tern_tensor_destroy(w);
    return g;
}

static float wave(int x, int y) { return sinf(0.3f * (float)x) * cosf(0.2f * (float)y); }

/* The largest difference from what the host computes. */
static double check(const float *got)
{
    double worst = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double sum = 0;
            for (int v = y - 1; v <= y + 1; v++)
                for (int u = x - 1; u <= x + 1; u++)
                    sum += u >= 0 && v >= 0 && u < SIDE && v < SIDE ? (double)wave(u, v) : 0;
            worst = fmax(worst, fabs(2 * sum / 9 + 1 - (double)got[y * SIDE + x]));
        }
    return worst;
}

int main(void)
{
    app a = app_open();
    tern_shape shape = {4, {1, 1, SIDE, SIDE}};

    tern_device *device; /* on the application's context and queue, which it retains */
    tern_tensor *in, *out; /* on the application's buffers */
    must(tern_device_from_cl(a.context, a.queue, NULL, &device));
    must(tern_tensor_from_cl(device, a.picture, TERN_F32, &shape, &in));
    must(tern_tensor_from_cl(device, a.blurred, TERN_F32, &shape, &out));
    tern_graph *g = blur_graph(&shape);
    tern_session *blur;
    must(tern_session_create(device, g, NULL, &blur));

    /* Three pieces of work on one in-order queue: nobody waits, nothing is copied. */
    app_run(&a, "paint", a.picture, 2);
    must(tern_session_run(blur, &in, &out));
    app_run(&a, "brighten", a.blurred, 1);

    static float result[SIDE * SIDE];
    must_cl(clEnqueueReadBuffer(a.queue, a.blurred, CL_TRUE, 0, sizeof result, result, 0, NULL, NULL), "clEnqueueReadBuffer");
    double worst = check(result);
    printf("paint (application) -> blur (Tern) -> brighten (application): largest error %.1e\n", worst);
    printf("the tensors are the application's buffers: %s\n",
           tern_tensor_cl_mem(in) == a.picture && tern_tensor_cl_mem(out) == a.blurred ? "yes" : "no");

    tern_session_destroy(blur);
    tern_graph_destroy(g);
    tern_tensor_destroy(in);
    tern_tensor_destroy(out);
    tern_device_close(device);
    app_close(&a);
    return worst < 1e-4 ? 0 : 1;
}
