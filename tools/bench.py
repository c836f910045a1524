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

    def __init__(self, name, command):
        self.name, self.command, self.process = name, command, None
        try:
            out = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=120, check=True)
            self.version, self.missing = out.stdout.strip(), None
        except (OSError, subprocess.SubprocessError) as e:
            text = (getattr(e, "stderr", None) or str(e)).strip()
            self.version, self.missing = None, text.splitlines()[-1] if text else "it does not start"

    def seconds(self, case, size, repeats):
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{case} {size} {repeats}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        if not line or line == "none":
            sys.exit(f"bench: {self.name} has no answer for {case} {size}")
        time.sleep(REST_S)
        return float(line)

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
            with tempfile.TemporaryDirectory() as cache:
                env = dict(os.environ, TERN_CACHE_DIR=cache + "/tern", POCL_CACHE_DIR=cache + "/driver")
                for i in range(4):
                    out = subprocess.run([*tern.command, "--ready", kind], env=env, capture_output=True, text=True, check=True)
                    (warm if i else cold).append(json.loads(out.stdout))
        result[kind] = {when: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for when, runs in (("cold", cold), ("warm", warm))}
    return result


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


class Report:
    def __init__(self):
        self.rows, self.details = [], {}

    def row(self, work, tern, peer, ratio, goal, good):
        self.rows.append({"work": work, "tern": tern, "peer": peer, "ratio": ratio, "goal": goal, "reached": good})

    def print(self, markdown):
        heads = ("work", "Tern", "beside", "ratio", "goal", "")
        table = [heads] + [(r["work"], r["tern"], r["peer"], "" if r["ratio"] is None else f"{r['ratio']:.2f}", r["goal"],
                            {True: "reached", False: "not reached", None: ""}[r["reached"]]) for r in self.rows]
        if markdown:
            table.insert(1, ("---",) * len(heads))
            print("\n".join("| " + " | ".join(line) + " |" for line in table))
            return
        widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
        for line in table:
            print("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip())


def measure_sgemm(report, tern, peer, turns):
    for n, repeats in ((512, 60), (1024, 10), (2048, 2)):
        entries = [(tern, "sgemm", n, repeats)] + ([(peer, "sgemm", n, repeats)] if not peer.missing else [])
        rates = [2e-9 * n ** 3 / s for s in duel(turns, *entries)]
        ratio = rates[0] / rates[1] if len(rates) > 1 else None
        report.details[f"sgemm_{n}"] = {"tern_gflops": rates[0], "openblas_gflops": rates[1] if ratio else None, "ratio": ratio}
        report.row(f"SGEMM {n}", f"{rates[0]:.0f} GFLOPS", f"OpenBLAS {rates[1]:.0f}" if ratio else "OpenBLAS missing", ratio,
                   ">= 0.95", ratio and ratio >= 0.95)


def measure_conv(report, tern, peer, turns):
    layers, flops = 8, 2 * 56 * 56 * 64 * 64 * 9
    entries = [(tern, "conv", 0, 6)] + ([(peer, "conv", 0, 6)] if not peer.missing else [])
    rates = [1e-9 * layers * flops / s for s in duel(turns, *entries)]
    ratio = rates[0] / rates[1] if len(rates) > 1 else None
    report.details["conv_3x3_56_64"] = {"tern_gflops": rates[0], "onednn_gflops": rates[1] if ratio else None, "ratio": ratio}
    report.row("conv 3x3, 56x56x64 -> 64, bias, ReLU", f"{rates[0]:.0f} GFLOPS", f"oneDNN direct {rates[1]:.0f}" if ratio else "oneDNN missing",
               ratio, ">= 0.90", ratio and ratio >= 0.9)


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
               ">= 1.50", ratio and ratio >= 1.5)


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


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--only", choices=("sgemm", "conv", "train", "plan", "ready"), help="measure only this")
    parser.add_argument("--turns", type=int, default=9, help="interleaved repetitions (default 9)")
    args = parser.parse_args()
    threads = str(min(2, len(os.sched_getaffinity(0))))
    os.environ.update(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
    programs = args.build / "tools/benchmarks"
    sides = {"tern": Side("Tern", [str(programs / "bench_tern")]), "openblas": Side("OpenBLAS", [str(programs / "bench_openblas")]),
             "onednn": Side("oneDNN", [str(programs / "bench_onednn")]),
             "pytorch": Side("PyTorch", [sys.executable, str(HERE / "benchmarks/torch_train.py")])}
    tern = sides["tern"]
    if tern.missing:
        sys.exit(f"bench: {tern.missing}")
    for side in sides.values():
        print(f"{side.name}: {side.version or 'missing: ' + side.missing}", file=sys.stderr)
    report = Report()
    steps = {"sgemm": lambda: measure_sgemm(report, tern, sides["openblas"], args.turns),
             "conv": lambda: measure_conv(report, tern, sides["onednn"], args.turns),
             "train": lambda: measure_train(report, tern, sides["pytorch"], args.turns),
             "plan": lambda: measure_plan(report, tern), "ready": lambda: measure_ready(report, tern, args.turns)}
    for name, step in steps.items():
        if args.only in (None, name):
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
