#!/bin/sh
# A library built without ONNX still has every function of its header.
set -eu
src=${TERN_SOURCE_DIR:-.}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo '#define TERN_HAVE_ONNX 0' >"$tmp/tern_config.h"
${CC:-cc} -std=c17 -Wall -Werror -I"$tmp" -I"$src/include" -I"$src/runtime" -I"$src/src" -c "$src/src/formats/onnx_missing.c" -o "$tmp/missing.o"
nm "$tmp/missing.o" | sed -n 's/.* T \(tern_onnx_[a-z_]*\)$/\1/p' | sort >"$tmp/defined"
sed -n 's/^TERN_API.*[ *]\(tern_onnx_[a-z_]*\)(.*/\1/p' "$src/include/tern/onnx.h" | sort >"$tmp/declared"
[ -s "$tmp/declared" ]
if diff "$tmp/declared" "$tmp/defined" >"$tmp/diff"; then
  echo "ok 1 - $(wc -l <"$tmp/declared") functions"
else
  sed 's/^/# /' "$tmp/diff"
  echo "not ok 1 - include/tern/onnx.h (<) and src/formats/onnx_missing.c (>) differ"
  failed=1
fi
echo 1..1
exit ${failed:-0}
