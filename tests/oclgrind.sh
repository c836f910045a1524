#!/bin/sh
# Runs a test with Oclgrind as the only OpenCL platform, and fails if it reported anything about a kernel.
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
"$@"
status=$?
if [ -s "$dir/log" ]; then
  sed 's/^/# /' "$dir/log" | head -n 60
  echo "not ok - oclgrind: $(grep -c -E 'race|Invalid|Uninitiali|error' "$dir/log") reports"
  exit 1
fi
exit $status
