/* libFuzzer target: the model file reader on any bytes. What it accepts must be a valid graph that prints. */
#include <stdint.h>
#include <stdlib.h>

#include "formats/model.h"
#include "graph/graph.h"
#include <tern/model.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Most random changes break the checksum last of all, after everything else was read: nothing is hidden from the fuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tern_graph *g = NULL;
    if (tern__model_parse(data, size, &g) != TERN_OK)
        return 0;
    char *text = NULL;
    if (tern__graph_verify(g) != TERN_OK || (tern_graph_print(g, &text) != TERN_OK))
        abort();
    tern_text_free(text);
    tern_graph_destroy(g);
    return 0;
}
