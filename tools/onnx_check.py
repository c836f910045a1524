#!/usr/bin/env python3
"""Round-trips ONNX models through Tern and has ONNX Runtime judge what comes out.

Each model is converted by `tern convert MODEL x.tern` and `tern convert x.tern y.onnx`; y.onnx must pass onnx.checker, and what ONNX Runtime
computes with it must agree with the expected outputs: those beside the model (test_data_set_*/input_N.pb, output_N.pb) or, for a bare model file,
what ONNX Runtime computes with the original on random inputs. Shapes are fixed to those of the inputs; integer inputs that decide about
shapes (axes, repeats) become constants first, since a Tern graph has fixed shapes.

usage: tools/onnx_check.py [options] PATH...      a model file, a folder with model.onnx, or a folder of such

  --tern FILE     the command (default: tern)
  --as-is         converts nothing: ONNX Runtime runs the models themselves (see tests/test_onnx_export.c)
  --direct        model.onnx to y.onnx, without x.tern between
  --rtol R        relative tolerance (default 1e-3)
  --atol A        absolute tolerance (default 1e-5), times the largest number of the output if that is above 1
  --dim NAME=N    extent of a named dimension of a bare model, as often as needed (default 1)
  --verbose       a line for every model, not only for those that fail

Needs the Python packages onnx and onnxruntime. Exit code: 0 if no converted model is refused or gives other numbers, else 1."""
import argparse
import collections
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model), options,
                                           providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    return session.run(None, {k: v for k, v in feeds.items() if k in wanted})


def has_bfloat16(model):
    """NumPy has no bfloat16 for ONNX Runtime to take or give: such models are not run."""
    values = list(model.graph.input) + list(model.graph.output)
    return any(v.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16 for v in values)


def read_tensor(path, value):
    if value.type.WhichOneof("value") != "tensor_type":
        raise NotImplementedError("an input or output that is no tensor")
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def inputs_of(model):
    initial = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in initial]


def test_data(folder, model):
    feeds, wanted = {}, []
    data = sorted(folder.glob("test_data_set_*"))[0]
    for i, value in enumerate(inputs_of(model)):
        path = data / f"input_{i}.pb"
        if path.exists():
            feeds[value.name] = read_tensor(path, value)
    for i, value in enumerate(model.graph.output):
        wanted.append(read_tensor(data / f"output_{i}.pb", value))
    return feeds, wanted


def random_data(model, dims):
    rng, feeds = np.random.default_rng(1), {}
    for value in inputs_of(model):
        t = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else dims.get(d.dim_param, 1) for d in t.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(t.elem_type)
        if np.issubdtype(dtype, np.floating):
            feeds[value.name] = rng.random(shape).astype(dtype)
        elif value.name in ("sr", "sample_rate"):
            feeds[value.name] = np.full(shape, 16000, dtype)
        else:
            feeds[value.name] = rng.integers(0, 2, shape).astype(dtype)
    return feeds, run(model, feeds)


def fix(model, feeds, constants):
    """The model with the shapes of these inputs, and the named ones as constants."""
    for value in list(model.graph.input):
        if value.name in constants:
            model.graph.initializer.append(numpy_helper.from_array(feeds[value.name], value.name))
            model.graph.input.remove(value)
        elif value.name in feeds and value.type.HasField("tensor_type"):
            del value.type.tensor_type.shape.dim[:]
            value.type.tensor_type.shape.SetInParent()
            for extent in feeds[value.name].shape:
                value.type.tensor_type.shape.dim.add().dim_value = extent
    return model


def convert(args, model, folder):
    source, middle, out = folder / "source.onnx", folder / "x.tern", folder / "y.onnx"
    onnx.save(model, source)
    steps = [(source, out)] if args.direct else [(source, middle), (middle, out)]
    for a, b in steps:
        done = subprocess.run([args.tern, "convert", str(a), str(b)], capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = done.stderr.strip().splitlines()
            return ("import" if a == source and b == middle or "saving as ONNX" not in done.stderr else "export"), reason[-1] if reason else f"exit {done.returncode}"
    return None, out


def differ(got, want, rtol, atol):
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} for {want.dtype}{list(want.shape)}"
    a, b = got.astype(np.float64), want.astype(np.float64)
    if got.dtype.name in ("float16", "bfloat16"):
        rtol, atol = max(rtol, 4e-3), max(atol, 1e-3)
    finite = np.abs(b[np.isfinite(b)])
    atol *= max(1.0, finite.max()) if finite.size else 1
    bad = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if not bad.any():
        return None
    at = np.unravel_index(np.argmax(bad), bad.shape)
    return f"{int(bad.sum())} of {bad.size} differ, first at {list(map(int, at))}: {a[at]:.9g} for {b[at]:.9g}"


def check(args, path, dims):
    model = onnx.load(path)
    if any(i.type.WhichOneof("value") != "tensor_type" for i in list(model.graph.input) + list(model.graph.output)):
        return "skipped", "an input or output that is no tensor"
    beside = path.parent if list(path.parent.glob("test_data_set_*")) else None
    feeds, wanted = test_data(beside, model) if beside else random_data(model, dims)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        small = {k for k, v in feeds.items() if v.dtype.kind in "iub" and v.size <= 64}
        stage, result = (None, path) if args.as_is else convert(args, fix(onnx.load(path), feeds, ()), folder)
        if stage == "import" and "only a run knows" in result:
            stage, result = convert(args, fix(onnx.load(path), feeds, small), folder)
        if stage == "import" and "only a run knows" in result: # floats too (Resize's scales)
            small |= {k for k, v in feeds.items() if v.size <= 8}
            stage, result = convert(args, fix(onnx.load(path), feeds, small), folder)
        if stage:
            return stage, result
        onnx.checker.check_model(str(result), full_check=True)
        if has_bfloat16(model):
            return "checked", "bfloat16"
        try:
            got = run(result, feeds)
        except Exception as e:
            return "refused", str(e).splitlines()[0][:300]
        if any(n.op_type in RANDOM for n in model.graph.node):
            return "checked", "random numbers"
        for value, a, b in zip(model.graph.output, got, wanted):
            text = differ(a, b, args.rtol, args.atol)
            if text:
                return "wrong", f"{value.name}: {text}"
    return "agrees", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--tern", default="tern")
    parser.add_argument("--as-is", action="store_true")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-5)
    parser.add_argument("--dim", action="append", default=[])
    args = parser.parse_args()
    dims = {name: int(n) for name, n in (d.split("=") for d in args.dim)}
    models = []
    for p in map(pathlib.Path, args.paths):
        models += [p] if p.is_file() else sorted(p.glob("model.onnx")) or sorted(p.glob("*.onnx")) + sorted(p.glob("*/model.onnx"))
    count = collections.Counter()
    for path in models:
        try:
            stage, text = check(args, path, dims)
        except Exception as e:
            stage, text = ("checker" if "checker" in type(e).__module__ or "Check" in type(e).__name__ or "Inference" in type(e).__name__ else "error"), str(e).strip().replace("\n", " ")[:300]
        count[stage] += 1
        if args.verbose or stage not in ("agrees", "checked", "skipped"):
            print(f"{stage:8} {path.parent.name if path.name == 'model.onnx' else path.name}: {text}", flush=True)
    print(", ".join(f"{n} {what}" for what, n in sorted(count.items())))
    return 1 if any(count[k] for k in ("export", "checker", "refused", "wrong", "error")) else 0


if __name__ == "__main__":
    sys.exit(main())
