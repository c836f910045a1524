"""Prints the files below folders that match a pattern, one a line, sorted: what the build file globs with."""
import pathlib
import sys

pattern, *folders = sys.argv[1:]
names = set()
for folder in folders:
    names.update(str(p.as_posix()) for p in pathlib.Path(folder).rglob(pattern))
print("\n".join(sorted(names)))
