/* libFuzzer target: the model file reader on any bytes. What it accepts must be a valid graph that prints.
 * Bytes that start with '{' are taken as a graph's text and put into a file with the tensors that it names and a right checksum, so that
 * the builder and the shape rules are reached too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "formats/json.h"
#include "formats/model.h"
#include "graph/graph.h"
#include <tern/model.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_file(const uint8_t *data, size_t size)
{
    tern_graph *g = NULL;
    char *text = NULL;
    if (tern__model_parse(data, size, &g) != TERN_OK)
        return;
    if (tern__graph_verify(g) != TERN_OK || tern_graph_print(g, &text) != TERN_OK)
        abort();
    tern_text_free(text);
    tern_graph_destroy(g);
}

/* Header entries of zeros for the list's tensors; *at is where their data has got to. Large ones are left out. */
static void add_tensors(tern__str *h, const tern__json *list, const char *key, size_t *at)
{
    static const char *const codes[] = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL"};
    for (const tern__json *v = tern__json_first(list); v; v = tern__json_next(list, v)) {
        const char *name = tern__json_string(tern__json_get(v, key)), *dtype = tern__json_string(tern__json_get(v, "dtype"));
        tern_dtype t;
        tern_shape s;
        int64_t elems;
        if (!name || !dtype || tern_dtype_parse(dtype, &t) || tern__json_shape(tern__json_get(v, "shape"), &s) ||
            !tern__shape_elems(&s, &elems) || elems > 4096)
            continue;
        size_t bytes = (size_t)elems * tern_dtype_size(t);
        tern__str_add(h, ",");
        tern__json_add_string(h, name);
        tern__str_addf(h, ":{\"dtype\":\"%s\",\"shape\":", codes[t]);
        tern__json_add_ints(h, s.dim, s.rank);
        tern__str_addf(h, ",\"data_offsets\":[%zu,%zu]}", *at, *at + bytes);
        *at += bytes;
    }
}

/* The checksum goes over each tensor in the graph's order. */
static tern__digest add_digest(tern__digest d, const tern__json *list)
{
    static const uint8_t zeros[4096 * 8];
    for (const tern__json *v = tern__json_first(list); v; v = tern__json_next(list, v)) {
        const char *dtype = tern__json_string(tern__json_get(v, "dtype"));
        tern_dtype t;
        tern_shape s;
        int64_t elems;
        if (dtype && !tern_dtype_parse(dtype, &t) && !tern__json_shape(tern__json_get(v, "shape"), &s) && tern__shape_elems(&s, &elems) && elems <= 4096)
            d = tern__hash_more(d, zeros, (size_t)elems * tern_dtype_size(t));
    }
    return d;
}

static void try_text(const char *text)
{
    tern__json_doc doc = {0};
    if (tern__json_parse(text, strlen(text), &doc) != TERN_OK)
        return;
    const tern__json *variables = tern__json_get(doc.values, "variables"), *constants = tern__json_get(doc.values, "constants");
    char sum[33];
    size_t data = 0;
    tern__str h = {0};
    tern__digest_hex(add_digest(add_digest(tern__hash(text, strlen(text)), variables), constants), sum);
    tern__str_addn(&h, "\0\0\0\0\0\0\0\0", 8);
    tern__str_addf(&h, "{\"__metadata__\":{\"tern.version\":\"1\",\"tern.checksum\":\"%s\",\"tern.graph\":", sum);
    if (tern__json_add_string(&h, text)) {
        tern__str_add(&h, "}");
        add_tensors(&h, variables, "name", &data);
        add_tensors(&h, constants, "tensor", &data);
        tern__str_add(&h, "}");
        for (int i = 0; i < 8; i++)
            h.s[i] = (char)((uint64_t)(h.len - 8) >> (8 * i));
        uint8_t *file = tern__alloc(h.len + data);
        memcpy(file, h.s, h.len);
        try_file(file, h.len + data);
        tern__free(file);
    }
    tern__str_finish(&h);
    tern__json_finish(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_file(data, size);
    if (size && data[0] == '{') {
        char *text = tern__alloc(size + 1);
        memcpy(text, data, size);
        try_text(text);
        tern__free(text);
    }
    return 0;
}
