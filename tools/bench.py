"""Measures Tern beside its peers in one run and prints medians and ratios; called by tools/bench.

Each side is a program of its own that waits on a pipe; the driver gives them turns, so that whatever the machine does meanwhile
falls on both, and no idle thread of one spins under the other. A side's figure is the median of its turns."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REST_S = 0.1  # lets the thread pool that just worked go to sleep


class Side:
    """One measured program, started when it is first needed."""

    def __init__(self, name, command, arguments=()):
        self.name, self.command, self.arguments, self.process = name, command, [*arguments], None
        try:
            out = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=120, check=True)
            self.version, self.missing = out.stdout.strip(), None
        except (OSError, subprocess.SubprocessError) as e:
            text = (getattr(e, "stderr", None) or str(e)).strip()
            self.version, self.missing = None, text.splitlines()[-1] if text else "it does not start"

    def answer(self, case, size, repeats):
        if self.process is None:
            self.process = subprocess.Popen([*self.command, *self.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{case} {size} {repeats}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        if not line:
            sys.exit(f"bench: {self.name} has no answer for {case} {size}")
        time.sleep(REST_S)
        return line

    def can(self, case, size):
        return not self.missing and self.answer(case, size, 1) != "none"

    def seconds(self, case, size, repeats):
        return float(self.answer(case, size, repeats))

    def start(self, options, env=None):
        """What a process of its own says of loading and running once, or the reason why it cannot."""
        out = subprocess.run([*self.command, "--start", *options], env=env, capture_output=True, text=True)
        if out.returncode:
            return None, (out.stderr.strip().splitlines() or [f"exit {out.returncode}"])[-1]
        return json.loads(out.stdout), None

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=60)


def duel(turns, *entries):
    """Medians of interleaved turns; entries are (side, case, size, repeats). The order alternates from turn to turn."""
    seen = [[] for _ in entries]
    for turn in range(turns + 1):
        order = range(len(entries)) if turn % 2 else reversed(range(len(entries)))
        for i in order:
            side, *case = entries[i]
            seconds = side.seconds(*case)
            if turn > 0:  # the first turn prepares and warms up
                seen[i].append(seconds)
    return [statistics.median(s) for s in seen]


def ready_times(tern, turns):
    """Seconds until a session of the demo's network is there, with empty caches and with full ones, a process each."""
    result = {}
    for kind in ("train", "infer"):
        cold, warm = [], []
        for _ in range(max(1, turns // 3)):
            with Caches() as env:
                for i in range(4):
                    out = subprocess.run([*tern.command, "--ready", kind], env=env, capture_output=True, text=True, check=True)
                    (warm if i else cold).append(json.loads(out.stdout))
        result[kind] = {"cold": medians(cold), "warm": medians(warm)}
    return result


class Caches:
    """Folders for the caches of Tern and its driver, empty at first, for one side's processes."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        return dict(os.environ, TERN_CACHE_DIR=self.folder.name + "/tern", POCL_CACHE_DIR=self.folder.name + "/driver")

    def __exit__(self, *_):
        self.folder.cleanup()


def medians(runs):
    return {k: statistics.median(r[k] for r in runs) for k in runs[0]}


def model_starts(tern, peer, options, rounds):
    """Each round: Tern with empty caches, the peer, Tern with what the first left. Gives medians by kind, and why a side is missing."""
    seen, missing = {"cold": [], "warm": [], "peer": []}, {}
    for _ in range(rounds):
        with Caches() as env:
            for kind, side in (("cold", tern), ("peer", peer), ("warm", tern)):
                if side.missing or side.name in missing:
                    continue
                figures, why = side.start(options, env if side is tern else None)
                if why:
                    missing[side.name] = why
                else:
                    seen[kind].append(figures)
                time.sleep(REST_S)
    return {kind: medians(runs) for kind, runs in seen.items() if runs}, missing


def machine():
    model = platform.processor()
    try:
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.release()}"}


def print_table(table, markdown):
    if markdown:
        table.insert(1, ("---",) * len(table[0]))
        print("\n".join("| " + " | ".join(line) + " |" for line in table))
        return
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip())


def model_table(models):
    """All that is known of each model's start, Tern / ONNX Runtime."""
    table = [("model (file)", "load, ms", "first run, ms: empty caches", "warm caches", "run, ms", "peak memory loading, MB", "at all")]
    for name, d in models:
        cold, warm, peer = (d["starts"].get(k) for k in ("cold", "warm", "peer"))

        def pair(key, scale, form):
            return f"{scale * warm[key]:{form}} / " + (f"{scale * peer[key]:{form}}" if peer else "-")
        table.append((f"{name} ({d['file_mb']:.1f} MB)", pair("load_s", 1e3, ".1f"), f"{1e3 * cold['first_run_s']:.0f}", pair("first_run_s", 1e3, ".1f"),
                      f"{1e3 * d['tern_run_s']:.2f} / " + (f"{1e3 * d['peer_run_s']:.2f}" if d["peer_run_s"] else "-"),
                      pair("load_peak_mb", 1, ".0f"), pair("peak_mb", 1, ".0f")))
    return table


class Report:
    def __init__(self):
        self.rows, self.details = [], {}

    def row(self, work, tern, peer, ratio, goal, good):
        self.rows.append({"work": work, "tern": tern, "peer": peer, "ratio": ratio, "goal": goal, "reached": good})

    def print(self, markdown):
        print_table([("work", "Tern", "beside", "ratio", "goal", "")] + [
            (r["work"], r["tern"], r["peer"], "" if r["ratio"] is None else f"{r['ratio']:.2f}", r["goal"],
             {True: "reached", False: "not reached", None: ""}[r["reached"]]) for r in self.rows], markdown)
        models = [(k.removeprefix("model_"), d) for k, d in self.details.items() if k.startswith("model_") and "tern_run_s" in d]
        if models:
            print()
            print_table(model_table(models), markdown)


def measure_sgemm(report, tern, peer, clblast, turns):
    for n, repeats in ((256, 200), (512, 60), (1024, 10), (2048, 2)):
        entries = [(tern, "sgemm", n, repeats)] + ([(peer, "sgemm", n, repeats)] if not peer.missing else [])
        rates = [2e-9 * n ** 3 / s for s in duel(turns, *entries)]
        ratio = rates[0] / rates[1] if len(rates) > 1 else None
        report.details[f"sgemm_{n}"] = details = {"tern_gflops": rates[0], "openblas_gflops": rates[1] if ratio else None, "ratio": ratio}
        report.row(f"SGEMM {n}", f"{rates[0]:.0f} GFLOPS", f"OpenBLAS {rates[1]:.0f}" if ratio else "OpenBLAS missing", ratio,
                   ">= 1.05", ratio and ratio >= 1.05)
        if clblast.can("sgemm_clblast", n):
            mine, other = (2e-9 * n ** 3 / s for s in duel(min(turns, 3), (tern, "sgemm", n, repeats), (clblast, "sgemm_clblast", n, 1)))
            details["clblast_gflops"] = other
            report.row(f"SGEMM {n}, same device", f"{mine:.0f} GFLOPS", f"CLBlast {other:.1f}", mine / other, ">= 10", mine >= 10 * other)


# The 3x3 convolutions at stride 1 of VGG-16 and ResNet-50: channels, extent of the image.
CONVOLUTIONS = ((64, 224), (64, 56), (128, 112), (128, 28), (256, 56), (256, 14), (512, 28), (512, 14), (512, 7))


def measure_conv(report, tern, direct, winograd, turns):
    for channels, extent in CONVOLUTIONS:
        layers, flops, size = 8, 2 * (extent * channels * 3) ** 2, 1000 * channels + extent
        repeats = max(1, round(6e9 / (layers * flops)))
        peers = [(words, side, case) for words, side, case in (("direct", direct, "conv"), ("Winograd", winograd, "conv_winograd")) if side.can(case, size)]
        rates = [1e-9 * layers * flops / s for s in duel(turns, (tern, "conv", size, repeats), *((side, case, size, repeats) for _, side, case in peers))]
        best = max(zip(rates[1:], (p[0] for p in peers)), default=None)
        ratio = rates[0] / best[0] if best else None
        report.details[f"conv_3x3_{extent}_{channels}"] = {"tern_gflops": rates[0], "ratio": ratio} | {
            f"onednn_{p[0].lower()}_gflops": rate for p, rate in zip(peers, rates[1:])}
        report.row(f"conv 3x3, {channels} channels, {extent}x{extent}, bias, ReLU", f"{rates[0]:.0f} GFLOPS",
                   f"oneDNN {best[1]} {best[0]:.0f}" if best else "oneDNN missing", ratio, ">= 1.00", ratio and ratio >= 1)


def measure_train(report, tern, peer, turns):
    batch, steps = 128, 12
    entries = [(tern, "train", batch, steps)]
    if not peer.missing:
        entries += [(peer, "train", batch, steps), (peer, "train_channels_last", batch, steps)]
    rates = [batch / s for s in duel(turns, *entries)]
    best = max(rates[1:], default=None)
    ratio = rates[0] / best if best else None
    report.details["train"] = {"tern_images_per_s": rates[0], "pytorch_images_per_s": best, "ratio": ratio,
                               "pytorch_contiguous": rates[1] if best else None, "pytorch_channels_last": rates[2] if best else None}
    report.row("demo network, training, batch 128", f"{rates[0]:.0f} images/s", f"PyTorch {best:.0f}" if best else "PyTorch missing", ratio,
               ">= 2.50", ratio and ratio >= 2.5)


def measure_plan(report, tern):
    plan = json.loads(subprocess.run([*tern.command, "--plan"], capture_output=True, text=True, check=True).stdout)
    report.details["plan"] = plan
    moved = plan["bytes_fused"] / plan["bytes_unfused"]
    report.row("bytes moved, same step", f"{plan['bytes_fused'] / 1e6:.1f} MB", f"unfused {plan['bytes_unfused'] / 1e6:.1f} MB", moved,
               "<= 0.55", moved <= 0.55)
    peak = plan["arena_bytes"] / max(1, plan["arena_lower_bytes"])
    report.row("arena peak, same step", f"{plan['arena_bytes'] / 1e6:.1f} MB", f"lower bound {plan['arena_lower_bytes'] / 1e6:.1f} MB", peak,
               "<= 1.15", peak <= 1.15)


def measure_ready(report, tern, turns):
    times = ready_times(tern, turns)
    report.details["ready"] = times
    for kind, name in (("train", "training"), ("infer", "inference")):
        cold, warm = times[kind]["cold"]["ready_s"], times[kind]["warm"]["ready_s"]
        report.row(f"{name} session ready, warm cache", f"{1e3 * warm:.0f} ms", f"cold {1e3 * cold:.0f} ms", warm / cold,
                   "< 100 ms", warm < 0.1)


def onnxruntime_side(build):
    """With the Python that tools/bench --install-peers has made for it, or with any that has it."""
    for python in (str(build / "python/bin/python"), sys.executable, "python3"):
        side = Side("ONNX Runtime", [python, str(HERE / "benchmarks/onnxruntime_models.py")])
        if not side.missing:
            break
    return side


# Speed beside the peer that these models should have; others: as fast.
MODEL_GOALS = {"vgg16": 1.8, "resnet50": 1.25, "resnet50_b16": 1.2, "mobilenetv2": 1.1}


def model_rows(report, name, figures, ratio):
    """A model's lines of the table; figures as in the JSON."""
    starts, peer = figures["starts"], figures["starts"].get("peer")
    beside = (lambda f: f"ONNX Runtime {f(peer)}") if peer else (lambda f: "ONNX Runtime missing")
    goal = MODEL_GOALS.get(name, 1.0)
    report.row(f"{name}, run", f"{1e3 * figures['tern_run_s']:.2f} ms", beside(lambda _: f"{1e3 * figures['peer_run_s']:.2f}"), ratio, f">= {goal:.2f}",
               ratio and ratio >= goal)
    first = lambda s: s["load_s"] + s["first_run_s"]
    for kind, words in (("warm", "warm caches"), ("cold", "empty caches")):
        report.row(f"{name}, file to first result, {words}", f"{1e3 * first(starts[kind]):.0f} ms", beside(lambda s: f"{1e3 * first(s):.0f}"),
                   first(peer) / first(starts[kind]) if peer else None, "", None)
    for key, words in (("load_peak_mb", "loading"), ("peak_mb", "at all")):
        mine = starts["warm"][key]
        report.row(f"{name}, peak memory {words}", f"{mine:.0f} MB", beside(lambda s: f"{s[key]:.0f}"), mine / peer[key] if peer else None, "<= 1.00",
                   peer and mine <= peer[key])


def measure_models(report, args, tern, peer):
    options = [word for o in ("dim", "fill") for x in getattr(args, o) for word in (f"--{o}", x)]
    paths = [p for folder in args.models for p in ([folder] if folder.is_file() else sorted(folder.glob("*.onnx")))]
    for side in (tern, peer):
        side.arguments = options + [str(p) for p in paths]
    for i, path in enumerate(paths):
        print(f"  {path.name} ...", file=sys.stderr)
        starts, missing = model_starts(tern, peer, [*options, str(path)], max(1, args.turns // 3))
        for name, why in missing.items():
            print(f"  {name}: {why}", file=sys.stderr)
        report.details[f"model_{path.stem}"] = figures = {"file_mb": path.stat().st_size / 1e6, "starts": starts, "missing": missing}
        if "warm" not in starts:
            continue
        mine, theirs = starts["warm"]["magnitude"], starts.get("peer", starts["warm"])["magnitude"]
        if abs(mine - theirs) > 1e-3 * abs(theirs):
            print(f"  the results differ: {mine:g} on average, ONNX Runtime has {theirs:g}", file=sys.stderr)
        run_s = [starts[k]["second_run_s"] for k in ("warm", "peer") if k in starts]
        repeats = max(1, min(200, int(0.2 / max(run_s))))
        entries = [(side, "model", i, repeats) for side, kind in ((tern, "warm"), (peer, "peer")) if kind in starts]
        figures["tern_run_s"], *others = duel(args.turns, *entries)
        figures["peer_run_s"] = others[0] if others else None
        figures["ratio"] = others[0] / figures["tern_run_s"] if others else None
        model_rows(report, path.stem, figures, figures["ratio"])


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--only", choices=("sgemm", "conv", "train", "plan", "ready", "models"), help="measure only this")
    parser.add_argument("--turns", type=int, default=9, help="interleaved repetitions (default 9)")
    parser.add_argument("--models", type=pathlib.Path, action="append", default=[], metavar="DIR|FILE", help="also measure these ONNX models")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=N", help="extent of the models' dimension NAME (default 1)")
    parser.add_argument("--fill", action="append", default=[], metavar="NAME=X", help="elements of the models' input NAME (default random)")
    args = parser.parse_args()
    threads = str(min(2, len(os.sched_getaffinity(0))))
    os.environ.update(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, POCL_MAX_PTHREAD_COUNT=threads)
    programs = args.build / "tools/benchmarks"
    sides = {"tern": Side("Tern", [str(programs / "bench_tern")]), "openblas": Side("OpenBLAS", [str(programs / "bench_openblas")]),
             "clblast": Side("CLBlast through Tern", [str(programs / "bench_tern")], ["--clblast"]),
             "onednn": Side("oneDNN", [str(programs / "bench_onednn")]), "onednn_winograd": Side("oneDNN, Winograd", [str(programs / "bench_onednn")]),
             "pytorch": Side("PyTorch", [sys.executable, str(HERE / "benchmarks/torch_train.py")]),
             "tern_models": Side("Tern", [str(programs / "bench_models")]), "onnxruntime": onnxruntime_side(args.build)}
    tern = sides["tern"]
    if tern.missing:
        sys.exit(f"bench: {tern.missing}")
    for key, side in sides.items():
        if key in ("tern_models", "clblast", "onednn_winograd") or (key == "onnxruntime" and not args.models):
            continue
        print(f"{side.name}: {side.version or 'missing: ' + side.missing}", file=sys.stderr)
    report = Report()
    steps = {"sgemm": lambda: measure_sgemm(report, tern, sides["openblas"], sides["clblast"], args.turns),
             "conv": lambda: measure_conv(report, tern, sides["onednn"], sides["onednn_winograd"], args.turns),
             "train": lambda: measure_train(report, tern, sides["pytorch"], args.turns),
             "plan": lambda: measure_plan(report, tern), "ready": lambda: measure_ready(report, tern, args.turns),
             "models": lambda: measure_models(report, args, sides["tern_models"], sides["onnxruntime"])}
    for name, step in steps.items():
        if args.only in (None, name) and (name != "models" or args.models):
            print(f"measuring {name} ...", file=sys.stderr)
            step()
    for side in sides.values():
        side.stop()
    report.print(args.markdown)
    if args.json:
        args.json.write_text(json.dumps({
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": machine(), "turns": args.turns,
            "versions": {k: s.version for k, s in sides.items()}, "table": report.rows, "details": report.details}, indent=1) + "\n", encoding="utf-8")


main()
