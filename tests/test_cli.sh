#!/bin/sh
# The tern command as a user types it: help, wrong usage and bad files of all kinds, exit codes, JSON, and train -> eval -> run -> plan.
# usage: test_cli.sh TERN
tern=$1
. "$(dirname "$0")/cli.sh"

# A small labelled set: the class is where the bright block is, which a network learns in an epoch or two.
python3 - <<'P'
import os, random, struct
random.seed(3)
os.mkdir("data")
for name, n in (("train", 1280), ("t10k", 300)):
    images, labels = bytearray(), bytearray()
    for i in range(n):
        c = i % 10
        p = bytearray(random.randrange(40) for _ in range(784))
        for y in range(12):
            for x in range(4):
                p[(y + 14 * (c // 5)) * 28 + 5 * (c % 5) + x] = 200 + random.randrange(56)
        images += p
        labels.append(c)
    open(f"data/{name}-images-idx3-ubyte", "wb").write(struct.pack(">IIII", 0x803, n, 28, 28) + images)
    open(f"data/{name}-labels-idx1-ubyte", "wb").write(struct.pack(">II", 0x801, n) + labels)
def npy(path, shape, kind, data):
    head = str({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
npy("x3.npy", (3, 1, 28, 28), "<f4", struct.pack("<2352f", *[i % 7 / 7 for i in range(2352)]))
npy("wrong.npy", (3, 1, 14, 14), "<f4", bytes(3 * 196 * 4))
npy("double.npy", (3, 1, 28, 28), "<f8", bytes(2352 * 8))
os.makedirs("cut"), os.makedirs("odd")
for f in os.listdir("data"):
    b = open("data/" + f, "rb").read()
    open("cut/" + f, "wb").write(b[:len(b) - 100])
P
data=fashion-mnist:$tmp/data

# Help and version.
expect 0 'Exit codes' --help
expect 0 'Usage: tern' help
expect 0 '^tern [0-9]+\.[0-9]+\.[0-9]+$' --version
for command in devices demo train eval run info convert test plan bench tune certify cache; do
  "$tern" --help | grep -q "^  $command "
  result $? "tern --help names $command"
  expect 0 "^Usage: tern $command" "$command" --help
  expect 0 '--json' "$command" --help
  expect 2 'unknown option "--nonsense"' "$command" --nonsense
  "$tern" "$command" --help >out 2>err
  ! [ -s err ]
  result $? "tern $command --help writes nothing to standard error"
done
"$tern" >out 2>err
[ $? -eq 2 ] && ! [ -s out ] && grep -q '^Usage' err
result $? "without arguments: usage on standard error, exit 2"

# Wrong usage.
expect 2 'unknown command "fly"' fly
expect 2 'unknown option "--fly"' --fly
expect 2 '--device needs a value' --device
expect 2 'MODEL is missing' run
expect 2 'MODEL is missing' plan --no-fuse
expect 2 'one argument too many: "b"' plan a b
expect 2 '--repeat takes a whole number' run m.tern --repeat many
expect 2 '--repeat takes a whole number' run m.tern --repeat=0
expect 2 '--repeat needs a value' run m.tern --repeat
expect 2 '--json takes no value' plan m.tern --json=yes
expect 2 '--no-fuse and --disable' plan m.tern --no-fuse --disable cse
expect 2 '--data NAME is missing' eval m.tern
expect 2 '--data NAME is missing' train --out m.tern
expect 2 '--out FILE is missing' train --data "$data"
expect 2 'no model is called "perceptor"; there are convnet, mlp' train --data "$data" --out m.tern --model perceptor
expect 2 'no optimizer is called "adamant"' train --data "$data" --out m.tern --optimizer adamant
expect 2 '--lr takes a number' train --data "$data" --out m.tern --lr fast
expect 2 '--epochs takes a whole number' train --data "$data" --out m.tern --epochs 0
expect 2 'no op.s name contains "levitate"' certify --op levitate

# Files and data sets that are not there or not what they should be.
expect 1 'missing.tern' run missing.tern
expect 1 'missing.tern' plan missing.tern
expect 1 'missing.tern' eval missing.tern --data "$data"
echo 'no model at all' >text.tern
expect 1 'text.tern' plan text.tern
: >empty.tern
expect 1 'empty.tern' plan empty.tern
expect 1 '.' plan data
expect 1 'cifar' train --data cifar --out m.tern
expect 1 'nowhere' train --data fashion-mnist:nowhere --out m.tern
expect 1 '.' train --data "fashion-mnist:$tmp/cut" --out m.tern
expect 1 'cannot write nowhere/m.tern' train --data "$data" --out nowhere/m.tern
expect 1 'cannot write nowhere/r.html' demo --report nowhere/r.html
! ls m.tern* >/dev/null 2>&1
result $? "nothing was left behind by what failed"

# Devices.
json 'devices.0.device.name devices.0.device.why devices.0.device.max_alloc_bytes' devices
expect 0 'chosen' devices
expect 3 'abacus' devices --device abacus
expect 3 'abacus' --device abacus devices
expect 3 'null device' train --data "$data" --out m.tern --device null
TERN_DEVICE=abacus "$tern" devices >out 2>err
[ $? -eq 3 ]
result $? "TERN_DEVICE chooses, too"
OCL_ICD_VENDORS=$tmp/odd OCL_ICD_FILENAMES='' "$tern" devices >out 2>err
[ $? -eq 3 ] && grep -q 'pocl' err
result $? "without a platform: exit 3 and the name of a package"

# Train, then everything that can be done with the file.
json 'test_accuracy train_s train_images_per_s plan.bytes_fused losses.0 saved' train --data "$data" --model mlp --epochs 2 --batch 64 --lr 0.003 --seed 5 --out m.tern
python3 -c 'import json; assert json.load(open("out"))["test_accuracy"] > 0.9'
result $? "it learned"
[ -s m.tern ] && [ "$(ls m.tern* | wc -l)" -eq 1 ]
result $? "one whole file was written"
cp m.tern same.tern
expect 0 'test accuracy' train --data "$data" --model mlp --epochs 2 --batch 64 --lr 0.003 --seed 5 --out same.tern
cmp -s m.tern same.tern
result $? "the same seed gives the same file, and a file is replaced"
json 'accuracy right images images_per_s plan.kernels ready_ms' eval m.tern --data "$data"
python3 -c 'import json; d = json.load(open("out")); assert d["images"] == 300 and d["accuracy"] > 0.9 and d["right"] == round(d["accuracy"] * 300)'
result $? "eval agrees with what training saw"
expect 0 'accuracy' eval m.tern --data "$data" --batch 64 --out probs.npy
[ -s probs.npy ]
result $? "eval --out saves the probabilities"
expect 0 'latency' run m.tern --repeat 3
json 'compile_ms first_ms min_ms median_ms p90_ms outputs.0.shape.0' run m.tern --in image=x3.npy --out results --repeat 5
python3 -c 'import json; assert json.load(open("out"))["outputs"][0]["shape"] == [3, 10]'
result $? "the batch axis is free"
head -c 6 results/scores.npy | grep -q NUMPY
result $? "the output was saved as .npy"
expect 0 'latency' run m.tern --in image=random --repeat 2 --trace trace.json
python3 -m json.tool trace.json >/dev/null 2>err
result $? "the trace is JSON"
expect 2 'no input for --in nothing=x3.npy' run m.tern --in nothing=x3.npy
expect 2 'NAME=FILE' run m.tern --in image
expect 1 'missing.npy' run m.tern --in image=missing.npy
expect 1 '.' run m.tern --in image=wrong.npy
expect 1 'double.npy holds f64' run m.tern --in image=double.npy
expect 1 'm.tern is not a folder' run m.tern --out m.tern
expect 1 'cannot create the folder' run m.tern --out nowhere/results
expect 0 'lower bound' plan m.tern
expect 0 'lower bound' plan m.tern --device null
expect 0 'lower bound' plan m.tern --device null:gpu
expect 0 'kernel void' plan m.tern --source
expect 0 'lower bound' plan m.tern --exact
expect 0 'latency' run m.tern --exact --repeat 1
json 'plan.bytes_unfused plan.bytes_fused plan.bytes_lower plan.arena_bytes groups.0.ops source' plan m.tern --source
python3 -c 'import json; p = json.load(open("out"))["plan"]; assert p["bytes_lower"] <= p["bytes_fused"] <= p["bytes_unfused"], p'
result $? "lower bound <= fused <= unfused"
json 'plan.bytes_fused' plan m.tern --no-fuse
expect 0 'all groups together [0-9.]+ us' plan m.tern --time
json 'groups.0.time_us' plan m.tern --time
python3 -c 'import json; assert all(g["time_us"] > 0 for g in json.load(open("out"))["groups"])'
result $? "every group was timed"
expect 3 'null device' plan m.tern --time --device null
json 'results.0.median_us results.0.impl results.0.flops results.0.bytes' bench m.tern --repeat 2
python3 -c 'import json; r = json.load(open("out"))["results"][0]; assert r["problem"] == "model m.tern" and r["dtype"] == "f32" and r["params"]["kind"] == "model", r'
result $? "a model is a problem, too"
expect 1 'missing.tern' bench missing.tern
expect 2 '--dim batch fits nothing' bench m.tern --dim batch=2

# Damage: at the start, in the middle, cut short. A checksum finds each.
size=$(wc -c <m.tern)
for cut in 1 20 100 $((size / 2)) $((size - 1)); do
  head -c "$cut" m.tern >cut.tern
  expect 1 'cut.tern' plan cut.tern --device null
done
python3 - <<'P'
b = bytearray(open("m.tern", "rb").read())
b[len(b) * 2 // 3] ^= 4
open("flipped.tern", "wb").write(b)
P
expect 1 'flipped.tern' run flipped.tern

# Certification of one op, and the cache.
json 'passed device.name cases.0.op' certify --op relu --quick
expect 0 'passed' certify --op sub --quick
TERN_CACHE_DIR=$tmp/cache
export TERN_CACHE_DIR
expect 0 '0 entries' cache
expect 0 'latency' run m.tern --repeat 1
json 'entries dir size_bytes' cache
python3 -c 'import json; assert json.load(open("out"))["entries"] > 0'
result $? "running filled the cache"
json 'removed' cache --clear
expect 0 ': 0 entries' cache

# Output that cannot be written is a failure.
"$tern" plan m.tern --device null >/dev/full 2>err
[ $? -eq 1 ] && grep -q 'standard output' err
result $? "a full disk behind standard output: exit 1"

echo "1..$n"
exit $failed
