#!/bin/sh
# Runs a test with Oclgrind as the only OpenCL platform, and fails if it reported anything about a kernel.
#
# Oclgrind 21.10 does not know the instruction "freeze", which the optimiser leaves behind, so kernels are built without optimising. On some
# of those it crashes (shuffles of private arrays); a run that it crashed on is repeated with optimised kernels.
icd=$(dirname "$(readlink -f "$(command -v oclgrind)")")/../lib/oclgrind/liboclgrind-rt-icd.so
if [ ! -e "$icd" ]; then
  echo "oclgrind is not installed" >&2
  exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "$icd" >"$dir/oclgrind.icd"
export OCL_ICD_VENDORS="$dir" TERN_CACHE_DIR="$dir/cache" TERN_DEVICE=oclgrind TERN_TEST_SLOW_DEVICE=1
export OCLGRIND_LOG="$dir/log" OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 OCLGRIND_MAX_ERRORS=20

OCLGRIND_BUILD_OPTIONS=-cl-opt-disable "$@" >"$dir/out" 2>&1
status=$?
if [ $status -eq 139 ]; then
  rm -rf "$dir/log" "$dir/cache"
  "$@" >"$dir/out" 2>&1
  status=$?
fi
cat "$dir/out"
if [ -s "$dir/log" ]; then
  sed 's/^/# /' "$dir/log" | head -n 60
  echo "not ok - Oclgrind reports what is above"
  exit 1
fi
exit $status
