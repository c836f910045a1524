/* The ONNX functions of a library built without protobuf-c: each says what is missing. */
#include "tern_config.h"
#if !TERN_HAVE_ONNX

#include <tern/onnx.h>
#include "base/status.h"

static tern_status missing(const char *what)
{
    return tern__fail(TERN_E_UNSUPPORTED, "%s: this build of Tern has no ONNX; it needs libprotobuf-c-dev, protobuf-c-compiler and libonnx-dev when it is made",
                      what);
}

void tern_onnx_value_clear(tern_onnx_value *v)
{
    if (v) /* nobody but the caller can have filled it */
        *v = (tern_onnx_value){TERN_ONNX_NOTHING, NULL, NULL, 0};
}

tern_status tern_onnx_value_load(const char *path, tern_onnx_kind kind, bool optional, tern_onnx_value *out)
{
    (void)kind, (void)optional, (void)out;
    return missing(path);
}

tern_status tern_onnx_tensor_save(const tern_tensor *t, const char *name, const char *path)
{
    (void)t, (void)name;
    return missing(path);
}

tern_status tern_onnx_load(const char *path, tern_onnx **out)
{
    (void)out;
    return missing(path);
}

void tern_onnx_destroy(tern_onnx *m) { (void)m; }

int tern_onnx_n_inputs(const tern_onnx *m)
{
    (void)m;
    return 0;
}

int tern_onnx_n_outputs(const tern_onnx *m)
{
    (void)m;
    return 0;
}

tern_status tern_onnx_input(const tern_onnx *m, int i, tern_onnx_port *out)
{
    (void)m, (void)i, (void)out;
    return missing("input of a model");
}

tern_status tern_onnx_output(const tern_onnx *m, int i, tern_onnx_port *out)
{
    (void)m, (void)i, (void)out;
    return missing("output of a model");
}

void tern_onnx_get_info(const tern_onnx *m, tern_onnx_info *out)
{
    (void)m;
    *out = (tern_onnx_info){.producer = "", .producer_version = "", .graph_name = ""};
}

int tern_onnx_n_ops(const tern_onnx *m)
{
    (void)m;
    return 0;
}

tern_status tern_onnx_get_op(const tern_onnx *m, int i, tern_onnx_op *out)
{
    (void)m, (void)i, (void)out;
    return missing("operator of a model");
}

tern_status tern_onnx_graph(tern_onnx *m, const tern_onnx_graph_params *p, tern_graph **out)
{
    (void)m, (void)p, (void)out;
    return missing("graph of a model");
}

tern_status tern_onnx_copy(const tern_onnx *m, const char *path)
{
    (void)m;
    return missing(path);
}

tern_status tern_onnx_save(const tern_graph *g, const char *path)
{
    (void)g;
    return missing(path);
}

tern_status tern_onnx_session_create(tern_device *d, tern_onnx *m, const tern_onnx_session_params *p, tern_onnx_session **out)
{
    (void)d, (void)m, (void)p, (void)out;
    return missing("session");
}

void tern_onnx_session_destroy(tern_onnx_session *s) { (void)s; }

tern_status tern_onnx_session_run(tern_onnx_session *s, const tern_onnx_value *in, tern_onnx_value *out)
{
    (void)s, (void)in, (void)out;
    return missing("run");
}

void tern_onnx_session_get_info(const tern_onnx_session *s, tern_onnx_session_info *out)
{
    (void)s;
    *out = (tern_onnx_session_info){0, 0, 0, 0};
}
#endif
