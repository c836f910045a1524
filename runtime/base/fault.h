/* Fault injection for tests: the n-th allocation, file call or OpenCL call fails, once or from then on. */
#ifndef TERN_BASE_FAULT_H
#define TERN_BASE_FAULT_H

#include <tern/base.h>

typedef enum tern__fault_kind { TERN__FAULT_ALLOC, TERN__FAULT_FILE, TERN__FAULT_CL, TERN__FAULT_KINDS } tern__fault_kind;

/* The nth call of this kind from now (1 is the next) fails; for_good: and every later one. nth 0 disarms.
 * Counters are per process and atomic. */
void tern__fault_arm(tern__fault_kind kind, long nth, bool for_good);
/* Calls of this kind since the last arm. */
long tern__fault_count(tern__fault_kind kind);
/* Asked by each wrapper before the real call: true means "fail now". */
bool tern__fault_hit(tern__fault_kind kind);

#endif
