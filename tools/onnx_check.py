#!/usr/bin/env python3
"""Takes models through Tern and back to ONNX, and has others judge what comes out.

Each ONNX model is converted twice, `tern convert MODEL y.onnx` and by way of a .tern file, which must give the same model; a .tern model is converted
once. y.onnx must pass onnx.checker, and what ONNX Runtime computes with it must agree with the expected outputs, as must what Tern computes
with it. The expected outputs are those beside the model (test_data_set_*/input_N.pb, output_N.pb), or for a bare file what ONNX Runtime (for .tern:
Tern) computes with the original on random inputs. Where ONNX Runtime has no kernel for an element type, onnx.reference computes. Shapes are fixed to
those of the inputs; small inputs that decide about shapes or branches (axes, repeats, a sample rate) become constants, since a graph has fixed shapes.
A model that is no single graph all the same is converted to ONNX with its own nodes.

usage: tools/onnx_check.py [options] PATH...      models, or folders with model files or cases somewhere in them

    tools/onnx_check.py --tern build/tern /usr/share/libonnx-testdata/data/{node,simple,pytorch-operator,pytorch-converted} models/*.onnx

  --tern FILE     the command (default: tern)
  --as-is         converts nothing: others run the models themselves (see tests/test_onnx_export.c)
  --rtol R        relative tolerance (default 1e-3)
  --atol A        absolute tolerance (default 1e-5), times the largest number of the output if that is above 1
  --dim NAME=N    extent of a named dimension of a bare model, as often as needed (default 1)
  --keep DIR      leaves the models there, a case of `tern test` each
  --verbose       a line for every model, not only for those that fail

Needs the Python packages onnx and onnxruntime. Exit code: 0 if every model that converts is accepted and gives the same numbers, else 1."""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
SHORT = {"float16": 4e-3, "bfloat16": 2e-2}
FAILURES = ("export", "checker", "refused", "wrong", "error")
# What ONNX Runtime says where it lacks an operator or a kernel, and of bfloat16, which NumPy cannot hand it.
NO_KERNEL = ("NOT_IMPLEMENTED", "is not a registered function/op", "bfloat16", "Unsupported numpy type")
# What Tern says of a model that is no single graph with these inputs.
MANY_GRAPHS = ("only a run knows", "no single graph")


class Refused(Exception):
    pass


# --- Who computes ---

def run_onnxruntime(path, feeds, optimise=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: feeds[i.name] for i in session.get_inputs()})


def run_reference(path, feeds):
    evaluator = ReferenceEvaluator(str(path))
    return evaluator.run(None, {name: feeds[name] for name in evaluator.input_names})


def run_others(path, feeds):
    """What others compute, and who."""
    if not any(isinstance(v, np.ndarray) and v.dtype.name == "bfloat16" for v in feeds.values()):
        try:
            return run_onnxruntime(path, feeds), "ONNX Runtime"
        except Exception as e: # its own classes, one for each status
            text = str(e)
            if not any(reason in text for reason in NO_KERNEL):
                raise Refused(text.splitlines()[0][:300]) from e
    return run_reference(path, feeds), "onnx.reference"


def run_tern(args, path, feeds, folder):
    command = [args.tern, "run", str(path), "--repeat", "1", "--out", str(folder / "results")]
    for i, (name, array) in enumerate(feeds.items()):
        np.save(folder / f"in_{i}.npy", array)
        command += ["--in", f"{name}={folder}/in_{i}.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return {p.stem: np.load(p) for p in (folder / "results").glob("*.npy")}


# --- Inputs and outputs ---

def inputs_of(model):
    initial = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in initial]


def read_value(path, type_proto):
    """An array, a list for a sequence, None for an empty optional."""
    kind = type_proto.WhichOneof("value")
    message, convert_it = {"tensor_type": (onnx.TensorProto, numpy_helper.to_array), "sequence_type": (onnx.SequenceProto, numpy_helper.to_list),
                           "optional_type": (onnx.OptionalProto, numpy_helper.to_optional)}[kind]
    message = message()
    message.ParseFromString(path.read_bytes())
    value = convert_it(message)
    if kind == "tensor_type" and type_proto.tensor_type.elem_type == onnx.TensorProto.BFLOAT16 and value.dtype == np.uint16:
        value = value.view(onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)) # older files hold the bits
    return value


def test_data(folder, model):
    feeds, wanted = {}, []
    data = sorted(folder.glob("test_data_set_*"))[0]
    for i, value in enumerate(inputs_of(model)):
        path = data / f"input_{i}.pb"
        if path.exists():
            feeds[value.name] = read_value(path, value.type)
    for i, value in enumerate(model.graph.output):
        wanted.append(read_value(data / f"output_{i}.pb", value.type))
    return feeds, wanted


def random_inputs(model, dims):
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
    return feeds


# --- Conversion ---

def fix_shapes(model, feeds):
    for value in model.graph.input:
        if isinstance(feeds.get(value.name), np.ndarray) and value.type.HasField("tensor_type"):
            del value.type.tensor_type.shape.dim[:]
            value.type.tensor_type.shape.SetInParent()
            for extent in feeds[value.name].shape:
                value.type.tensor_type.shape.dim.add().dim_value = extent
    return model


def tern_convert(args, source, out, constants=()):
    command = [args.tern, "convert", str(source), str(out)]
    for name, path in constants:
        command += ["--in", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode < 0 or done.returncode > 2:
        raise RuntimeError(f"tern convert ended with {done.returncode}")
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def many_graphs(reason):
    return reason and any(text in reason for text in MANY_GRAPHS)


def convert(args, source, model, feeds, folder):
    """y.onnx in folder, with the model's own nodes if it is no single graph. None, or the stage that refused and its sentence."""
    middle, out, around = folder / "x.tern", folder / "y.onnx", folder / "around.onnx"
    choices = [()]
    for fits in (lambda a: a.dtype.kind in "iub" and a.size <= 64, lambda a: a.dtype.kind in "iub" or (a.dtype.kind == "f" and a.size <= 8)):
        chosen = []
        for name in (i.name for i in inputs_of(model) if i.name in feeds and i.type.HasField("tensor_type")):
            array = feeds[name]
            if fits(array):
                path = folder / f"known_{len(chosen)}_{len(choices)}.pb"
                path.write_bytes(numpy_helper.from_array(array, name).SerializeToString())
                chosen.append((name, path))
        choices.append(chosen)
    for constants in choices:
        reason = tern_convert(args, source, middle, constants)
        if not many_graphs(reason):
            break
    if many_graphs(reason):
        reason = tern_convert(args, source, out)
        return ("import", reason) if reason else None
    if reason:
        return "import", reason
    reason = tern_convert(args, source, out, constants) or tern_convert(args, middle, around)
    if reason:
        return "export", reason
    if out.read_bytes() != around.read_bytes():
        return "wrong", "the model is another one by way of a .tern file"
    return None


# --- Judgement ---

def differ(got, want, rtol, atol):
    if isinstance(want, list) or want is None:
        if type(got) is not type(want) or (want and len(got) != len(want)):
            return f"{type(got).__name__} for {type(want).__name__}"
        return next(filter(None, (differ(a, b, rtol, atol) for a, b in zip(got or [], want or []))), None)
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} for {want.dtype}{list(want.shape)}"
    a, b = got.astype(np.float64), want.astype(np.float64)
    if got.dtype.name in SHORT:
        rtol, atol = max(rtol, SHORT[got.dtype.name]), max(atol, 1e-3)
    finite = np.abs(b[np.isfinite(b)])
    atol *= max(1.0, finite.max()) if finite.size else 1
    bad = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if not bad.any():
        return None
    at = np.unravel_index(np.argmax(bad), bad.shape)
    return f"{int(bad.sum())} of {bad.size} differ, first at {list(map(int, at))}: {a[at]:.9g} for {b[at]:.9g}"


def n_apart(args, got, wanted):
    """Elements that differ by more than plain tolerances allow."""
    return sum(int((~np.isclose(a, b, rtol=args.rtol, atol=args.atol, equal_nan=True)).sum()) for a, b in zip(got, wanted))


def as_close(args, model, feeds, got, wanted):
    """Some models amplify rounding (a difference that decides, a division by nearly nothing): ONNX Runtime differs from itself with and without its
    optimisations. Do these results differ in no more elements?"""
    if not all(isinstance(w, np.ndarray) and w.dtype == np.float32 and np.shape(g) == w.shape for g, w in zip(got, wanted)):
        return False
    return n_apart(args, got, wanted) <= n_apart(args, run_onnxruntime(model, feeds, False), wanted)


def differ_all(args, names, got, wanted):
    for name, a, b in zip(names, got, wanted):
        text = differ(a, b, args.rtol, args.atol)
        if text:
            return f"{name}: {text}"
    return None


def keep_case(folder, result, feeds, names, wanted):
    """A case of `tern test` of the model that came out."""
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    model = onnx.load(result)
    onnx.save(model, folder / "model.onnx")
    for i, value in enumerate(inputs_of(model)):
        (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(feeds[value.name], value.name).SerializeToString())
    for i, array in enumerate(wanted):
        (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(np.asarray(array), names[i]).SerializeToString())


def start_of(args, path, dims, folder):
    """A file to convert, its inputs, the names of its outputs, what they should be, and whether it draws random numbers."""
    if path.suffix == ".tern":
        reason = tern_convert(args, path, folder / "probe.onnx")
        if reason:
            raise Refused(reason)
        model = onnx.load(folder / "probe.onnx")
        feeds, names = random_inputs(model, dims), [o.name for o in model.graph.output]
        results = run_tern(args, path, feeds, folder)
        return path, feeds, names, [results[n.replace("/", "_")] for n in names], False
    model = onnx.load(path)
    names = [o.name for o in model.graph.output]
    draws = any(n.op_type in RANDOM for n in model.graph.node)
    if list(path.parent.glob("test_data_set_*")):
        feeds, wanted = test_data(path.parent, model)
    else:
        feeds = random_inputs(model, dims)
        wanted = run_onnxruntime(path, feeds)
    onnx.save(fix_shapes(model, feeds), folder / "source.onnx")
    return folder / "source.onnx", feeds, names, wanted, draws


def check(args, path, dims, cases):
    """What became of the model, and a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source, feeds, names, wanted, draws = start_of(args, path, dims, folder)
        result = folder / "y.onnx"
        original = onnx.load(path) if path.suffix == ".onnx" else None
        if args.as_is:
            result = path
        elif path.suffix == ".tern":
            reason = tern_convert(args, path, result)
            if reason:
                return "export", reason
        else:
            refusal = convert(args, source, original, feeds, folder)
            if refusal:
                return refusal
        onnx.checker.check_model(str(result), full_check=True)
        if draws:
            return "checked", "random numbers"
        got, who = run_others(result, feeds)
        text = differ_all(args, names, got, wanted)
        if text and path.suffix == ".onnx":
            own = run_others(path, feeds)[0]
            if not differ_all(args, names, got, own): # a case's data may be at odds with its own model
                text, who, wanted = None, f"{who}, against the test data", own
        if text and as_close(args, result, feeds, got, wanted):
            text, who = None, f"{who}, as closely as with itself"
        if text:
            return "wrong", f"{who}: {text}"
        if path.suffix == ".tern" or all(v.type.HasField("tensor_type") for v in list(original.graph.input) + list(original.graph.output)):
            name = "_".join(path.parts[-3:-1] if path.name == "model.onnx" else path.parts[-1:])
            keep_case(cases / re.sub(r"[^\w.-]", "_", name), result, feeds, names, wanted)
        return ("agrees" if args.as_is or onnx.load(result).producer_name == "tern" else "own nodes"), who


def tern_test(args, cases):
    """What Tern says of the models that came out: (name, sentence) of each whose numbers are others."""
    done = subprocess.run([args.tern, "test", str(cases), "--json", "--rtol", str(args.rtol), "--atol", str(args.atol)], capture_output=True, text=True)
    wrong = []
    for case in json.loads(done.stdout)["cases"]:
        if case["outcome"] == "passed":
            continue
        model = onnx.load(cases / case["name"] / "model.onnx")
        feeds, wanted = test_data(cases / case["name"], model)
        with tempfile.TemporaryDirectory() as folder:
            got = run_tern(args, cases / case["name"] / "model.onnx", feeds, pathlib.Path(folder))
        got = [got.get(o.name.replace("/", "_")) for o in model.graph.output]
        if not as_close(args, cases / case["name"] / "model.onnx", feeds, got, wanted):
            wrong.append((case["name"], case["reason"]))
    return wrong


def models_of(paths):
    for path in map(pathlib.Path, paths):
        yield from [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in (".onnx", ".tern"))


def judge(args, path, dims, cases):
    try:
        return check(args, path, dims, cases)
    except Refused as e:
        return "refused", str(e)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as e:
        return "checker", str(e).strip().replace("\n", " ")[:300]
    except Exception as e:
        return "error", f"{type(e).__name__}: {str(e).strip()[:300]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--tern", default="tern")
    parser.add_argument("--as-is", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--rtol", type=float, default=1e-3)
    parser.add_argument("--atol", type=float, default=1e-5)
    parser.add_argument("--dim", action="append", default=[])
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    dims = {name: int(n) for name, n in (d.rsplit("=", 1) for d in args.dim)}
    count = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        cases = args.keep or pathlib.Path(folder)
        for path in models_of(args.paths):
            stage, text = judge(args, path, dims, cases)
            count[{"agrees": f"agree ({text})", "own nodes": f"agree with their own nodes ({text})"}.get(stage, stage)] += 1
            if args.verbose or stage in FAILURES:
                print(f"{stage:9} {path.parent.name if path.name == 'model.onnx' else path.name}: {text}", flush=True)
        wrong = tern_test(args, cases) if any(cases.glob("*/model.onnx")) else []
    for name, text in wrong:
        print(f"tern      {name}: {text}")
    print(", ".join(f"{n} {what}" for what, n in sorted(count.items())) + f"; Tern computes other numbers with {len(wrong)} of these")
    return 1 if wrong or any(count[k] for k in FAILURES) else 0


if __name__ == "__main__":
    sys.exit(main())
