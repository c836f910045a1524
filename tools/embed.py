"""Writes kernel sources as byte arrays into a C file, so that the library carries them.

usage: embed.py OUT.c ROOT FILE ...   (names in the table are relative to ROOT)"""
import os
import sys

out, root, *files = sys.argv[1:]
entries = []
with open(out, "w", encoding="ascii") as f:
    f.write("/* Kernel sources, generated from kernels/. */\n#include \"program/embedded.h\"\n\n")
    for k, path in enumerate(sorted(files)):
        with open(path, "rb") as src:
            data = src.read()
        f.write(f"static const char text_{k}[] = {{")
        for i in range(0, len(data), 24):
            f.write("\n    " + ", ".join(str(b) for b in data[i:i + 24]) + ",")
        f.write(" 0};\n")
        entries.append((os.path.relpath(path, root).replace(os.sep, "/"), k, len(data)))
    f.write("\nconst struct tern__embedded tern__embedded[] = {\n")
    for name, k, size in entries:
        f.write(f'    {{"{name}", text_{k}, {size}}},\n')
    f.write("    {0, 0, 0},\n};\n")
    f.write(f"const int tern__n_embedded = {len(entries)};\n")
