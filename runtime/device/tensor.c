/* Tensors: a dtype and a shape over host memory, owned or borrowed, or over a device buffer. */
#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "device/tensor.h"

struct tern_tensor {
    tern_dtype dtype;
    tern_shape shape;
    size_t elems, bytes;
    void *data;           /* host memory */
    bool owns;            /* data goes with the tensor */
    tern__buffer *buffer; /* a reference; NULL for a host tensor */
};

static tern_status fail_overflow(tern_dtype dtype, const tern_shape *shape)
{
    tern__str s = { 0 };
    for (int i = 0; i < shape->rank; i++)
        tern__str_addf(&s, "%s%lld", i ? "x" : "", (long long)shape->dim[i]);
    tern_status st = tern__fail(TERN_E_SHAPE, "tensor: %s of %s is more than memory can address", tern__str_text(&s), tern_dtype_name(dtype));
    tern__str_finish(&s);
    return st;
}

tern_status tern__tensor_measure(tern_dtype dtype, const tern_shape *shape, size_t *elems, size_t *bytes)
{
    if (tern_dtype_size(dtype) == 0)
        return tern__fail(TERN_E_DTYPE, "tensor: %d is no element type", (int)dtype);
    if (!shape)
        return tern__fail(TERN_E_INVALID, "tensor: a shape is needed");
    if (shape->rank < 0 || shape->rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "tensor: rank %d is outside 0..%d", shape->rank, TERN_MAX_RANK);
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0)
            return tern__fail(TERN_E_SHAPE, "tensor: dimension %d is %lld", i, (long long)shape->dim[i]);
    int64_t n;
    size_t size;
    if (!tern__shape_elems(shape, &n) || (uint64_t)n > SIZE_MAX || !tern__mul_size((size_t)n, tern_dtype_size(dtype), &size))
        return fail_overflow(dtype, shape);
    if (elems)
        *elems = (size_t)n;
    if (bytes)
        *bytes = size;
    return TERN_OK;
}

static tern_status new_tensor(tern_dtype dtype, const tern_shape *shape, tern_tensor **out)
{
    size_t elems, bytes;
    TERN_TRY(tern__tensor_measure(dtype, shape, &elems, &bytes));
    tern_tensor *t = tern__alloc(sizeof *t);
    if (!t)
        return tern__fail(TERN_E_NOMEM, "tensor: no host memory for %zu bytes", sizeof *t);
    t->dtype = dtype;
    t->shape.rank = shape->rank; /* dimensions past the rank stay 0 */
    for (int i = 0; i < shape->rank; i++)
        t->shape.dim[i] = shape->dim[i];
    t->elems = elems;
    t->bytes = bytes;
    *out = t;
    return TERN_OK;
}

tern_status tern_tensor_create(tern_dtype dtype, const tern_shape *shape, tern_tensor **out)
{
    tern_tensor *t = NULL;
    if (!out)
        return tern__fail(TERN_E_INVALID, "tensor: nowhere to put the tensor");
    TERN_TRY(new_tensor(dtype, shape, &t));
    t->owns = true;
    t->data = tern__alloc(t->bytes);
    if (!t->data) {
        tern_status st = tern__fail(TERN_E_NOMEM, "tensor: no host memory for %zu elements of %s, %zu bytes", t->elems,
                                    tern_dtype_name(dtype), t->bytes);
        tern_tensor_destroy(t);
        return st;
    }
    *out = t;
    return TERN_OK;
}

tern_status tern_tensor_wrap(tern_dtype dtype, const tern_shape *shape, void *data, tern_tensor **out)
{
    tern_tensor *t = NULL;
    if (!out)
        return tern__fail(TERN_E_INVALID, "tensor: nowhere to put the tensor");
    TERN_TRY(new_tensor(dtype, shape, &t));
    if (!data && t->bytes > 0) {
        tern_tensor_destroy(t);
        return tern__fail(TERN_E_INVALID, "tensor: no memory given to wrap");
    }
    t->data = data;
    *out = t;
    return TERN_OK;
}

tern_status tern__tensor_on_device(tern_dtype dtype, const tern_shape *shape, tern__buffer *b, tern_tensor **out)
{
    tern_tensor *t = NULL;
    TERN_TRY(new_tensor(dtype, shape, &t));
    if (tern__buffer_size(b) < t->bytes) {
        tern_status st = tern__fail(TERN_E_SHAPE, "tensor: the buffer has %zu bytes, the shape needs %zu", tern__buffer_size(b), t->bytes);
        tern_tensor_destroy(t);
        return st;
    }
    t->buffer = tern__buffer_retain(b);
    *out = t;
    return TERN_OK;
}

void tern_tensor_destroy(tern_tensor *t)
{
    if (!t)
        return;
    if (t->owns)
        tern__free(t->data);
    tern__buffer_release(t->buffer);
    tern__free(t);
}

tern_dtype tern_tensor_dtype(const tern_tensor *t)
{
    return t->dtype;
}

const tern_shape *tern_tensor_shape(const tern_tensor *t)
{
    return &t->shape;
}

size_t tern_tensor_elems(const tern_tensor *t)
{
    return t->elems;
}

size_t tern_tensor_size_bytes(const tern_tensor *t)
{
    return t->bytes;
}

void *tern_tensor_data(const tern_tensor *t)
{
    return t->data;
}

tern__buffer *tern__tensor_buffer(const tern_tensor *t)
{
    return t->buffer;
}
