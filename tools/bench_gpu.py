"""Measures one device with `tern bench` and, where Python has PyTorch for it, the same problems through cuBLAS and cuDNN; called by tools/bench --gpu.

The two sides take turns, whole sets at a time; a figure is the median of its turns. The report (two documents of `tern bench --json` and
the page that compares them) is named after the date and the device."""
import argparse
import datetime
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TIMES = ("median_us", "min_us", "p90_us")
DERIVED = ("gflops", "gbytes_per_s", "share_of_compute_peak", "share_of_memory_peak", "share_of_roof", "ready_ms",
           "kernel", "groups", "launches", "plan_bytes", "bound")


class Tern:
    def __init__(self, command, device, args):
        self.command = [command, "bench", "--device", device, "--json", "--time-ms", str(args.time_ms), "--dtype", args.dtype, *args.problems]

    def measure(self):
        out = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=3600)
        sentence = next((line for line in out.stderr.splitlines() if line.startswith("tern: ")), "tern: it said nothing")[len("tern: "):]
        if out.returncode == 3:
            print(f"tools/bench --gpu: there is nothing to measure: {sentence}", file=sys.stderr)
            sys.exit(3)
        try:  # some problems may have failed: the document says which
            return json.loads(out.stdout)
        except ValueError:
            sys.exit(f"tools/bench --gpu: tern bench gave no document (exit {out.returncode}): {sentence}")


class Torch:
    """benchmarks/torch_ops.py in a Python that can: one problem a line in, its times out."""

    def __init__(self, wanted, kind):
        self.process, self.about, self.missing = None, None, "no Python was found"
        for python in dict.fromkeys(wanted or [sys.executable, "python3", "/usr/bin/python3"]):
            if not shutil.which(python):
                continue
            command = [python, str(HERE / "benchmarks/torch_ops.py"), kind]
            out = subprocess.run([*command, "--about"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
            if out.returncode == 0:
                self.about, self.missing = json.loads(out.stdout), None
                self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                return
            self.missing = (out.stderr.strip().splitlines() or ["it does not start"])[-1]

    def measure(self, document, time_ms):
        result = []
        for r in document["results"]:
            self.process.stdin.write(json.dumps({"params": r["params"], "dtype": r["dtype"], "time_ms": time_ms}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"tools/bench --gpu: PyTorch's side ended at {r['problem']}")
            answer = {k: v for k, v in r.items() if k not in DERIVED and k not in TIMES and k not in ("error", "impl", "samples", "runs_in_sample")}
            answer.update(json.loads(line))
            if "flops" not in answer:
                answer.setdefault("error", None)
                answer["error"] = answer["error"] or "Tern has no figure beside which it could stand"
            result.append(answer)
        # The same silicon has the same peaks.
        return {"format": document["format"], "tern": document["tern"], "date": document["date"], "device": self.about,
                "peak": document["peak"], "results": result}

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(timeout=60)


def of_turns(documents):
    """One document with the medians over turns, and the best peaks that any of them saw."""
    merged = documents[-1]
    merged["peak"] = {k: max(d["peak"][k] for d in documents) for k in merged["peak"]}
    merged["turns"] = len(documents)
    for i, r in enumerate(merged["results"]):
        same = [d["results"][i] for d in documents if not d["results"][i].get("error")]
        if len(same) < len(documents):
            r["error"] = r.get("error") or "it failed in another turn"
            continue
        for key in TIMES:
            r[key] = statistics.median(x[key] for x in same)
        for key in DERIVED:
            if isinstance(r.get(key), (int, float)) and key not in ("groups", "launches", "plan_bytes"):
                r[key] = statistics.median(x[key] for x in same)
    return merged


def write(path, document):
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog="tools/bench --gpu", description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", help="as tern bench takes them (default: its own set)")
    parser.add_argument("--tern", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="gpu", help="which device, as tern takes it (default gpu)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "docs/bench", metavar="DIR", help="where the report goes (default docs/bench)")
    parser.add_argument("--turns", type=int, default=3, help="interleaved turns (default 3)")
    parser.add_argument("--time-ms", type=float, default=300, help="of each problem in each turn (default 300)")
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32")
    parser.add_argument("--python", action="append", help="a Python with PyTorch (default: this one, then python3)")
    args = parser.parse_args()
    if args.turns < 1:
        parser.error("--turns is at least 1")
    tern, seen_tern, seen_torch, torch = Tern(args.tern, args.device, args), [], [], None
    for turn in range(args.turns):
        print(f"turn {turn + 1} of {args.turns}: Tern ...", file=sys.stderr)
        seen_tern.append(tern.measure())
        if torch is None:
            torch = Torch(args.python, seen_tern[0]["device"]["type"])
            print(f"beside: {torch.about['name']}" if torch.about else f"PyTorch is left out: {torch.missing}", file=sys.stderr)
        if torch.about:
            print(f"turn {turn + 1} of {args.turns}: PyTorch ...", file=sys.stderr)
            seen_torch.append(torch.measure(seen_tern[-1], args.time_ms))
    torch.stop()
    device = seen_tern[0]["device"]
    slug = re.sub(r"[^a-z0-9]+", "-", device["name"].lower()).strip("-") or device["type"]
    name = f"{datetime.date.today().isoformat()}-{slug}" + ("-f16" if args.dtype == "f16" else "")
    args.out.mkdir(parents=True, exist_ok=True)
    files = [args.out / f"{name}.json"]
    write(files[0], of_turns(seen_tern))
    if seen_torch:
        files.insert(0, args.out / f"{name}-pytorch.json")  # what Tern is compared with stands first
        write(files[0], of_turns(seen_torch))
    page = args.out / f"{name}.html"
    code = subprocess.run([args.tern, "bench", "--compare", *map(str, files), "--html", str(page)]).returncode
    print(f"wrote {page}" if code == 0 else "the page could not be written", file=sys.stderr)
    sys.exit(code)


main()
