"""Writes the table of ops from the TERN_OP(name) = lines in the given sources, in alphabetical order of op name.

usage: registry.py OUT.c SOURCE.c ..."""
import re
import sys

out, *sources = sys.argv[1:]
idents = []
for path in sources:
    with open(path, encoding="utf-8") as f:
        idents += re.findall(r"^TERN_OP\((\w+)\)\s*=", f.read(), re.M)
idents.sort()
twice = {i for i in idents if idents.count(i) > 1}
if twice:
    sys.exit("registry: defined twice: " + ", ".join(sorted(twice)))
with open(out, "w", encoding="utf-8") as f:
    f.write("/* The table of ops, generated from the TERN_OP lines in src/ops. */\n")
    f.write('#include "ops/op.h"\n#include "ops/registry.h"\n\n')
    f.writelines(f"extern const tern__op tern__op_{i};\n" for i in idents)
    f.write("\nconst tern__op *const tern__op_table[] = {\n")
    f.writelines(f"    &tern__op_{i},\n" for i in idents)
    f.write("    NULL,\n};\n")
    f.write("const char *const tern__op_name_table[] = {\n")
    f.writelines(f'    "{i}",\n' for i in idents)
    f.write("    NULL,\n};\n")
    f.write(f"const int tern__n_ops = {len(idents)};\n")
