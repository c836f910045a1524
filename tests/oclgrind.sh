#!/bin/sh
# Runs a test with Oclgrind as the only OpenCL platform, and fails if it reported anything about a kernel.
#
# Oclgrind 21.10 does not know the instruction "freeze", which the optimiser leaves behind, so kernels are built without optimising. And it takes
# a buffer to be as large as what the host wrote last: memory that was an input is not given to what kernels fill.
icd=$(dirname "$(readlink -f "$(command -v oclgrind)")")/../lib/oclgrind/liboclgrind-rt-icd.so
if [ ! -e "$icd" ]; then
  echo "oclgrind is not installed" >&2
  exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo "$icd" >"$dir/oclgrind.icd"
export OCL_ICD_VENDORS="$dir" TERN_CACHE_DIR="$dir/cache" TERN_DEVICE=oclgrind TERN_TEST_SLOW_DEVICE=1 TERN_POOL=0 OCLGRIND_GLOBAL_MEM_SIZE=1073741824
export OCLGRIND_LOG="$dir/log" OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 OCLGRIND_MAX_ERRORS=20

OCLGRIND_BUILD_OPTIONS=-cl-opt-disable "$@" >"$dir/out" 2>&1
status=$?
cat "$dir/out"
if [ -s "$dir/log" ]; then
  sed 's/^/# /' "$dir/log" | head -n 60
  echo "not ok - Oclgrind reports what is above"
  exit 1
fi
exit $status
