#!/bin/sh
# Every kernel under Oclgrind: no race, no access out of bounds, no uninitialised read, and the reference's result, op by op.
set -u
tern=$1
# What is under test here is the kernels, which the release build has as well; and the simulator's compiler is slow when watched.
[ "$TERN_SANITIZE" = none ] || exit 77
command -v oclgrind >/dev/null 2>&1 || exit 77
log=$(mktemp)
trap 'rm -f "$log"' EXIT
n=0 failed=0
# shellcheck disable=SC2013
for op in $(sed -n 's/^TERN_OP(\([a-z0-9_]*\)).*/\1/p' "$TERN_SOURCE_DIR"/src/ops/*.c | sort); do
  n=$((n + 1))
  if "$TERN_SOURCE_DIR/tests/oclgrind.sh" "$tern" certify --op "$op" --quick >"$log" 2>&1; then
    echo "ok $n - $op"
  else
    sed 's/^not ok/# not ok/; s/^/# /' "$log" | tail -n 40
    echo "not ok $n - $op"
    failed=1
  fi
done
echo "1..$n"
exit $failed
