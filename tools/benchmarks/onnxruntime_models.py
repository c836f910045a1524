"""The peer for ONNX models: ONNX Runtime on the CPU. Takes the arguments of models.c and speaks common.h's protocol."""
import argparse
import json
import os
import sys
import time

import numpy as np
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_}


def numbers(n, seed):
    """What bench_fill of common.h gives: a linear congruential generator, all its steps at once."""
    powers = np.cumprod(np.full(n, 1664525, np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate([np.ones(1, np.uint32), powers[:-1]]), dtype=np.uint32)
    state = powers * np.uint32(seed) + sums * np.uint32(1013904223)
    return (state >> np.uint32(8)).astype(np.float32) / np.float32(8388608) - np.float32(1)


def half(x):
    """Cut off behind the tenth bit, as models.c does."""
    bits = x.view(np.uint32)
    exponent = (bits >> 23 & 0xff).astype(np.int32) - 127 + 15
    magnitude = np.where(exponent > 0, exponent.astype(np.uint32) << 10 | (bits >> 13 & 0x3ff), 0)
    return ((bits >> 16 & 0x8000) | magnitude).astype(np.uint16).view(np.float16)


def make_input(port, seed, dims, fills):
    dtype = TYPES[port.type]
    shape = [d if isinstance(d, int) else dims.get(d, 1) for d in port.shape]
    if port.name in fills:
        return np.full(shape, fills[port.name]).astype(dtype)
    n = int(np.prod(shape))
    x = numbers(n, seed) if n else np.zeros(0, np.float32)
    x = half(x) if dtype == np.float16 else x.astype(dtype) if np.issubdtype(dtype, np.floating) else (x > 0).astype(dtype)
    return x.reshape(shape)


def load(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 2))
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def make_inputs(session, args):
    return {p.name: make_input(p, i + 1, args.dim, args.fill) for i, p in enumerate(session.get_inputs())}


def status_mb(what):
    try:
        for line in open("/proc/self/status", encoding="utf-8"):
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024e-6
    except OSError:
        pass
    return 0


def print_start(args):
    base = status_mb("VmRSS")
    begin = time.perf_counter()
    session = load(args.models[0])
    load_s, load_mb = time.perf_counter() - begin, status_mb("VmHWM")
    feeds = make_inputs(session, args)
    times, results = [], None
    for _ in range(2):
        begin = time.perf_counter()
        results = session.run(None, feeds)
        times.append(time.perf_counter() - begin)
    floats = [r for r in results if isinstance(r, np.ndarray) and r.dtype == np.float32 and r.size]
    print(json.dumps({"load_s": load_s, "first_run_s": times[0], "second_run_s": times[1], "base_mb": base, "load_peak_mb": load_mb,
                      "peak_mb": status_mb("VmHWM"), "end_mb": status_mb("VmRSS"),
                      "magnitude": float(np.abs(floats[0].astype(np.float64)).mean()) if floats else -1}))


def serve(args):
    current, session, feeds = None, None, None
    for line in sys.stdin:
        case, index, repeats = line.split()
        if case != "model" or int(index) >= len(args.models):
            print("none", flush=True)
            continue
        if index != current:
            session = load(args.models[int(index)])
            feeds, current = make_inputs(session, args), index
            session.run(None, feeds)
        session.run(None, feeds)
        start = time.perf_counter()
        for _ in range(int(repeats)):
            session.run(None, feeds)
        print(f"{(time.perf_counter() - start) / int(repeats):.9f}", flush=True)


def given(text):
    name, x = text.rsplit("=", 1)
    return name, float(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", action="store_true")
    parser.add_argument("--dim", action="append", default=[], type=given)
    parser.add_argument("--fill", action="append", default=[], type=given)
    parser.add_argument("models", nargs="*")
    args = parser.parse_args()
    args.dim, args.fill = {k: int(x) for k, x in args.dim}, dict(args.fill)
    if args.start:
        print_start(args)
    else:
        serve(args)


if sys.argv[1:] == ["--version"]:
    print(onnxruntime.__version__)
else:
    main()
