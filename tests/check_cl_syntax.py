#!/usr/bin/env python3
"""Parses every kernel source on its own with clang as OpenCL C 1.2: no build, no device, file and line of each error.

Pointwise functions are parsed once with a floating-point and once with an integer register type, as far as their op
takes them. Exit status 77 (skipped) where there is no clang."""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TYPES = ROOT / "kernels/lib/types.clh"  # what pointwise functions are written in
IO = ROOT / "kernels/lib/io.clh"        # what stands before every generated kernel
SETS = {
    "FLOAT": [],  # types.clh's own defaults
    "INT": ["-DFN=tern_fn", "-DT=uchar16", "-DE=uchar", "-DB=int16", "-DM=char16", "-DCVT_B(m)=convert_int16(m)",
            "-DCVT_M(b)=convert_char16(b)", "-DIS_FLOAT=0", "-DIS_UNSIGNED=1", "-DIS_BOOL=0"],
    "BOOL": ["-DFN=tern_fn", "-DT=int", "-DE=int", "-DB=int", "-DM=int", "-DCVT_B(m)=(m)", "-DCVT_M(b)=(b)",
             "-DIS_FLOAT=0", "-DIS_UNSIGNED=0", "-DIS_BOOL=1"],
}
KINDS = {"FLOAT": ["FLOAT"], "INT": ["INT"], "BOOL": ["BOOL"], "NUM": ["FLOAT", "INT"], "ANY": ["FLOAT", "INT", "BOOL"]}


def kinds_of(op):
    """The kinds of input that the op's descriptor names."""
    text = (ROOT / "src/ops" / f"{op}.c").read_text()
    names = re.findall(r"TERN__T_(\w+)", re.search(r"\.in_kinds = ([^,]*),", text).group(1))
    return sorted({kind for name in names for kind in KINDS[name]})


def parse(path, header, flags):
    command = ["clang", "-x", "cl", "-cl-std=CL1.2", "-fsyntax-only", "-Wall", "-Wno-unused-function",
               "-Xclang", "-finclude-default-header", "-I", str(ROOT / "kernels"), "-include", str(header), *flags, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or done.stderr:
        print(f"{path.relative_to(ROOT)} {' '.join(flags)}\n{done.stderr}", file=sys.stderr)
    return done.returncode == 0 and not done.stderr


def main():
    if not shutil.which("clang"):
        print("no clang: kernel sources are not parsed")
        return 77
    good = n = 0
    for path in sorted((ROOT / "kernels/pointwise").glob("*.cl")):
        for kind in kinds_of(path.stem):
            n += 1
            good += parse(path, TYPES, SETS[kind])
    for path in sorted(p for p in (ROOT / "kernels").rglob("*.cl") if p.parent.name != "pointwise"):
        n += 1
        good += parse(path, TYPES if path.parent.name == "reduce" else IO, [])
    print(f"{good} of {n} parses without a word from clang")
    return 0 if good == n and n else 1


if __name__ == "__main__":
    sys.exit(main())
