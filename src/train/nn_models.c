/* The networks that the command line knows by name. */
#include <tern/nn.h>

#include "base/status.h"
#include "graph/graph.h"

#include <string.h>

/* 28 x 28 -> 14 x 14 -> 7 x 7, 32 and 64 channels, then 128 units: 421,642 parameters. */
static tern_value convnet(tern_nn *nn, tern_value x, bool training)
{
    x = tern_nn_relu(nn, tern_nn_conv2d(nn, "conv1", x, 32, 3, 1, 1));
    x = tern_nn_max_pool2d(nn, x, 2, 2);
    x = tern_nn_relu(nn, tern_nn_conv2d(nn, "conv2", x, 64, 3, 1, 1));
    x = tern_nn_max_pool2d(nn, x, 2, 2);
    x = tern_nn_relu(nn, tern_nn_dense(nn, "dense1", tern_nn_flatten(nn, x), 128));
    x = tern_nn_dropout(nn, "drop", x, 0.25, training);
    return tern_nn_dense(nn, "dense2", x, 10);
}

static tern_value mlp(tern_nn *nn, tern_value x, bool training)
{
    (void)training;
    x = tern_nn_relu(nn, tern_nn_dense(nn, "dense1", tern_nn_flatten(nn, x), 256));
    x = tern_nn_relu(nn, tern_nn_dense(nn, "dense2", x, 128));
    return tern_nn_dense(nn, "dense3", x, 10);
}

static const char *const names[] = {"convnet", "mlp"};
static tern_value (*const models[])(tern_nn *nn, tern_value x, bool training) = {convnet, mlp};

const char *const *tern_nn_model_names(int *n)
{
    if (n)
        *n = TERN_COUNT(names);
    return names;
}

tern_value tern_nn_model(tern_nn *nn, const char *model, tern_value x, bool training)
{
    if (!nn || !nn->g)
        return TERN_NONE;
    for (int i = 0; model && i < TERN_COUNT(names); i++)
        if (strcmp(names[i], model) == 0)
            return models[i](nn, x, training);
    return tern__graph_fail(nn->g, TERN_E_NOT_FOUND, "no network is called \"%s\"; there are convnet and mlp", model ? model : "");
}
