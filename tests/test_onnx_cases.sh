#!/bin/sh
# ONNX's own test cases (Debian: libonnx-testdata), all of them, through `tern test`: a line of TAP for each. Skipped is only what needs strings, and
# what tests/data/onnx_faults.txt shows to be the data's own fault, sentence by sentence.
set -u
tern=$1
data=/usr/share/libonnx-testdata/data
if [ ! -d $data/node ]; then
  echo "1..0 # SKIP $data is not there (Debian package libonnx-testdata)"
  exit 0
fi
"$tern" info --help >/dev/null 2>&1 || exit 77
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The sanitizers' build is several times slower, and kernels are the same: it takes every twelfth case, and all that run on the host.
if [ "$TERN_SANITIZE" = none ]; then
  "$tern" test $data/node $data/simple $data/pytorch-operator $data/pytorch-converted >"$log" 2>&1
else
  for part in nonzero unique compress nonmax sequence optional loop scan if_ lstm gru resize_up einsum_b quantizelinear; do
    "$tern" test $data/node --filter "$part"
  done >"$log" 2>&1
fi
awk -v faults="$TERN_TEST_DATA/onnx_faults.txt" '
  BEGIN { while ((getline line < faults) > 0) if (line !~ /^#/) known[++n_known] = line }
  function quiet(s) { gsub(/#/, "", s); return s }
  /^pass / { print "ok " ++n " - " quiet($2); next }
  /^skip / {
    n++
    if (/StringNormalizer|element type string/) print "ok " n " - " quiet($2) " # SKIP strings: " quiet($0)
    else { print "not ok " n " - " quiet($0); bad = 1 }
    next
  }
  /^FAIL / {
    n++
    text = $0
    sub(/^FAIL +/, "", text)
    for (i = 1; i <= n_known; i++)
      if (index(text, known[i]) == 1) { print "ok " n " - " quiet($2) " # SKIP contradicts the specification: " quiet(text); next }
    print "not ok " n " - " quiet(text)
    bad = 1
    next
  }
  /^[0-9]+ passed/ { finished = 1; next }
  { print "# " $0 }
  END {
    print "1.." n
    if (!finished || n == 0) { print "# tern test did not come to its end"; exit 1 }
    exit bad
  }' "$log"
