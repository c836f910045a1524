/* The device front end: checks arguments, counts references, and hands on to a back end (OpenCL or null). */
#ifndef TERN_DEVICE_DEVICE_H
#define TERN_DEVICE_DEVICE_H

#include <tern/device.h>

/* Kernel families. Chosen by capability (type and native vector width), overridable for tests. */
typedef enum tern__family { TERN__FAMILY_CPU, TERN__FAMILY_SIMT } tern__family;

typedef struct tern__buffer tern__buffer;   /* device memory: a whole allocation or a slice of one */
typedef struct tern__program tern__program; /* built kernels */
typedef struct tern__kernel tern__kernel;   /* one kernel of a program, with its own argument state */

typedef struct tern__event_times {
    uint64_t queued_ns, start_ns, end_ns; /* device clock */
} tern__event_times;

/* One argument of a launch. */
typedef struct tern__arg {
    enum { TERN__ARG_BUFFER, TERN__ARG_SCALAR, TERN__ARG_LOCAL } kind;
    tern__buffer *buffer;  /* BUFFER */
    uint8_t scalar[8];     /* SCALAR: size bytes of it */
    size_t size;           /* SCALAR, LOCAL: bytes */
} tern__arg;

/* What a back end provides. Slots marked optional may be NULL. The front end has validated every argument. */
typedef struct tern__device_ops {
    void (*destroy)(tern_device *d);
    tern_status (*buffer_create)(tern_device *d, size_t size, tern__buffer *b);
    tern_status (*buffer_wrap)(tern_device *d, const void *data, size_t size, tern__buffer *b); /* optional */
    tern_status (*buffer_slice)(tern__buffer *parent, size_t offset, size_t size, tern__buffer *b);
    void (*buffer_destroy)(tern_device *d, tern__buffer *b);
    /* Wait until data may change, or be read; later: only enqueue, what is done by the next finish. */
    tern_status (*write)(tern__buffer *b, size_t offset, const void *data, size_t size, bool later);
    tern_status (*read)(tern__buffer *b, size_t offset, void *data, size_t size, bool later);
    tern_status (*copy)(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size); /* enqueues */
    tern_status (*fill_zero)(tern__buffer *b);                                                 /* enqueues */
    tern_status (*map)(tern__buffer *b, bool write, void **out);                               /* optional; waits */
    tern_status (*unmap)(tern__buffer *b, void *p);                                            /* optional */
    tern_status (*program_build)(tern_device *d, const char *source, size_t len, const char *options,
                                 const uint8_t *binary, size_t binary_size, tern__program *p);  /* binary: NULL or verified bytes */
    tern_status (*program_binary)(tern__program *p, uint8_t **data, size_t *size);             /* optional: without it nothing is cached */
    void (*program_destroy)(tern__program *p);
    tern_status (*kernel_create)(tern__program *p, const char *name, tern__kernel *k);
    void (*kernel_destroy)(tern__kernel *k);
    tern_status (*kernel_set_arg)(tern__kernel *k, int index, const tern__arg *arg);
    /* Enqueues; local[0] 0 leaves the choice to the driver. event NULL: no timing wanted. */
    tern_status (*launch)(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event);
    tern_status (*mark)(tern_device *d, void **event);                                         /* an event that ends when all before it has */
    tern_status (*event_wait_times)(tern_device *d, void *event, tern__event_times *t);
    void (*event_release)(tern_device *d, void *event);
    tern_status (*flush)(tern_device *d);
    tern_status (*finish)(tern_device *d);
} tern__device_ops;

struct tern_device {
    const tern__device_ops *ops;
    tern_device_info info;
    tern__family family;
    bool profile;
    double worker_cycles; /* of one core, for each thread that work is spread over: what waking one should save */
    int dot8, matrix;    /* atomic; what tern__device_dot8 and tern__device_matrix found: 0 not asked yet, 1 no, 2 yes */
    char *cache_dir;     /* "" keeps none */
    void *impl;          /* back end's own */
    struct tern__pool *pool;
    void *tuned;         /* what layers above remember of measured choices, with its end */
    void (*tuned_free)(void *tuned);
    int refs;            /* atomic */
};

tern_device *tern__device_retain(tern_device *d);
void tern__device_release(tern_device *d);

/* Device memory. size is rounded up to the base alignment and to 256 bytes, so that vector loads of a last
 * partial vector stay inside. TERN_E_DEVICE_MEMORY with sizes and limits. Buffers come from and return to the device's pool. */
tern_status tern__buffer_create(tern_device *d, size_t size, tern__buffer **out);
/* The same, unrounded and outside the pool, so that tools which watch bounds see every one. */
tern_status tern__buffer_create_exact(tern_device *d, size_t size, tern__buffer **out);
/* Memory of the host's that kernels only read, without a copy where the device shares it, else as a copy. data stays as it is until the buffer is gone.
 * Nothing may be read past its end. */
tern_status tern__buffer_wrap(tern_device *d, const void *data, size_t size, tern__buffer **out);
/* A view of [offset, offset+size) of a whole buffer; offset a multiple of the base alignment. Keeps the parent alive. */
tern_status tern__buffer_slice(tern__buffer *parent, size_t offset, size_t size, tern__buffer **out);
tern__buffer *tern__buffer_retain(tern__buffer *b);
void tern__buffer_release(tern__buffer *b); /* NULL is fine */
size_t tern__buffer_size(const tern__buffer *b); /* as asked for */
tern_device *tern__buffer_device(const tern__buffer *b);

/* Ranges are checked: TERN_E_INVALID with the values. */
tern_status tern__buffer_write(tern__buffer *b, size_t offset, const void *data, size_t size);
tern_status tern__buffer_read(tern__buffer *b, size_t offset, void *data, size_t size);
/* Enqueue only: data has to stay, and is read or written, until tern__device_finish() returns, which the caller must call even if what follows fails. */
tern_status tern__buffer_write_later(tern__buffer *b, size_t offset, const void *data, size_t size);
tern_status tern__buffer_read_later(tern__buffer *b, size_t offset, void *data, size_t size);
tern_status tern__buffer_copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size);
/* Clears the padding too. Enqueues. */
tern_status tern__buffer_zero(tern__buffer *b);
/* The buffer's memory as the host sees it, until unmapped; nothing that uses the buffer may be launched between. Waits.
 * TERN_E_UNSUPPORTED where the host does not share the device's memory. */
tern_status tern__buffer_map(tern__buffer *b, bool write, void **out);
tern_status tern__buffer_unmap(tern__buffer *b, void *p);

/* Wraps a cl_mem (void * keeps CL out of this header); retained. */
tern_status tern__buffer_from_cl(tern_device *d, void *mem, size_t size, tern__buffer **out);
void *tern__buffer_cl_mem(const tern__buffer *b);

/* One kernel (program.h creates them) is used by one thread at a time. Setting an argument to what it already is costs nothing. */
tern_status tern__kernel_set_arg(tern__kernel *k, int index, const tern__arg *arg);
/* Number of arguments; -1 if the back end does not know. */
int tern__kernel_n_args(const tern__kernel *k);
/* Enqueues. local[0] 0 leaves the work-group to the driver, otherwise local divides global. event NULL: no timing wanted.
 * TERN_E_INVALID for a range that this device does not allow. */
tern_status tern__kernel_launch(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event);

tern_status tern__device_finish(tern_device *d);

#endif
