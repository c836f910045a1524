#!/bin/sh
# Every kernel source is valid OpenCL C on its own (skipped without clang).
exec python3 "${TERN_SOURCE_DIR:-.}/tests/check_cl_syntax.py"
