#!/bin/sh
# tern tune: what it refuses, searches that end in time and go on where they ended, choices that crash, hang or compute nonsense, stores that are damaged
# or shared, and what the other commands make of it. Usage: test_tune.sh TERN
tern=$1
tests=$(cd "$(dirname "$0")" && pwd)
. "$tests/cli.sh"
TERN_CACHE_DIR=$tmp/cache
export TERN_CACHE_DIR
if TERN_CACHE_DIR=$tmp/other "$tern" tune gemm 8:8:8 --budget 0 2>&1 | grep -q 'no SQLite'; then
  expect 1 'no SQLite' tune gemm 8:8:8 --budget 0
  expect 0 'nothing is kept' tune --list
  echo "1..$n"
  exit $failed
fi

# sql STATEMENT: on the store, what it gives.
sql() {
  python3 - "$TERN_CACHE_DIR/tuned.sqlite" "$1" <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
for row in db.execute(sys.argv[2]):
    print(*row, sep="\t")
db.commit()
P
}

# Wrong use.
expect 2 'is missing' tune
expect 2 'gemm needs a shape' tune gemm
expect 2 'neither a kind' tune something
expect 2 'a product is' tune gemm 3:4
expect 2 'exclude each other' tune --list --clear
expect 2 'take no problem' tune --list gemm 3:4:5
expect 2 'way to --list' tune --table gemm 3:4:5
expect 2 'budget' tune gemm 8:8:8 --budget soon
expect 2 'dtype' tune gemm 8:8:8 --dtype i8
expect 1 'missing.onnx' tune missing.onnx
expect 1 'nothing to choose' tune softmax 8x8 --budget 0
expect 3 'null' tune gemm 8:8:8 --device null
expect 0 'nothing is kept' tune --list
expect 0 '^0 choices removed' tune --clear
[ ! -e cache/tuned.sqlite ]
result $? "looking makes no store"

# A search within no time tries what the cost model takes; the next goes on; one that is finished has nothing left to try.
json 'problems.0.problem problems.0.usual problems.0.usual_us device.name' tune gemm 24:40:32 --budget 0 --time-ms 1
check 'd["problems"][0]["tried"] == 1 and d["problems"][0]["failed"] == 0 and not d["problems"][0]["finished"]'
json 'problems.0.best' tune gemm 24:40:32 --budget 300 --trials 3 --time-ms 1
check 'd["problems"][0]["tried"] == 3'
tried=$(sql 'SELECT count(*) FROM trial')
json 'problems.0.best' tune gemm 24:40:32 --budget 0 --time-ms 1
check "d['problems'][0]['tried'] == $tried == 3 and d['problems'][0]['tried_before'] == 2"
[ "$(sql "SELECT count(*) FROM trial WHERE outcome = 'good'")" -ge 2 ]
result $? "trials are kept as good"

# Killed in the middle of it.
"$tern" tune conv mb1ic8ih9oc12oh9kh3ph1 --budget 60 --time-ms 1 >out 2>err &
victim=$!
for i in $(seq 300); do
  before=$(sql "SELECT count(*) FROM trial WHERE problem LIKE 'conv%' AND outcome <> 'running'")
  [ "$before" -ge 2 ] && break
  sleep 0.3
done
kill -9 $victim 2>/dev/null
wait $victim 2>/dev/null
[ "$before" -ge 2 ]
result $? "two trials were on disk before it was killed"
sleep 0.5
json 'problems.0.best' tune conv mb1ic8ih9oc12oh9kh3ph1 --budget 0 --time-ms 1
check "d['problems'][0]['tried_before'] >= $before - 1"

# Two at a time.
"$tern" tune gemm 16:48:20 --budget 300 --trials 4 --time-ms 1 >out1 2>err1 &
first=$!
"$tern" tune gemm 16:48:20 --budget 300 --trials 4 --time-ms 1 --seed 7 >out2 2>err2
second=$?
wait $first && [ $second -eq 0 ] && [ "$(sql 'PRAGMA integrity_check')" = ok ]
result $? "two searches share a store"

# What is kept changes what the others take.
sql "INSERT OR REPLACE INTO best SELECT device, 'this', problem, sources, 'cpu_tile:mr=3:nv=1', 1, 2, 'now' FROM trial WHERE problem LIKE 'matmul(f32[24,%' LIMIT 1"
expect 0 'cpu_tile \(tuned\)' bench gemm 24:40:32 --repeat 1
expect 0 'cpu_tile *$' bench gemm 24:40:32 --repeat 1 --no-tuned
TERN_TUNED=0 timeout 100 "$tern" bench gemm 24:40:32 --repeat 1 >out 2>err
grep -q tuned out
[ $? -eq 1 ]
result $? "TERN_TUNED=0 leaves it out"
json 'results.0.tuned' bench gemm 24:40:32 --repeat 1
check 'd["results"][0]["tuned"] == 1'
expect 0 'cpu_tile:mr=3:nv=1 .*2.00 us' tune --list
json 'entries.0.choice entries.0.problem' tune --list
check 'd["entries"][0]["current"]'
expect 0 '^[0-9a-f]{16} matmul\(f32\[24,32\],const f32\[32,40\]\) \| cpu_tile:mr=3:nv=1$' tune --list --table

# Kernels that crash or compute nonsense for some of the numbers.
mkdir kernels
sed 's/^    VEC acc\[MR\]\[NV\];$/&\
#if NV == 3\
    *(volatile __global int *)(size_t)16 = 1;\
#endif/; s/^    const uint end = min((uint)MR, (uint)M - m0);$/&\
#if SPLITS == 2\
    tile[0] += 100;\
#endif/' "$TERN_SOURCE_DIR/kernels/gemm_cpu.cl" >kernels/gemm_cpu.cl
[ "$(grep -c 'NV == 3\|SPLITS == 2' kernels/gemm_cpu.cl)" -eq 2 ]
result $? "the kernel is broken as intended"
export TERN_KERNEL_PATH=$tmp/kernels
json 'problems.0.best' tune gemm 40:96:56 --budget 220 --trials 7 --time-ms 1
check '":nv=3" not in d["problems"][0]["best"] and ":splits=2" not in d["problems"][0]["best"] and d["problems"][0]["failed"] >= 2'
count() { # count PART OUTCOMES: choices of the broken kernel's with this in their names that ended so
  sql "SELECT count(*) FROM trial WHERE choice LIKE '%:$1:%' AND choice LIKE 'cpu%' AND outcome IN ($2) AND problem LIKE 'matmul(f32[40,%'"
}
[ "$(count nv=3 "'died'")" -ge 1 ] && [ "$(count nv=3 "'good', 'wrong', 'refused'")" -eq 0 ]
result $? "those that crash are known to"
[ "$(count splits=2 "'wrong'")" -ge 1 ] && [ "$(count splits=2 "'good', 'refused'")" -eq 0 ]
result $? "those that are wrong are known to be"
sql "SELECT choice, id FROM trial WHERE outcome IN ('died', 'wrong')" >before
json 'problems.0.best' tune gemm 40:96:56 --budget 220 --trials 2 --time-ms 1
sql "SELECT choice, id FROM trial WHERE outcome IN ('died', 'wrong')" >after
head -n "$(wc -l <before)" after | cmp -s - before && ! grep -qFf before err
result $? "and are not tried again"
# With the kernel as it is none of that counts.
unset TERN_KERNEL_PATH
json 'problems.0.best' tune gemm 40:96:56 --budget 0 --time-ms 1
check 'd["problems"][0]["tried_before"] == 0'

# A cost model's choice that crashes is a sentence, not a crash.
sed -i 's/NV == 3/NV > 0/' kernels/gemm_cpu.cl
TERN_KERNEL_PATH=$tmp/kernels
export TERN_KERNEL_PATH
expect 1 'cost model.s own choice cpu_tile.* failed|choice failed: its process' tune gemm 36:96:56 --budget 1 --time-ms 1
unset TERN_KERNEL_PATH

# What takes too long is given up.
expect 1 'still running after 0.1 s' tune gemm 36:96:57 --budget 1 --limit 0.1

# A damaged store is left out with a note, refused by the search, and removed on demand; others' databases stay.
echo 'this is no database, but it is long enough to look at' >cache/tuned.sqlite
expect 1 'tuned.sqlite' tune gemm 8:8:8 --budget 0
expect 1 'tuned.sqlite' tune --list
expect 0 'cpu' plan "$TERN_SOURCE_DIR/tests/corpus/model/sample.tern"
grep -q 'note: .*tuned.sqlite.*not used' err
result $? "  and notes that the store is not used"
expect 0 '0 choices removed' tune --clear
expect 0 'nothing is kept' tune --list
sql 'CREATE TABLE precious (x)'
expect 1 "none of Tern's" tune gemm 8:8:8 --budget 0
expect 1 "none of Tern's" tune --clear
[ "$(sql 'SELECT count(*) FROM precious')" = 0 ]
result $? "another program's database is as it was"

# A folder that cannot be written.
TERN_CACHE_DIR=/proc/no/such
expect 1 '/proc/no' tune gemm 8:8:8 --budget 0
expect 0 'nothing is kept' tune --list

echo "1..$n"
[ $failed -eq 0 ]
