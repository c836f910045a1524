#!/bin/sh
# A library built without ONNX still has every function of its header; one without SQLite builds without a warning, with all functions of its store.
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

config=$tmp/config n=1
mkdir "$config"
for have in 0 1; do
  echo "#define TERN_HAVE_SQLITE $have" >"$config/tern_config.h"
  [ $have = 0 ] || echo '#include <sqlite3.h>' | ${CC:-cc} -E - >/dev/null 2>&1 || continue
  ${CC:-cc} -std=c17 -Wall -Wextra -Werror -D_GNU_SOURCE -I"$config" -I"$src/include" -I"$src/runtime" -c "$src/runtime/program/tuned.c" -o "$tmp/tuned.o" || exit 1
  n=$((n + 1))
  nm "$tmp/tuned.o" | sed -n 's/.* T \(tern__tuned_[a-z_]*\)$/\1/p' | sort >"$tmp/defined"
  sed -n 's/^[a-z].*[ *]\(tern__tuned_[a-z_]*\)(.*/\1/p' "$src/runtime/program/tuned.h" | sort >"$tmp/declared"
  [ -s "$tmp/declared" ]
  if diff "$tmp/declared" "$tmp/defined" >"$tmp/diff"; then
    echo "ok $n - $(wc -l <"$tmp/declared") functions of the store, SQLite $have"
  else
    sed 's/^/# /' "$tmp/diff"
    echo "not ok $n - runtime/program/tuned.h (<) and tuned.c (>) with SQLite $have differ"
    failed=1
  fi
done
echo "1..$n"
exit ${failed:-0}
