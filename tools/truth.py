"""Writes tests/data/truth.json and truth.safetensors: what PyTorch computes for a set of ops and for the demo's network.

Everything is computed in float64 and stored in float32, so that the vectors are closer to the truth than any float32 run.
tests/test_truth.c replays them. Needs python3-torch; the tests need only the files.

usage: /usr/bin/python3 tools/truth.py"""
import json
import math
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests/data"
tensors, cases = {}, []
group = ""  # cases of one group share a session when they are replayed


def lcg(seed, shape, scale, dtype=np.float64):
    """Numbers in [-scale, scale), exact in float32 before the scaling, that tests/test_truth.c computes in the same way."""
    n, state = math.prod(shape), seed
    out = np.empty(n, np.float32)
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = np.float32(state >> 8) / np.float32(8388608) - np.float32(1)
    return (out * np.float32(scale)).astype(dtype).reshape(shape)


def keep(name, array):
    array = np.ascontiguousarray(array)
    tensors[name] = array.astype(np.float32) if array.dtype.kind == "f" else array


def case(name, op, inputs, fn, attrs=None, grad=None, ints=None):
    """One op on inputs {name: float64 array}; fn gets tensors in that order. Integer inputs go into ints, after the others.

    The gradients are those of sum(y * r) with respect to the inputs in grad (default: all of them)."""
    values = [torch.tensor(np.float32(a), dtype=torch.float64, requires_grad=True) for a in inputs.values()]
    extra = [torch.tensor(a) for a in (ints or {}).values()]
    y = fn(*values, *extra)
    r = torch.tensor(lcg(991, tuple(y.shape), 1.0))
    wrt = list(inputs) if grad is None else grad
    if wrt:
        (y * r).sum().backward()
    for k, v in zip(inputs, values):
        keep(f"{name}/{k}", v.detach().numpy())
        if k in wrt:
            keep(f"{name}/d{k}", v.grad.numpy())
    for k, a in (ints or {}).items():
        keep(f"{name}/{k}", a)
    keep(f"{name}/y", y.detach().numpy())
    keep(f"{name}/r", r.numpy())
    cases.append({"name": name, "group": group, "op": op, "in": [*inputs, *(ints or {})], "attrs": attrs or {}, "grad": wrt})


def convolutions():
    x = lcg(1, (2, 4, 7, 6), 1)
    w, b = lcg(2, (6, 4, 3, 3), 0.5), lcg(3, (6,), 1)
    case("conv_plain", "conv", {"x": x, "w": w, "b": b}, F.conv2d)
    case("conv_stride_pad", "conv", {"x": x, "w": w, "b": b}, lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
         {"strides": [2, 2], "pads": [1, 1, 1, 1]})
    case("conv_dilation", "conv", {"x": x, "w": w}, lambda x, w: F.conv2d(x, w, padding=2, dilation=2),
         {"dilations": [2, 2], "pads": [2, 2, 2, 2]})
    case("conv_uneven_pads", "conv", {"x": x, "w": w}, lambda x, w: F.conv2d(F.pad(x, (2, 1, 0, 1)), w),
         {"pads": [0, 2, 1, 1]})
    case("conv_groups", "conv", {"x": x, "w": lcg(4, (6, 2, 3, 3), 0.5), "b": b}, lambda x, w, b: F.conv2d(x, w, b, padding=1, groups=2),
         {"pads": [1, 1, 1, 1], "group": 2})
    case("conv_depthwise", "conv", {"x": x, "w": lcg(5, (4, 1, 3, 3), 0.5)}, lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=4),
         {"pads": [1, 1, 1, 1], "strides": [2, 2], "group": 4})
    case("conv_1x1", "conv", {"x": x, "w": lcg(6, (5, 4, 1, 1), 0.5)}, F.conv2d)
    case("conv_blocks", "conv", {"x": lcg(7, (1, 32, 9, 5), 1), "w": lcg(8, (32, 32, 3, 3), 0.1), "b": lcg(9, (32,), 1)},
         lambda x, w, b: F.conv2d(x, w, b, padding=1), {"pads": [1, 1, 1, 1]})
    case("conv_1d", "conv", {"x": lcg(10, (2, 3, 11), 1), "w": lcg(11, (4, 3, 5), 0.5)}, lambda x, w: F.conv1d(x, w, stride=2, padding=2),
         {"strides": [2], "pads": [2, 2]})
    case("conv_3d", "conv", {"x": lcg(12, (1, 2, 4, 5, 4), 1), "w": lcg(13, (3, 2, 2, 3, 2), 0.5)},
         lambda x, w: F.conv3d(x, w, padding=(0, 1, 0)), {"pads": [0, 1, 0, 0, 1, 0]})
    wt = lcg(14, (4, 3, 3, 3), 0.5)
    case("conv_transpose_plain", "conv_transpose", {"x": x, "w": wt, "b": lcg(15, (3,), 1)}, F.conv_transpose2d)
    case("conv_transpose_stride", "conv_transpose", {"x": x, "w": wt}, lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
         {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})
    case("conv_transpose_groups", "conv_transpose", {"x": x, "w": lcg(16, (4, 2, 3, 2), 0.5)},
         lambda x, w: F.conv_transpose2d(x, w, stride=(1, 2), dilation=(2, 1), groups=2), {"strides": [1, 2], "dilations": [2, 1], "group": 2})


def products():
    case("matmul_plain", "matmul", {"a": lcg(20, (5, 7), 1), "b": lcg(21, (7, 6), 1)}, torch.matmul)
    case("matmul_tiles", "matmul", {"a": lcg(22, (33, 17), 1), "b": lcg(23, (17, 34), 1)}, torch.matmul)
    case("matmul_batch", "matmul", {"a": lcg(24, (2, 1, 4, 5), 1), "b": lcg(25, (3, 5, 2), 1)}, torch.matmul)
    case("matmul_vector", "matmul", {"a": lcg(26, (4, 5), 1), "b": lcg(27, (5,), 1)}, torch.matmul)
    case("gemm", "gemm", {"a": lcg(28, (6, 5), 1), "b": lcg(29, (4, 6), 1), "c": lcg(19, (4,), 1)},
         lambda a, b, c: 0.5 * a.T @ b.T + 2 * c, {"trans_a": 1, "trans_b": 1, "alpha": 0.5, "beta": 2.0})


def pools():
    x = lcg(30, (2, 3, 7, 6), 1)
    case("max_pool_plain", "max_pool", {"x": x}, lambda x: F.max_pool2d(x, 2), {"kernel": [2, 2], "strides": [2, 2]})
    case("max_pool_pad", "max_pool", {"x": x}, lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
         {"kernel": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
    case("max_pool_dilation", "max_pool", {"x": x}, lambda x: F.max_pool2d(x, 2, stride=1, dilation=2),
         {"kernel": [2, 2], "dilations": [2, 2]})
    case("average_pool_plain", "average_pool", {"x": x}, lambda x: F.avg_pool2d(x, 3, stride=2), {"kernel": [3, 3], "strides": [2, 2]})
    case("average_pool_pad", "average_pool", {"x": x}, lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
         {"kernel": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})
    case("average_pool_count_pad", "average_pool", {"x": x}, lambda x: F.avg_pool2d(x, 3, stride=2, padding=1),
         {"kernel": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1})
    case("l2_pool", "l2_pool", {"x": x}, lambda x: F.lp_pool2d(x, 2, 3, stride=2), {"kernel": [3, 3], "strides": [2, 2]})
    case("global_average_pool", "global_average_pool", {"x": x}, lambda x: x.mean((2, 3), keepdim=True))
    case("global_max_pool", "global_max_pool", {"x": x}, lambda x: x.amax((2, 3), keepdim=True))


def norms():
    x, s, b = lcg(40, (3, 4, 5, 2), 1), lcg(41, (4,), 1), lcg(42, (4,), 1)
    case("batch_norm_infer", "batch_norm_infer", {"x": x, "scale": s, "shift": b, "mean": lcg(43, (4,), 1), "var": lcg(44, (4,), 0.4) + 0.5},
         lambda x, s, b, m, v: F.batch_norm(x, m.detach(), v.detach(), s, b, eps=1e-5), {"eps": 1e-5}, grad=["x", "scale", "shift"])
    case("batch_norm_train", "batch_norm", {"x": x, "scale": s, "shift": b}, lambda x, s, b: F.batch_norm(x, None, None, s, b, True, eps=1e-5),
         {"eps": 1e-5})
    case("instance_norm", "instance_norm", {"x": x, "scale": s, "shift": b}, lambda x, s, b: F.instance_norm(x, weight=s, bias=b, eps=1e-5),
         {"eps": 1e-5})
    case("group_norm", "group_norm", {"x": x, "scale": s, "shift": b}, lambda x, s, b: F.group_norm(x, 2, s, b, eps=1e-5),
         {"groups": 2, "eps": 1e-5})
    case("layer_norm", "layer_norm", {"x": lcg(45, (6, 33), 1), "scale": lcg(46, (33,), 1), "shift": lcg(47, (33,), 1)},
         lambda x, s, b: F.layer_norm(x, (33,), s, b, eps=1e-5), {"axis": -1, "eps": 1e-5})
    case("rms_norm", "rms_norm", {"x": lcg(48, (6, 33), 1), "scale": lcg(49, (33,), 1)},
         lambda x, s: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * s, {"axis": -1, "eps": 1e-5})


def rows_and_losses():
    x = lcg(50, (5, 17), 4)
    case("softmax_last", "softmax", {"x": x}, lambda x: F.softmax(x, -1), {"axis": -1})
    case("softmax_middle", "softmax", {"x": lcg(51, (2, 5, 3), 4)}, lambda x: F.softmax(x, 1), {"axis": 1})
    case("log_softmax", "log_softmax", {"x": x}, lambda x: F.log_softmax(x, -1), {"axis": -1})
    labels = np.array([3, 0, 16, 7, 7], np.int64)
    case("cross_entropy", "softmax_cross_entropy", {"x": x}, F.cross_entropy, ints={"labels": labels})
    case("embedding", "embedding", {"table": lcg(54, (7, 5), 1)}, lambda t, i: F.embedding(i, t),
         ints={"indices": np.array([[3, 0, 3], [6, 1, 3]], np.int64)})
    a, b = lcg(52, (4, 6), 2), lcg(53, (4, 6), 2)
    case("mse", "mse", {"x": a, "target": b}, F.mse_loss, grad=["x"])
    case("l1", "l1_loss", {"x": a, "target": b}, F.l1_loss, grad=["x"])
    case("huber", "huber", {"x": a, "target": b}, lambda x, t: F.huber_loss(x, t, delta=0.7), {"delta": 0.7}, grad=["x"])


def pointwise():
    x = lcg(60, (4, 19), 3)
    for op, fn, attrs in (("sigmoid", torch.sigmoid, {}), ("tanh", torch.tanh, {}), ("relu", F.relu, {}), ("gelu", F.gelu, {}),
                          ("silu", F.silu, {}), ("elu", F.elu, {"alpha": 1.0}), ("selu", F.selu, {}), ("softplus", F.softplus, {}),
                          ("mish", F.mish, {}), ("erf", torch.erf, {}), ("softsign", F.softsign, {}), ("hard_swish", F.hardswish, {}),
                          ("leaky_relu", lambda x: F.leaky_relu(x, 0.1), {"alpha": 0.1}), ("sin", torch.sin, {}), ("exp", torch.exp, {}),
                          ("expm1", torch.expm1, {}), ("atan", torch.atan, {}), ("asinh", torch.asinh, {})):
        case(f"pointwise_{op}", op, {"x": x}, fn, attrs)
    p = np.abs(x) + 0.1
    for op, fn in (("log", torch.log), ("sqrt", torch.sqrt), ("rsqrt", torch.rsqrt), ("log1p", torch.log1p), ("reciprocal", torch.reciprocal)):
        case(f"pointwise_{op}", op, {"x": p}, fn)
    row, column = lcg(61, (1, 19), 2), np.abs(lcg(62, (4, 1), 2)) + 0.5
    case("broadcast_add", "add", {"a": row, "b": column}, torch.add)
    case("broadcast_mul", "mul", {"a": x, "b": row}, torch.mul)
    case("broadcast_div", "div", {"a": row, "b": column}, torch.div)
    case("broadcast_pow", "pow", {"a": p, "b": column}, torch.pow)
    case("broadcast_max", "max", {"a": x, "b": row}, torch.maximum)


def reductions():
    x = lcg(70, (3, 5, 4), 2)
    case("sum_middle", "sum", {"x": x}, lambda x: x.sum(1), {"axes": [1], "keepdims": 0})
    case("sum_all", "sum", {"x": x}, lambda x: x.sum(), {"keepdims": 0})
    case("mean_outer", "mean", {"x": x}, lambda x: x.mean((0, 2), keepdim=True), {"axes": [0, 2], "keepdims": 1})
    case("reduce_max", "reduce_max", {"x": x}, lambda x: x.amax(2), {"axes": [2], "keepdims": 0})
    case("logsumexp", "logsumexp", {"x": x}, lambda x: torch.logsumexp(x, (0, 1)), {"axes": [0, 1], "keepdims": 0})


NET = {"conv1/weight": ((32, 1, 3, 3), 0.4), "conv1/bias": ((32,), 0.1), "conv2/weight": ((64, 32, 3, 3), 0.08), "conv2/bias": ((64,), 0.1),
       "dense1/weight": ((3136, 128), 0.02), "dense1/bias": ((128,), 0.1), "dense2/weight": ((128, 10), 0.1), "dense2/bias": ((10,), 0.1)}
BATCH, BATCHES, STEPS = 16, 4, 50
SAMPLE = 61  # every so many-th element of the largest gradient is kept


def images(batch):
    """Image i shows stripes whose slopes follow from its class, i % 10; pixels are multiples of 1/32 in [-0.5, 0.5)."""
    x = np.empty((BATCH, 1, 28, 28))
    row, column = np.mgrid[0:28, 0:28]
    for k in range(BATCH):
        i = batch * BATCH + k
        c = i % 10
        x[k, 0] = (row * (c + 1) + column * (c * c + 3) + i * 7) % 32 / 32 - 0.5
    return x, np.array([(batch * BATCH + k) % 10 for k in range(BATCH)], np.int64)


def network(p, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv1/weight"], p["conv1/bias"], padding=1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["conv2/weight"], p["conv2/bias"], padding=1)), 2)
    x = F.relu(x.flatten(1) @ p["dense1/weight"] + p["dense1/bias"])
    return x @ p["dense2/weight"] + p["dense2/bias"]


def losses(optimizer, dtype):
    p = {k: torch.tensor(lcg(7000 + i, shape, scale), dtype=dtype, requires_grad=True) for i, (k, (shape, scale)) in enumerate(NET.items())}
    opt = optimizer(p.values())
    data = [images(b) for b in range(BATCHES)]
    out = []
    for step in range(STEPS):
        x, y = data[step % BATCHES]
        loss = F.cross_entropy(network(p, torch.tensor(x, dtype=dtype)), torch.tensor(y))
        opt.zero_grad()
        loss.backward()
        if step == 0 and dtype == torch.float64:
            for k, v in p.items():
                g = v.grad.numpy()
                keep(f"net/d{k}", g.ravel()[::SAMPLE] if g.size > 100000 else g)
        opt.step()
        out.append(loss.item())
    return np.array(out)


def training():
    # Momentum 0.9 wants the smaller rate: at 0.05 a near-tie in max pooling makes even float64 runs part at step 12 when the weights
    # start one part in 10^8 apart, and such losses are nobody's truth.
    for name, optimizer in (("momentum", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9)), ("adam", lambda p: torch.optim.Adam(p, lr=0.001)),
                            ("sgd", lambda p: torch.optim.SGD(p, lr=0.05))):
        exact, single = losses(optimizer, torch.float64), losses(optimizer, torch.float32)
        keep(f"net/loss_{name}", exact)
        # How far a float32 run of PyTorch itself is off by then: the yardstick for ours.
        keep(f"net/off_{name}", np.maximum.accumulate(np.abs(exact - single)))
        print(name, "first", exact[:3], "last", exact[-3:], "f32 off by", np.abs(exact - single).max())


def write():
    header, offset, blob = {}, 0, b""
    for k, a in tensors.items():
        data = a.tobytes()
        header[k] = {"dtype": {"f4": "F32", "i8": "I64"}[a.dtype.str[1:]], "shape": list(a.shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        blob += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (DATA / "truth.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)
    net = {"batch": BATCH, "batches": BATCHES, "steps": STEPS, "sample": SAMPLE,
           "variables": [{"name": k, "seed": 7000 + i, "scale": scale} for i, (k, (_, scale)) in enumerate(NET.items())]}
    lines = ",\n".join(json.dumps(c) for c in cases)
    (DATA / "truth.json").write_text(f'{{"torch": "{torch.__version__}",\n"net": {json.dumps(net)},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(cases)} cases, {8 + len(text) + len(blob)} bytes")


def main():
    global group
    torch.manual_seed(0)
    DATA.mkdir(exist_ok=True)
    for part in (convolutions, products, pools, norms, rows_and_losses, pointwise, reductions, training):
        group = part.__name__
        part()
    write()


main()
