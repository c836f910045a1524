/* What --in gives a model: random numbers, zeros, arrays from .npy and .pb files, photographs. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tern/image.h>
#include <tern/opencl.h>

/* --- What is said about which input --- */

const char *cli_source_of(const cli_list *list, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < list->n; i++)
        if (!strncmp(list->item[i], name, n) && list->item[i][n] == '=')
            return list->item[i] + n + 1;
    return NULL;
}

int cli_sources_check(const char *command, const char *model, const tern_onnx_port *ports, int n, const cli_list *list)
{
    for (int i = 0; i < list->n; i++) {
        bool known = false;
        if (!strchr(list->item[i], '='))
            return cli_misuse(command, "--in takes NAME=FILE or NAME=random, not \"%s\"", list->item[i]);
        for (int k = 0; k < n; k++)
            known = known || (!strncmp(list->item[i], ports[k].name, strlen(ports[k].name)) && list->item[i][strlen(ports[k].name)] == '=');
        if (!known && n == 0)
            return cli_error(CLI_USAGE, "%s: %s takes no inputs, so --in %s fits nothing", command, model, list->item[i]);
        if (!known)
            return cli_error(CLI_USAGE, "%s: no input for --in %s; the model's first one is \"%s\"", command, list->item[i], ports[0].name);
    }
    return CLI_OK;
}

/* --- Random numbers --- */

/* A small generator: the same numbers in every run, so that two devices can be compared. */
static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

void cli_fill_random(tern_tensor *t, uint64_t seed)
{
    size_t n = tern_tensor_elems(t);
    void *data = tern_tensor_data(t);
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next_random(&state);
        switch (tern_tensor_dtype(t)) {
        case TERN_F32: ((float *)data)[i] = (float)(r >> 7) * 0x1p-24f; break;
        case TERN_F64: ((double *)data)[i] = (double)r * 0x1p-31; break;
        case TERN_F16: ((uint16_t *)data)[i] = (uint16_t)(0x3800 | (r & 0x3ff)); break;  /* [0.5, 1): an exponent and random bits */
        case TERN_BF16: ((uint16_t *)data)[i] = (uint16_t)(0x3f00 | (r & 0x7f)); break;
        case TERN_I8: case TERN_U8: ((uint8_t *)data)[i] = (uint8_t)(r % 10); break;
        case TERN_I16: case TERN_U16: ((uint16_t *)data)[i] = (uint16_t)(r % 10); break;
        case TERN_I32: case TERN_U32: ((uint32_t *)data)[i] = r % 10; break;
        case TERN_I64: case TERN_U64: ((uint64_t *)data)[i] = r % 10; break;
        case TERN_BOOL: ((uint8_t *)data)[i] = r & 1; break;
        case TERN_DTYPE_COUNT: break;
        }
    }
}

/* "1,3,224,224"; nothing is a scalar. */
static bool read_shape(const char *text, tern_shape *s)
{
    *s = (tern_shape){.rank = 0};
    while (*text) {
        char *end;
        long long n = strtoll(text, &end, 10);
        if (end == text || n < 0 || s->rank == TERN_MAX_RANK || (*end && *end != ',' && *end != 'x') || (*end && !end[1]))
            return false;
        s->dim[s->rank++] = n;
        text = *end ? end + 1 : end;
    }
    return true;
}

/* shape NULL: the model's own. */
static int make_drawn(const char *command, const tern_onnx_port *p, int k, bool zeros, const char *shape, const cli_dims *dims, tern_onnx_value *out)
{
    tern_shape s = {.rank = p->rank};
    if (!p->typed || p->kind != TERN_ONNX_TENSOR)
        return cli_error(CLI_USAGE, "%s: input \"%s\" is no tensor of a type that Tern has; give it as --in %s=FILE.pb", command, p->name, p->name);
    if (shape && !read_shape(shape, &s))
        return cli_misuse(command, "a shape is given as 1,3,224,224, not \"%s\"", shape);
    if (s.rank < 0)
        return cli_error(CLI_USAGE, "%s: the model does not say what shape input \"%s\" has; give it as --in %s=random:SHAPE", command, p->name, p->name);
    for (int i = 0; i < s.rank && !shape; i++)
        s.dim[i] = cli_extent(p, i, dims, 1);
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_create(p->dtype, &s, &t);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (!zeros)
        cli_fill_random(t, (uint64_t)k);
    *out = (tern_onnx_value){.kind = TERN_ONNX_TENSOR, .tensor = t};
    return CLI_OK;
}

/* --- Arrays --- */

/* NumPy has no bfloat16: such an input comes as f32 and is rounded. */
static tern_status as_bfloat(tern_tensor **t)
{
    tern_tensor *b = NULL;
    tern_status st = tern_tensor_create(TERN_BF16, tern_tensor_shape(*t), &b);
    if (st != TERN_OK)
        return st;
    for (size_t i = 0; i < tern_tensor_elems(b); i++)
        cli_set_element(b, i, cli_element(*t, i));
    tern_tensor_destroy(*t);
    *t = b;
    return TERN_OK;
}

static int make_read(const char *command, const tern_onnx_port *p, const char *path, tern_onnx_value *out)
{
    tern_status st;
    if (cli_has_suffix(path, ".pb")) {
        st = tern_onnx_value_load(path, p->kind, p->optional, out);
    } else {
        st = tern_tensor_load_npy(path, &out->tensor);
        if (st == TERN_OK)
            out->kind = TERN_ONNX_TENSOR;
        if (st == TERN_OK && p->typed && p->dtype == TERN_BF16 && tern_tensor_dtype(out->tensor) == TERN_F32)
            st = as_bfloat(&out->tensor);
    }
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (out->kind == TERN_ONNX_TENSOR && p->typed && tern_tensor_dtype(out->tensor) != p->dtype)
        return cli_error(CLI_FAILED, "%s: input \"%s\" is %s, but %s holds %s", command, p->name, tern_dtype_name(p->dtype), path,
                         tern_dtype_name(tern_tensor_dtype(out->tensor)));
    return CLI_OK;
}

/* --- Pictures --- */

/* Where an input's axes are: rank 4 is [N, C, H, W] or [N, H, W, C], rank 3 the same without N; channels are 1 or 3. */
typedef struct picture_axes {
    bool channels_last;
    int channels;
    int h_axis;             /* width is the next one */
} picture_axes;

static bool find_axes(const tern_onnx_port *p, picture_axes *a)
{
    int front = p->rank - 3;
    if (p->kind != TERN_ONNX_TENSOR || !p->typed || front < 0 || front > 1)
        return false;
    int64_t first = p->dim[front], last = p->dim[front + 2];
    a->channels_last = !(first == 1 || first == 3) && (last == 1 || last == 3);
    a->channels = (int)(a->channels_last ? last : first);
    a->h_axis = a->channels_last ? front : front + 1;
    if (a->channels == -1) /* an open number of channels is three */
        a->channels = 3;
    return a->channels == 1 || a->channels == 3;
}

/* "x" or "x,y,z", one number for each channel. */
static int read_channels(const char *command, const char *option, const char *text, double otherwise, double out[3])
{
    int n = 0;
    out[0] = out[1] = out[2] = otherwise;
    for (const char *at = text; at && *at; n++) {
        char *end;
        double x = strtod(at, &end);
        if (end == at || n == 3 || !isfinite(x) || (*end && *end != ',') || (*end && !end[1]))
            return cli_misuse(command, "--%s takes one number or three separated by commas, not \"%s\"", option, text);
        out[n] = x;
        at = *end ? end + 1 : end;
    }
    if (n == 1)
        out[1] = out[2] = out[0];
    return n == 2 ? cli_misuse(command, "--%s takes one number or three separated by commas, not \"%s\"", option, text) : CLI_OK;
}

typedef struct pixel_rule {
    double scale[3], mean[3], std[3];
    bool bgr;
} pixel_rule;

static int read_rule(const char *command, const cli_image_params *im, bool floats, pixel_rule *r)
{
    r->bgr = im->bgr;
    int code = read_channels(command, "scale", im->scale, floats ? 1 / 255.0 : 1, r->scale);
    if (code == CLI_OK)
        code = read_channels(command, "mean", im->mean, 0, r->mean);
    if (code == CLI_OK)
        code = read_channels(command, "std", im->std, 1, r->std);
    if (code == CLI_OK && (r->std[0] == 0 || r->std[1] == 0 || r->std[2] == 0))
        code = cli_misuse(command, "--std cannot be zero");
    return code;
}

/* u8 [h, w, 3] into every picture of the batch. */
static void put_pixels(tern_tensor *t, const tern_tensor *image, const picture_axes *a, const pixel_rule *r)
{
    const uint8_t *rgb = tern_tensor_data(image);
    size_t n_pixels = tern_tensor_elems(image) / 3, channels = (size_t)a->channels, size = n_pixels * channels;
    for (size_t at = 0; at < tern_tensor_elems(t); at += size)
        for (size_t i = 0; i < n_pixels; i++)
            for (size_t c = 0; c < channels; c++) {
                const uint8_t *px = rgb + 3 * i;
                double v = a->channels == 1 ? 0.299 * px[0] + 0.587 * px[1] + 0.114 * px[2] : px[r->bgr ? 2 - c : c];
                cli_set_element(t, at + (a->channels_last ? i * channels + c : c * n_pixels + i), (v * r->scale[c] - r->mean[c]) / r->std[c]);
            }
}

static int make_picture(const char *command, const tern_onnx_port *p, const char *path, const cli_dims *dims, const cli_image_params *im, tern_onnx_value *out)
{
    picture_axes a;
    pixel_rule rule;
    if (!find_axes(p, &a))
        return cli_error(CLI_FAILED, "%s: input \"%s\" takes no picture: it is neither [N,C,H,W] nor [N,H,W,C] with 1 or 3 channels", command, p->name);
    int code = read_rule(command, im, p->dtype == TERN_F32 || p->dtype == TERN_F16 || p->dtype == TERN_BF16 || p->dtype == TERN_F64, &rule);
    if (code != CLI_OK)
        return code;
    tern_tensor *file = NULL, *fitted = NULL, *t = NULL;
    tern_shape s = {.rank = p->rank};
    tern_status st = tern_image_load(path, &file);
    if (st == TERN_OK) { /* what the model leaves open is as the picture is */
        for (int i = 0; i < s.rank; i++)
            s.dim[i] = cli_extent(p, i, dims, i == a.h_axis || i == a.h_axis + 1 ? tern_tensor_shape(file)->dim[i - a.h_axis] : i || p->rank == 3 ? a.channels : 1);
        st = tern_image_resize(file, s.dim[a.h_axis], s.dim[a.h_axis + 1], &fitted);
    }
    if (st == TERN_OK)
        st = tern_tensor_create(p->dtype, &s, &t);
    if (st == TERN_OK) {
        put_pixels(t, fitted, &a, &rule);
        *out = (tern_onnx_value){.kind = TERN_ONNX_TENSOR, .tensor = t};
    }
    tern_tensor_destroy(file);
    tern_tensor_destroy(fitted);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

/* "random" or "random:SHAPE"; *shape is NULL in the first case. */
static bool is_word(const char *source, const char *word, const char **shape)
{
    size_t n = strlen(word);
    if (strncmp(source, word, n) || (source[n] && source[n] != ':'))
        return false;
    *shape = source[n] ? source + n + 1 : NULL;
    return true;
}

int cli_make_input(const char *command, const tern_onnx_port *p, int k, const char *source, const cli_dims *dims, const cli_image_params *image,
                   tern_onnx_value *out)
{
    const char *shape = NULL;
    *out = (tern_onnx_value){.kind = TERN_ONNX_NOTHING};
    if (!source && p->optional)
        return CLI_OK;
    if (!source || is_word(source, "random", &shape))
        return make_drawn(command, p, k, false, shape, dims, out);
    if (is_word(source, "zeros", &shape))
        return make_drawn(command, p, k, true, shape, dims, out);
    if (cli_has_suffix(source, ".png") || cli_has_suffix(source, ".jpg") || cli_has_suffix(source, ".jpeg"))
        return make_picture(command, p, source, dims, image, out);
    return make_read(command, p, source, out);
}

/* --- On the device --- */

/* A device tensor of random numbers. */
static tern_status random_on_device(tern_device *d, tern_dtype dtype, const tern_shape *s, uint64_t seed, tern_tensor **out, char *why, size_t why_size)
{
    tern_tensor *host = NULL;
    cl_int err = CL_SUCCESS;
    tern_status st = tern_tensor_create(dtype, s, &host);
    if (st != TERN_OK) {
        snprintf(why, why_size, "%s", tern_last_error());
        return st;
    }
    cli_fill_random(host, seed);
    size_t size = tern_tensor_size_bytes(host);
    cl_mem mem = clCreateBuffer(tern_device_cl_context(d), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, size, tern_tensor_data(host), &err);
    tern_tensor_destroy(host);
    if (err != CL_SUCCESS) {
        snprintf(why, why_size, "the driver gives no buffer of %zu bytes: OpenCL error %d", size, err);
        return TERN_E_DEVICE_MEMORY;
    }
    st = tern_tensor_from_cl(d, mem, dtype, s, out);
    clReleaseMemObject(mem);
    if (st != TERN_OK)
        snprintf(why, why_size, "%s", tern_last_error());
    return st;
}

tern_status cli_device_inputs(tern_device *d, const tern_graph *g, tern_tensor ***out, char *why, size_t why_size)
{
    int n = tern_graph_n_inputs(g);
    tern_status st = TERN_OK;
    *out = calloc((size_t)n + 1, sizeof **out);
    if (!*out) {
        snprintf(why, why_size, "out of memory for %d inputs", n);
        return TERN_E_NOMEM;
    }
    for (int i = 0; i < n && st == TERN_OK; i++) {
        tern_dtype dtype;
        tern_shape s;
        st = tern_graph_value_info(g, tern_graph_input_value(g, i), &dtype, &s);
        st = st == TERN_OK ? random_on_device(d, dtype, &s, (uint64_t)i + 1, &(*out)[i], why, why_size) : st;
    }
    if (st != TERN_OK)
        cli_device_inputs_destroy(out);
    return st;
}

void cli_device_inputs_destroy(tern_tensor ***in)
{
    for (tern_tensor **t = *in; t && *t; t++)
        tern_tensor_destroy(*t);
    free(*in);
    *in = NULL;
}
