"""PyTorch's side of tools/bench --gpu: the problems of tern bench, from their "params", one JSON document a line in and one out.

usage: torch_ops.py gpu|cpu [--about]"""
import json
import sys
import time

import torch
import torch.nn.functional as F

SAMPLE_S = 0.002


def operand(shape, dtype, device):
    return torch.rand(shape, device=device, dtype=torch.float32).to(dtype)


def window(p):
    """Symmetric padding and what is to be added behind, checked by the caller through the output's extents."""
    extra = [max(0, b - a) for a, b in zip(p["pad"], p["pad_end"])]
    if any(extra):
        raise ValueError("PyTorch pads both sides alike")
    return {"stride": p["stride"], "padding": p["pad"], "dilation": p["dilation"]}


def conv(p, dtype, device):
    n, w = len(p["in"]), window(p)
    x = operand([p["batch"], p["channels_in"], *p["in"]], dtype, device)
    k = operand([p["channels_out"], p["channels_in"] // p["groups"], *p["kernel"]], dtype, device)
    w["groups"] = p["groups"]
    f = getattr(F, f"conv{n}d")
    if p["op"] in ("", "relu"):
        bias = operand([p["channels_out"]], dtype, device) if p["op"] else None
        run = (lambda: F.relu_(f(x, k, bias, **w))) if p["op"] else (lambda: f(x, k, **w))
        assert list(run().shape[2:]) == p["out"]
        return run
    dy = operand([p["batch"], p["channels_out"], *p["out"]], dtype, device)
    if p["op"] == "bwd_d":
        return lambda: getattr(torch.nn.grad, f"conv{n}d_input")(x.shape, k, dy, **w)
    return lambda: getattr(torch.nn.grad, f"conv{n}d_weight")(x, k.shape, dy, **w)


def product(p, dtype, device):
    m, n, k = p["mnk"]
    batch = [p["batch"]] if p["batch"] > 1 else []
    a = operand(batch + ([k, m] if p["trans_a"] else [m, k]), dtype, device)
    b = operand(batch + ([n, k] if p["trans_b"] else [k, n]), dtype, device)
    a = a.transpose(-1, -2) if p["trans_a"] else a
    b = b.transpose(-1, -2) if p["trans_b"] else b
    return lambda: torch.matmul(a, b)


def eltwise(p, dtype, device):
    x = [operand(s, dtype, device) for s in p["shapes"]]
    f = getattr(F if hasattr(F, p["op"]) and not hasattr(torch, p["op"]) else torch, p["op"])
    return lambda: f(*x)


def reduce(p, dtype, device):
    x = operand(p["shapes"][0], dtype, device)
    axes = [i for i, (a, b) in enumerate(zip(*p["shapes"])) if a != b]
    if p["op"] == "prod":
        if len(axes) > 1:
            raise ValueError("torch.prod takes one axis")
        return lambda: torch.prod(x, axes[0], keepdim=True)
    if p["op"] in ("l1", "l2"):
        return lambda: torch.linalg.vector_norm(x, int(p["op"][1]), dim=axes, keepdim=True)
    f = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}[p["op"]]
    return lambda: f(x, dim=axes, keepdim=True)


def pool(p, dtype, device):
    n, w = len(p["in"]), window(p)
    x = operand([p["batch"], p["channels_in"], *p["in"]], dtype, device)
    if p["op"].startswith("avg"):
        if any(d != 1 for d in w.pop("dilation")):
            raise ValueError("PyTorch's average pool has no dilation")
        w["count_include_pad"] = p["op"] == "avg_p"
        f = getattr(F, f"avg_pool{n}d")
    else:
        f = getattr(F, f"max_pool{n}d")
    assert list(f(x, p["kernel"], **w).shape[2:]) == p["out"]
    return lambda: f(x, p["kernel"], **w)


def norm(p, dtype, device):
    shape = p["shapes"][0]
    x = operand(shape, dtype, device)
    g, b, m, v = (operand([shape[-1] if p["op"] in ("layer", "rms") else shape[1]], dtype, device) for _ in range(4))
    if p["op"] == "layer":
        return lambda: F.layer_norm(x, [shape[-1]], g, b)
    if p["op"] == "rms":
        return lambda: F.rms_norm(x, [shape[-1]], g)
    if p["op"] == "batch":
        return lambda: F.batch_norm(x, m, v, g, b)
    if p["op"] == "instance":
        return lambda: F.instance_norm(x, weight=g, bias=b)
    return lambda: F.group_norm(x, p["number"], g, b)


def softmax(p, dtype, device):
    x = operand(p["shapes"][0], dtype, device)
    return lambda: torch.softmax(x, p["number"])


KINDS = {"conv": conv, "gemm": product, "matmul": product, "eltwise": eltwise, "reduce": reduce, "pool": pool, "norm": norm, "softmax": softmax}


def timed(run, wait, n):
    start = time.perf_counter()
    for _ in range(n):
        run()
    wait()
    return time.perf_counter() - start


def measure(task, device, wait):
    """As tern bench does it: runs are enqueued until 2 ms are full, with one wait, and divided."""
    p = task["params"]
    if p["kind"] not in KINDS:
        raise ValueError(f"a {p['kind']} has no side in PyTorch")
    run = KINDS[p["kind"]](p, {"f32": torch.float32, "f16": torch.float16}[task["dtype"]], device)
    for _ in range(3):
        run()  # algorithms are chosen and kernels loaded
    wait()
    n = 1
    while (sample := timed(run, wait, n)) < SAMPLE_S and n < 1 << 16:
        n *= 2
    count = int(min(max(task["time_ms"] * 1e-3 / sample, 3), 1000))
    seen = sorted(1e6 * timed(run, wait, n) / n for _ in range(count))
    return {"error": None, "median_us": seen[count // 2], "min_us": seen[0], "p90_us": seen[count * 9 // 10], "samples": count, "runs_in_sample": n,
            "impl": "PyTorch, eager mode"}


def about(device):
    if device == "cpu":
        return {"name": f"PyTorch {torch.__version__} on this CPU, {torch.get_num_threads()} threads", "type": "cpu", "vendor": "", "platform": "PyTorch",
                "version": torch.__version__, "driver": ""}
    card = torch.cuda.get_device_name()
    return {"name": f"PyTorch {torch.__version__} on {card}", "type": "gpu", "vendor": "NVIDIA" if torch.version.cuda else "AMD", "platform": "PyTorch",
            "version": f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}", "driver": "f32 without TF32"}


def main():
    device = "cuda" if sys.argv[1] == "gpu" else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("this PyTorch has no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # f32 means f32 on both sides
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(False)
    if "--about" in sys.argv:
        print(json.dumps(about(device)))
        return
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for line in sys.stdin:
        try:
            answer = measure(json.loads(line), device, wait)
        except Exception as e:  # whatever PyTorch cannot do is said in the document
            answer = {"error": (str(e).strip().splitlines() or [type(e).__name__])[0][:200]}
        print(json.dumps(answer), flush=True)


main()
