/* What the front end and its back ends share: the insides of buffers, programs and kernels. */
#ifndef TERN_DEVICE_IMPL_H
#define TERN_DEVICE_IMPL_H

#include "base/hash.h"
#include "device/device.h"

struct tern__buffer {
    tern_device *device;  /* a reference while the buffer is in use, none while it waits in the pool */
    tern__buffer *parent; /* a slice's whole buffer, a reference; NULL for a whole buffer */
    size_t offset;        /* in the parent; 0 for a whole buffer */
    size_t size;          /* as asked for */
    size_t capacity;      /* bytes that are really there */
    uint64_t id;          /* never reused, unlike addresses: what kernels remember their arguments by */
    void *mem;            /* back end's: a cl_mem, or host memory */
    char *host;           /* back end's: the same memory where the host sees it; NULL: it does not, or this is a slice */
    bool pooled;          /* goes to the pool rather than away */
    int refs;             /* atomic */
    tern__buffer *next;   /* in the pool */
};

struct tern__program {
    tern_device *device;
    void *impl;
    tern__digest key;     /* of its cache entry */
    int refs;             /* atomic */
};

/* What a kernel's argument was last set to. */
typedef struct tern__arg_state {
    bool set;
    int kind;
    uint64_t buffer_id;
    uint8_t scalar[8];
    size_t size;
} tern__arg_state;

struct tern__kernel {
    tern_device *device;     /* the program's; no reference of its own */
    tern__program *program;  /* a reference */
    char *name;
    void *impl;
    int n_args;              /* -1: the back end does not know */
    tern__arg_state *args;   /* n_args of them */
};

/* The whole buffer that b is, or is a slice of. */
static inline tern__buffer *tern__buffer_root(tern__buffer *b)
{
    return b->parent ? b->parent : b;
}

/* A zeroed device with one reference, for a back end to fill. NULL: no memory. */
tern_device *tern__device_new(void);
/* Finishes a device whose back end is ready: parameters, family, cache folder. On failure the caller still owns d. */
tern_status tern__device_adopt(tern_device *d, const tern_device_params *params);

/* A whole buffer around a back end's memory object, outside the pool. Takes mem over on success. */
tern_status tern__buffer_adopt(tern_device *d, void *mem, size_t size, tern__buffer **out);

/* Idle buffers, kept for the next request of about the same size. */
typedef struct tern__pool tern__pool;
tern__pool *tern__pool_create(void);
/* Gives every idle buffer back to the driver; how many bytes that freed. */
size_t tern__pool_drain(tern_device *d);
void tern__pool_destroy(tern_device *d);

/* Where programs are cached for these parameters: an allocated path, "" for nowhere. NULL: no memory. */
char *tern__cache_dir(const char *asked);

/* The devices of a machine and the one an empty selection opens. handles[i] goes with infos[i]. */
tern_status tern__device_choose(const char *select, tern_device_info *infos, int n, int *out);
/* Fills chosen and why of each. */
void tern__device_explain(tern_device_info *infos, int n);
const char *tern__device_type_name(tern_device_type t);

/* "3.2 GiB", "512 bytes". */
typedef struct tern__size_text { char s[32]; } tern__size_text;
tern__size_text tern__size_words(uint64_t bytes);

#endif
