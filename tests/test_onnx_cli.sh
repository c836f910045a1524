#!/bin/sh
# What the tern command does with ONNX models: info, run, test, convert, plan, right and wrong. The models are made here, by tests/onnx_build.h.
# usage: test_onnx_cli.sh TERN
tern=$1
. "$(dirname "$0")/cli.sh"

cat >make.c <<'C'
#include <onnx_build.h>

#include <math.h>
#include <sys/stat.h>

static onnx_message node(const char *op, const char *in, const char *out, const char *name)
{
    onnx_message n = onnx_node(op, in, out);
    if (name)
        onnx_put_text(&n, 3, name);
    return n;
}

/* y = relu(x) + w, x [d1, 3]. */
static void relu(const char *path)
{
    onnx_message g = {0}, a = node("Relu", "x", "r", NULL), b = node("Add", "r w", "y", NULL);
    onnx_add(&g, &a);
    onnx_add(&g, &b);
    onnx_input(&g, "x", ONNX_FLOAT, 2, (int64_t[]){-1, 3});
    onnx_weights(&g, "w", 1, (int64_t[]){3}, (float[]){10, 20, 30});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_save(&g, 13, path);
}

/* One operator from x to y. */
static void single(const char *path, const char *op, int type, int rank, const int64_t *dims, int out_type)
{
    onnx_message g = {0}, a = node(op, "x", "y", "the_node");
    onnx_add(&g, &a);
    onnx_input(&g, "x", type, rank, dims);
    onnx_output(&g, "y", out_type);
    onnx_save(&g, 13, path);
}

static void missing(const char *path)
{
    onnx_message g = {0}, a = node("Frobnicate", "x", "t", "first_one"), b = node("com.example:Twiddle", "t", "u", "second_one"), c = node("Frobnicate", "u", "y", "third_one");
    onnx_add(&g, &a);
    onnx_add(&g, &b);
    onnx_add(&g, &c);
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){4});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_message m = onnx_model(&g, 13);
    onnx_opset(&m, "com.example", 3);
    onnx_write(&m, path);
}

/* The sequence of a and b. */
static void sequence(const char *path)
{
    onnx_message g = {0}, a = node("SequenceConstruct", "a b", "s", NULL), elem = onnx_type(ONNX_FLOAT, -1, NULL), seq = {0}, type = {0};
    onnx_add(&g, &a);
    onnx_input(&g, "a", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_input(&g, "b", ONNX_FLOAT, 1, (int64_t[]){3});
    onnx_put_message(&seq, 1, &elem);
    onnx_put_message(&type, 4, &seq);
    onnx_value(&g, 12, "s", &type);
    onnx_save(&g, 13, path);
}

static void file(const char *dir, const char *name, int type, int rank, const int64_t *dims, const void *data)
{
    char path[256];
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/test_data_set_0", dir);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/test_data_set_0/%s.pb", dir, name);
    onnx_message t = onnx_tensor(name, type, rank, dims, data);
    onnx_write(&t, path);
}

static void relu_case(const char *dir, const float *y, int64_t rows)
{
    char path[256];
    file(dir, "input_0", ONNX_FLOAT, 2, (int64_t[]){2, 3}, (float[]){1, -2, 3, NAN, INFINITY, -6});
    file(dir, "output_0", ONNX_FLOAT, 2, (int64_t[]){rows, 6 / rows}, y);
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    relu(path);
}

int main(void)
{
    int64_t x43[] = {4, 3}, four[] = {4}, picture[] = {1, 3, -1, -2}, last[] = {1, 2, 2, 3}, vector[] = {-1};
    float y[] = {11, 20, 33, NAN, INFINITY, 30}, off[] = {11, 20, 33, NAN, INFINITY, 31}, near[] = {11.005f, 20, 33, NAN, INFINITY, 30};
    relu("relu.onnx");
    relu("nosuffix");
    missing("missing.onnx");
    sequence("sequence.onnx");
    single("nonzero.onnx", "NonZero", ONNX_FLOAT, 1, four, ONNX_INT64);
    single("picture.onnx", "Identity", ONNX_FLOAT, 4, picture, ONNX_FLOAT);
    single("last.onnx", "Identity", ONNX_UINT8, 4, last, ONNX_UINT8);
    single("vector.onnx", "Identity", ONNX_FLOAT, 1, vector, ONNX_FLOAT);
    single("norank.onnx", "Identity", ONNX_FLOAT, -1, NULL, ONNX_FLOAT);
    single("matmul.onnx", "Relu", ONNX_FLOAT, 2, x43, ONNX_FLOAT);
    mkdir("cases", 0777);
    relu_case("cases/right", y, 2);
    relu_case("cases/nearly", near, 2);
    relu_case("cases/shape", y, 3);
    relu_case("cases/value", off, 2);
    file("cases/lacks", "input_0", ONNX_FLOAT, 1, four, (float[]){0});
    missing("cases/lacks/model.onnx");
    file("cases/random", "input_0", ONNX_FLOAT, 2, x43, (float[12]){0});
    file("cases/random", "output_0", ONNX_FLOAT, 2, x43, (float[12]){7});
    single("cases/random/model.onnx", "RandomUniformLike", ONNX_FLOAT, 2, x43, ONNX_FLOAT);
    return 0;
}
C
${CC:-cc} -std=c17 -D_GNU_SOURCE -I"$TERN_SOURCE_DIR/tests" make.c -o make -lm >out 2>err && ./make >>out 2>>err
result $? "the models are made"
mkdir cases/broken && printf 'not a model' >cases/broken/model.onnx
mkdir empty results
printf 'not a model at all' >junk.onnx
head -c 40 relu.onnx >cut.onnx
python3 - <<'P'
import struct, zlib
def npy(path, descr, shape, kind, values):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (descr, ", ".join(map(str, shape)))
    head += " " * (-(len(head) + 11) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + struct.pack("<%d%s" % (len(values), kind), *values))
npy("x.npy", "<f4", (2, 3), "f", [1, -2, 3, -4, 5, -6])
npy("wide.npy", "<f4", (2, 5), "f", [0] * 10)
npy("double.npy", "<f8", (2, 3), "d", [0] * 6)
npy("mixed.npy", "<f4", (4,), "f", [0, 5, 0, 7])
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def png(path, rows, width, height):
    raw = b"".join(b"\0" + bytes(r) for r in rows)
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
png("p.png", [[255, 0, 51, 0, 255, 102]], 2, 1)
png("big.png", [[255, 0, 51]], 60000, 60000)
whole = open("p.png", "rb").read()
open("cut.png", "wb").write(whole[:-20])
P

# Help
for command in info test convert; do
  expect 0 "Usage: tern $command" $command --help
done
expect 0 '--in NAME=SOURCE' run --help

# info
expect 0 'input +x f32\[d1,3\]' info relu.onnx
says 'opset +13'
says 'parameters +3, 12 B in 1 initialisers'
says '1 +Relu'
says 'unsupported none'
expect 0 'format' info nosuffix --json
check 'd["format"] == "onnx" and d["inputs"][0]["shape"] == ["d1", 3] and d["macs"] == 0 and d["parameters"] == 3'
expect 0 'unsupported 2 operators' info missing.onnx
says 'Frobnicate, domain ai.onnx, opset 13, 2 times, first in node "first_one"'
says 'Twiddle, domain com.example, opset 3, 1 times, first in node "second_one"'
expect 0 'Twiddle' info missing.onnx --json
check '[o["name"] for o in d["unsupported"]] == ["Frobnicate", "Twiddle"] and d["macs"] is None'
expect 1 'none.onnx' info none.onnx
expect 1 'junk.onnx' info junk.onnx
expect 1 'cut.onnx' info cut.onnx
expect 2 'no input has a dimension called "rows"; those that can be given are d1' info relu.onnx --dim rows=3
expect 2 'NAME=N with a whole number' info relu.onnx --dim d1=many
expect 2 'NAME=N with a whole number' info relu.onnx --dim d1
expect 2 'MODEL is missing' info

# run
expect 0 'latency' run relu.onnx --in x=x.npy --out results --repeat 2
check 'npy("results/y.npy") == [11, 20, 33, 10, 25, 30]'
expect 0 'x f32\[4,3\]' run relu.onnx --dim d1=4 --repeat 1
expect 0 'x f32\[5,3\]' run relu.onnx --in x=random:5,3 --repeat 1
expect 0 'median_ms' run relu.onnx --in x=zeros:1,3 --out results --repeat 1 --json
check 'd["outputs"][0]["shape"] == [1, 3] and npy("results/y.npy") == [10, 20, 30] and d["median_ms"] > 0'
expect 0 'latency' run relu.onnx --in x=cases/right/test_data_set_0/input_0.pb --repeat 1
expect 0 'latency' run relu.onnx --in x=x.npy --repeat 1 --trace trace.json
[ -s trace.json ]
result $? "  and writes the trace"
expect 0 'y i64\[1,2\]' run nonzero.onnx --in x=mixed.npy --out results --repeat 2
check 'npy("results/y.npy") == [1, 3]'
expect 0 's sequence of 2' run sequence.onnx --out results --repeat 1 --in a=zeros
check 'npy("results/s_0.npy") == [0, 0] and len(npy("results/s_1.npy")) == 3'
expect 2 'no input for --in z=random' run relu.onnx --in z=random
expect 2 'NAME=FILE' run relu.onnx --in x
expect 2 'a shape is given as' run relu.onnx --in x=random:a,b
expect 2 'no input has a dimension called "d7"' run relu.onnx --dim d7=1
expect 2 'does not say what shape input "x" has' run norank.onnx
expect 0 'y f32\[2\]' run norank.onnx --in x=random:2 --repeat 1
expect 1 'x.pb' run relu.onnx --in x=x.pb
expect 1 'double.npy holds f64' run relu.onnx --in x=double.npy
expect 1 'x' run relu.onnx --in x=wide.npy
expect 1 'x' run relu.onnx --in x=random:3
expect 1 'Frobnicate' run missing.onnx
expect 1 'junk.onnx' run junk.onnx
expect 1 'cut.onnx' run cut.onnx

# Pictures: two pixels, (255, 0, 51) and (0, 255, 102)
if timeout 60 "$tern" run picture.onnx --in x=p.png --repeat 1 >out 2>err || ! grep -q 'built without libpng' err; then
  expect 0 'x f32\[1,3,1,2\]' run picture.onnx --in x=p.png --out results --repeat 1
  check '[round(v, 3) for v in npy("results/y.npy")] == [1, 0, 0, 1, 0.2, 0.4]'
  expect 0 'x f32\[1,3,1,2\]' run picture.onnx --in x=p.png --bgr --scale 1 --mean 100,0,0 --std 2,1,1 --out results --repeat 1
  check 'npy("results/y.npy") == [-24.5, 1, 0, 255, 255, 0]'
  expect 0 'x f32\[1,3,4,4\]' run picture.onnx --in x=p.png --dim d1=4 --dim d2=4 --repeat 1
  expect 0 'x u8\[1,2,2,3\]' run last.onnx --in x=p.png --out results --repeat 1
  check 'npy("results/y.npy") == [255, 0, 51, 0, 255, 102] * 2'
  expect 1 'takes no picture' run relu.onnx --in x=p.png
  expect 1 'big.png' run picture.onnx --in x=big.png
  expect 1 'cut.png' run picture.onnx --in x=cut.png
  expect 1 'none.png' run picture.onnx --in x=none.png
  expect 2 'one number or three' run picture.onnx --in x=p.png --mean 1,2
  expect 2 '--std cannot be zero' run picture.onnx --in x=p.png --std 0
fi

# test
expect 0 '^pass  right$' test cases/right
says '^1 passed, 0 failed, 0 skipped$'
timeout 240 "$tern" test cases >out 2>err
[ $? -eq 1 ]
result $? "exit 1: tern test cases"
says '^FAIL  broken: '
says '^skip  lacks: no operator Frobnicate \(opset 13\), com.example.Twiddle \(opset 3\)$'
says '^pass  nearly$'
says '^pass  random \(random: type and shape only\)$'
says '^FAIL  shape: test_data_set_0: output "y": it is f32\[2,3\], not f32\[3,2\]$'
says '^FAIL  value: test_data_set_0: output "y": element 5 is 30, not 31; 1 of 6 differ$'
tail -1 out | grep -qx '3 passed, 3 failed, 1 skipped'
result $? "  and ends with the sums"
expect 0 'passed' test cases --filter right --json
check 'd["passed"] == 1 and d["failed"] == 0 and [c["name"] for c in d["cases"]] == ["right"]'
timeout 60 "$tern" test cases/nearly --rtol 1e-5 >out 2>err
[ $? -eq 1 ] && grep -q 'element 0 is 11, not 11.005' out
result $? "--rtol is heeded"
expect 0 '1 passed' test cases --filter 'val*' --rtol 1
expect 1 'no model.onnx in or below empty' test empty
expect 1 'no model.onnx of a case like xyz' test cases --filter xyz
expect 1 'none is not a folder' test none
expect 2 'DIR is missing' test
expect 2 '--rtol takes a number' test cases --rtol much

# convert, plan
expect 0 'wrote relu.tern' convert relu.onnx relu.tern --dim d1=2
expect 0 'latency' run relu.tern --in x=x.npy --out results --repeat 1
check 'npy("results/y.npy") == [11, 20, 33, 10, 25, 30]'
expect 0 'size_bytes' convert relu.onnx again.tern --json
check 'd["inputs"] == 1 and d["variables"] == 1'
expect 0 'input +x f32\[2,3\]' info relu.tern
expect 0 'wrote back.onnx' convert relu.tern back.onnx
expect 0 'y f32\[2,3\]' run back.onnx --in x=x.npy --out results --repeat 1
check 'npy("results/y.npy") == [11, 20, 33, 10, 25, 30]'
expect 0 'bytes a run' plan relu.onnx --dim d1=2
expect 0 '^model relu.onnx .*fused' bench relu.onnx --in x=random:5,3 --repeat 2
expect 0 '^model nonzero.onnx .* - .*over the host' bench nonzero.onnx --repeat 2 --html bench.html
expect 2 'no input for --in y=random' bench relu.onnx --in y=random
expect 2 'called "rows"' bench relu.onnx --dim rows=3
expect 1 'Frobnicate' bench missing.onnx
expect 1 'Frobnicate' plan missing.onnx
expect 1 'nonzero.onnx' plan nonzero.onnx
expect 1 'Frobnicate' convert missing.onnx missing.tern
[ ! -e missing.tern ]
result $? "  and leaves no file"
expect 0 'wrote nz.onnx: .*, a copy' convert nonzero.onnx nz.onnx
grep -q 'nonzero.onnx keeps its own nodes: .*depends on data' err && cmp -s nonzero.onnx nz.onnx
result $? "  and says why, and it is the same"
expect 0 '"copy": true' convert nonzero.onnx nz.onnx --json
expect 1 'no single graph' convert nonzero.onnx nz.tern
expect 0 'wrote known.tern: .*, 0 inputs, 1 output' convert nonzero.onnx known.tern --in x=mixed.npy
expect 0 'y i64\[1,2\]' run known.tern --out results --repeat 2
expect 0 'wrote known.onnx: .*, 0 inputs, 1 output' convert known.tern known.onnx
expect 2 'no input for --in z=mixed.npy' convert nonzero.onnx known.tern --in z=mixed.npy
expect 1 'missing.npy' convert nonzero.onnx known.tern --in x=missing.npy
expect 2 '--in x=mixed.npy fits nothing' convert relu.tern known.onnx --in x=mixed.npy
expect 2 'OUT is missing' convert relu.onnx
expect 2 'one argument too many' convert relu.onnx a.tern b.tern
expect 2 'OUT must end in' convert relu.onnx relu.txt
expect 1 'cannot write' convert relu.onnx nowhere/relu.tern
expect 2 '--dim d1 fits nothing' info relu.tern --dim d1=2
echo "1..$n"
exit $failed
