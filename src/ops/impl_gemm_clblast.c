/* Products by CLBlast, for the big ones on GPUs: one call per product, which launches CLBlast's own kernels on the device's queue.
 * CLBlast builds its kernels at its first call for a device, a precision and a way of running (6.6 s on PoCL, of a process that finds
 * nothing in the driver's own cache) and keeps them, and with them the context, as long as the process lives. */
#include "tern_config.h"

#include "ops/common.h"
#include "ops/impls.h"

#if TERN_HAVE_CLBLAST

#include <inttypes.h>
#include <string.h>

#include <tern/opencl.h>

#include <clblast_c.h>

#include "base/fault.h"
#include "base/status.h"

/* Below it, what CLBlast does before and after its main kernel (padding, transposing, copying back) costs more than that kernel wins. */
enum { MIN_SIDE = 256 };

/* c[batch] = a[batch] b[batch], all row-major; a stride of 0 uses one matrix for the whole batch. Elements, not bytes. */
struct call {
    bool f64, trans_a, trans_b;
    size_t m, n, k, batch;
    size_t ld_a, ld_b, ld_c;
    size_t stride_a, stride_b, stride_c;
    size_t temp_bytes; /* a fourth slot for CLBlast's padded copies, if not 0 */
};

/* --- Status codes --- */

static const char *words_of(CLBlastStatusCode code)
{
    switch (code) {
    case CLBlastTempBufferAllocFailure:
        return "no device memory for its padded copies";
    case CLBlastOpenCLOutOfResources:
        return "the device is out of resources";
    case CLBlastOpenCLOutOfHostMemory:
        return "host memory ran out";
    case CLBlastOpenCLCompilerNotAvailable:
        return "the driver has no compiler";
    case CLBlastOpenCLBuildProgramFailure:
        return "its kernels do not compile on this device";
    case CLBlastInvalidLocalMemUsage:
        return "its kernels need more local memory than the device has";
    case CLBlastInvalidLocalThreadsTotal:
    case CLBlastInvalidLocalThreadsDim:
        return "its kernels need larger work-groups than the device allows";
    case CLBlastNoDoublePrecision:
        return "the device has no f64";
    case CLBlastInsufficientMemoryA:
    case CLBlastInsufficientMemoryB:
    case CLBlastInsufficientMemoryC:
    case CLBlastInsufficientMemoryTemp:
        return "a buffer is too small";
    case CLBlastDatabaseError:
        return "it has no parameters for this device";
    default:
        return "the call failed";
    }
}

static tern_status status_of(CLBlastStatusCode code)
{
    switch (code) {
    case CLBlastTempBufferAllocFailure:
        return TERN_E_DEVICE_MEMORY;
    case CLBlastOpenCLOutOfHostMemory:
        return TERN_E_NOMEM;
    case CLBlastOpenCLBuildProgramFailure:
        return TERN_E_BUILD;
    default:
        return TERN_E_DEVICE;
    }
}

static tern_status check(CLBlastStatusCode code, const struct call *p)
{
    if (code == CLBlastSuccess)
        return TERN_OK;
    return tern__fail(status_of(code), "matmul: CLBlast's product of %zu x %zu by %zu x %zu: %s (%d)", p->m, p->k, p->k, p->n, words_of(code), (int)code);
}

/* --- The call --- */

static CLBlastTranspose transpose(bool yes)
{
    return yes ? CLBlastTransposeYes : CLBlastTransposeNo;
}

static CLBlastStatusCode one_product(const struct call *p, cl_mem a, cl_mem b, cl_mem c, cl_mem temp, cl_command_queue *q)
{
    if (p->f64)
        return CLBlastDgemmWithTempBuffer(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 1, a, 0, p->ld_a, b, 0,
                                          p->ld_b, 0, c, 0, p->ld_c, q, NULL, temp);
    return CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 1, a, 0, p->ld_a, b, 0,
                                      p->ld_b, 0, c, 0, p->ld_c, q, NULL, temp);
}

/* CLBlast makes and frees the memory of its copies here, in every run. */
static CLBlastStatusCode batch_of_products(const struct call *p, cl_mem a, cl_mem b, cl_mem c, cl_command_queue *q)
{
    if (p->f64)
        return CLBlastDgemmStridedBatched(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 1, a, 0, p->ld_a,
                                          p->stride_a, b, 0, p->ld_b, p->stride_b, 0, c, 0, p->ld_c, p->stride_c, p->batch, q, NULL);
    return CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 1, a, 0, p->ld_a,
                                      p->stride_a, b, 0, p->ld_b, p->stride_b, 0, c, 0, p->ld_c, p->stride_c, p->batch, q, NULL);
}

static tern_status run(tern_device *d, tern__buffer *const *slots, const void *data)
{
    const struct call *p = data;
    cl_command_queue queue = tern_device_cl_queue(d);
    cl_mem a = tern__buffer_cl_mem(slots[0]), b = tern__buffer_cl_mem(slots[1]), c = tern__buffer_cl_mem(slots[2]);
    if (tern__fault_hit(TERN__FAULT_CL))
        return check(CLBlastOpenCLOutOfResources, p);
    if (p->batch > 1)
        return check(batch_of_products(p, a, b, c, &queue), p);
    return check(one_product(p, a, b, c, p->temp_bytes ? tern__buffer_cl_mem(slots[3]) : NULL, &queue), p);
}

/* --- What is taken --- */

static bool flag(const tern__node *n, const char *name)
{
    for (int i = 0; i < n->op->n_attrs; i++)
        if (!strcmp(n->op->attrs[i].name, name))
            return tern__attr_int(n, i) != 0;
    return false;
}

static int64_t matrices(const tern_shape *s)
{
    return tern__extent(s, 0, s->rank - 2);
}

/* Both operands have at least two axes. */
static void read_call(const tern__lower *l, const tern__node *n, struct call *p)
{
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    const tern__type *c = tern__lower_type(l, n->out[0]);
    *p = (struct call){.f64 = c->dtype == TERN_F64, .trans_a = flag(n, "trans_a"), .trans_b = flag(n, "trans_b")};
    p->m = (size_t)c->shape.dim[c->shape.rank - 2];
    p->n = (size_t)c->shape.dim[c->shape.rank - 1];
    p->k = (size_t)a->dim[a->rank - (p->trans_a ? 2 : 1)];
    p->batch = (size_t)matrices(&c->shape);
    p->ld_a = p->trans_a ? p->m : p->k;
    p->ld_b = p->trans_b ? p->k : p->n;
    p->ld_c = p->n;
    p->stride_a = matrices(a) == 1 ? 0 : p->m * p->k;
    p->stride_b = matrices(b) == 1 ? 0 : p->k * p->n;
    p->stride_c = p->m * p->n;
}

static bool accept_operand(const tern__lower *l, const tern__node *n, int i, tern__str *why)
{
    const tern_shape *s = &tern__lower_type(l, n->in[i])->shape;
    if (s->rank < 2) {
        tern__str_addf(why, "operand %d is a vector", i);
        return false;
    }
    const int64_t own = matrices(s), all = matrices(&tern__lower_type(l, n->out[0])->shape);
    if (own != 1 && own != all) {
        tern__str_addf(why, "operand %d has %" PRId64 " matrices for a batch of %" PRId64, i, own, all);
        return false;
    }
    return true;
}

/* CLBlast counts elements in 32 bits. */
static bool accept_elements(const tern__lower *l, tern_value v, tern__str *why)
{
    const int64_t elems = tern__elems(&tern__lower_type(l, v)->shape);
    if (elems > INT32_MAX)
        tern__str_addf(why, "%" PRId64 " elements need more than 32-bit offsets", elems);
    return elems <= INT32_MAX;
}

static bool accept_device(const tern__lower *l, tern_dtype dtype, tern__str *why)
{
    if (!tern_device_cl_context(tern__lower_open_device(l)))
        tern__str_add(why, "it needs an OpenCL device");
    else if (tern__lower_family(l) != TERN__FAMILY_SIMT)
        tern__str_add(why, "made for GPUs");
    else if (dtype == TERN_F64 && !tern__lower_device(l)->fp64)
        tern__str_add(why, "the device has no f64");
    else
        return true;
    return false;
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    const tern_dtype dtype = tern__lower_type(l, n->out[0])->dtype;
    if (dtype != TERN_F32 && dtype != TERN_F64) {
        tern__str_addf(why, "%s is not for this library", tern_dtype_name(dtype));
        return false;
    }
    if (!accept_device(l, dtype, why) || !accept_operand(l, n, 0, why) || !accept_operand(l, n, 1, why))
        return false;
    struct call p;
    read_call(l, n, &p);
    if (p.batch == 0 || p.m < MIN_SIDE || p.n < MIN_SIDE || p.k < MIN_SIDE) {
        tern__str_addf(why, "%zu rows, %zu columns and sums over %zu: each must be at least %d to be worth it", p.m, p.n, p.k, MIN_SIDE);
        return false;
    }
    return accept_elements(l, n->in[0], why) && accept_elements(l, n->in[1], why) && accept_elements(l, n->out[0], why);
}

/* Memory for padded copies comes from the plan where CLBlast lets it: nothing is allocated in a run then. */
static tern_status ask_temp(const tern__lower *l, struct call *p)
{
    cl_command_queue queue = tern_device_cl_queue(tern__lower_open_device(l));
    if (p->batch > 1)
        return TERN_OK;
    if (tern__fault_hit(TERN__FAULT_CL))
        return check(CLBlastOpenCLOutOfResources, p);
    if (p->f64)
        return check(CLBlastDGemmTempBufferSize(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 0, p->ld_a, 0,
                                                p->ld_b, 0, p->ld_c, &queue, &p->temp_bytes), p);
    return check(CLBlastSGemmTempBufferSize(CLBlastLayoutRowMajor, transpose(p->trans_a), transpose(p->trans_b), p->m, p->n, p->k, 0, p->ld_a, 0,
                                            p->ld_b, 0, p->ld_c, &queue, &p->temp_bytes), p);
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    struct call p;
    read_call(l, n, &p);
    TERN_TRY(ask_temp(l, &p));
    const int temp = p.temp_bytes ? tern__lower_temp(l, p.temp_bytes) : -1;
    if (p.temp_bytes && temp < 0)
        return TERN_E_NOMEM;
    tern__kern *k = tern__lower_kernel(l, NULL);
    tern__kern_call(k, run, &p, sizeof p);
    tern__kern_value(k, n->in[0]);
    tern__kern_value(k, n->in[1]);
    tern__kern_result(k, n->out[0]);
    if (temp >= 0)
        tern__kern_slot(k, temp, true);
    return k ? TERN_OK : TERN_E_NOMEM;
}

const tern__impl tern__impl_matmul_clblast = {.name = "clblast", .accept = accept, .lower = lower, .alone = true};

#endif
