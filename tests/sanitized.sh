#!/bin/sh
# Runs a test of the sanitizers' build, and once more if LeakSanitizer itself broke down: its tracer may meet a driver's thread that is just ending,
# and dies before it has looked for anything. A leak that it found, and every other failure, stays one.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$@" >"$tmp/out" 2>"$tmp/err"
code=$?
if [ $code -ne 0 ] && grep -q 'LeakSanitizer has encountered a fatal error' "$tmp/err"; then
  "$@" >"$tmp/out" 2>"$tmp/err"
  code=$?
fi
cat "$tmp/out"
cat "$tmp/err" >&2
exit $code
