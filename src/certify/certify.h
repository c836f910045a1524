/* Certification of some element types only, for tests that have to be quick. */
#ifndef TERN_CERTIFY_CERTIFY_H
#define TERN_CERTIFY_CERTIFY_H

#include <tern/certify.h>

/* tern_certify() of the element types whose bit (1 << dtype) is set. */
tern_status tern__certify(tern_device *d, const tern_certify_params *params, unsigned dtypes, tern_certify_result *out);

#endif
