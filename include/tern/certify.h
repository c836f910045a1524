/* Certification: every op, element type and implementation against its scalar reference on this very device and driver. */
#ifndef TERN_CERTIFY_H
#define TERN_CERTIFY_H

#include <tern/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_certify_case {
    const char *op, *dtype, *impl, *shape; /* valid during the callback */
    bool passed;
    double max_error, allowed;             /* largest |x - ref| / (1 + |ref|), and what is allowed */
    const char *reason;                    /* why it failed; "" if it passed */
} tern_certify_case;

typedef struct tern_certify_params {
    const char *op;      /* only ops whose name contains this; NULL: all */
    bool quick;          /* the smallest size of each case only */
    void (*on_case)(void *user, const tern_certify_case *c); /* may be NULL */
    void *user;
} tern_certify_params;

typedef struct tern_certify_result {
    int n_passed, n_failed;
} tern_certify_result;

/* TERN_OK when the run finished, whatever it found; errors are those of the device. params may be NULL. */
TERN_API tern_status tern_certify(tern_device *d, const tern_certify_params *params, tern_certify_result *out) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
