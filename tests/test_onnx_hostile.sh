#!/bin/sh
# ONNX files made to do harm: whatever they ask for, the command ends with a sentence, and what it refuses when loading takes no more memory than twice
# the file's size. test_onnx_proto.c and test_onnx_control.c have the finer cases.
# usage: test_onnx_hostile.sh TERN
tern=$1
. "$(dirname "$0")/cli.sh"

cat >make.c <<'C'
#include <onnx_build.h>

static onnx_message begin(int64_t extent)
{
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){extent});
    onnx_output(&g, "y", ONNX_FLOAT);
    return g;
}

static void add(onnx_message *g, const char *op, const char *in, const char *out)
{
    onnx_message n = onnx_node(op, in, out);
    onnx_add(g, &n);
}

static void end(onnx_message *g, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s.onnx", name);
    onnx_save(g, 17, path);
}

/* One operator whose result has n elements, and what makes one number of it. */
static void large(const char *op, const char *in, int64_t n, const char *word)
{
    char name[64];
    onnx_message g = begin(1), scalar = onnx_tensor("zero", ONNX_INT64, 0, NULL, &(int64_t){0}), one = onnx_tensor("one", ONNX_INT64, 0, NULL, &(int64_t){1});
    onnx_message to = onnx_tensor("to", ONNX_INT64, 0, NULL, &n);
    onnx_initializer(&g, &scalar);
    onnx_initializer(&g, &one);
    onnx_initializer(&g, &to);
    onnx_list(&g, "n", 1, &n);
    onnx_list(&g, "pads", 2, (int64_t[]){0, n});
    onnx_list(&g, "first", 1, (int64_t[]){0});
    onnx_weights(&g, "values", 1, (int64_t[]){2}, (float[]){0, 1});
    add(&g, op, in, strcmp(word, "sum") ? "y" : "t");
    if (!strcmp(word, "sum"))
        add(&g, "ReduceSum", "t", "y");
    snprintf(name, sizeof name, "%s_%s", op, word);
    end(&g, name);
}

static void results(void)
{
    static const struct {
        int64_t n;
        const char *word;
    } sizes[] = {{INT64_C(1) << 34, "34"}, {INT64_C(1) << 40, "40"}, {INT64_C(1) << 62, "62"}, {INT64_MAX, "63"}, {INT64_C(1) << 40, "sum"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        large("Expand", "x n", sizes[i].n, sizes[i].word);
        large("Tile", "x n", sizes[i].n, sizes[i].word);
        large("ConstantOfShape", "n", sizes[i].n, sizes[i].word);
        large("Range", "zero to one", sizes[i].n, sizes[i].word);
        large("Pad", "x pads", sizes[i].n, sizes[i].word);
        large("OneHot", "first n values", sizes[i].n, sizes[i].word);
    }
}

/* Bodies in bodies; a chain; names. */
static void structure(void)
{
    onnx_message g = {0};
    for (int i = 0; i < 5000; i++) {
        onnx_message outer = {0}, n = onnx_node("If", "c", "y");
        onnx_attr_graph(&n, "then_branch", &g);
        onnx_add(&outer, &n);
        g = outer;
    }
    end(&g, "nested");
    g = begin(2);
    for (int i = 0; i < 1000000; i++) {
        char names[2][16];
        snprintf(names[0], 16, i ? "v%d" : "x", i);
        snprintf(names[1], 16, i < 999999 ? "v%d" : "y", i + 1);
        add(&g, "Relu", names[0], names[1]);
    }
    end(&g, "million");
    g = begin(2);
    add(&g, "Add", "x b", "a");
    add(&g, "Relu", "a", "b");
    end(&g, "cycle");
    g = begin(2);
    add(&g, "Add", "x x", "y");
    add(&g, "Relu", "x", "y");
    end(&g, "twice");
    g = begin(-1);
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    end(&g, "inputs");
}

/* Each round joins what it got to itself; the condition is handed on, or computed. */
static void loops(void)
{
    for (int computed = 0; computed < 2; computed++) {
        onnx_message g = begin(2), body = {0}, loop = onnx_node("Loop", "- - x", "y"), join = onnx_node("Concat", "v v", "w");
        onnx_input(&body, "i", ONNX_INT64, 0, NULL);
        onnx_input(&body, "go", ONNX_BOOL, 0, NULL);
        onnx_input(&body, "v", ONNX_FLOAT, -1, NULL);
        onnx_output(&body, computed ? "on" : "go", ONNX_BOOL);
        onnx_output(&body, "w", ONNX_FLOAT);
        onnx_attr_int(&join, "axis", 0);
        onnx_add(&body, &join);
        add(&body, "And", "go go", "on");
        onnx_attr_graph(&loop, "body", &body);
        onnx_add(&g, &loop);
        end(&g, computed ? "doubling" : "endless");
    }
}

/* 2^40 nodes, were they put in place of the calls; or no end of them. */
static void functions(const char *name, int n, const char *last)
{
    onnx_message g = begin(2);
    add(&g, "local:F0", "x", "y");
    onnx_message m = onnx_model(&g, 17);
    onnx_opset(&m, "local", 1);
    for (int i = 0; i < n; i++) {
        onnx_message f = {0};
        char of[16], called[24];
        snprintf(of, sizeof of, "F%d", i);
        snprintf(called, sizeof called, "local:F%d", i + 1);
        onnx_put_text(&f, 1, of);
        onnx_put_text(&f, 4, "a");
        onnx_put_text(&f, 5, "c");
        onnx_put_text(&f, 10, "local");
        onnx_message a = onnx_node(i + 1 < n ? called : last, "a", "b"), b = onnx_node(i + 1 < n ? called : last, "b", "c");
        onnx_put_message(&f, 7, &a);
        onnx_put_message(&f, 7, &b);
        onnx_put_message(&m, 25, &f);
    }
    onnx_write(&m, name);
}

static void entry(onnx_message *tensor, const char *key, const char *value)
{
    onnx_message e = {0};
    onnx_put_text(&e, 1, key);
    onnx_put_text(&e, 2, value);
    onnx_put_message(tensor, 13, &e);
}

static void external(const char *name, const char *location, const char *offset)
{
    onnx_message g = begin(4), t = onnx_tensor_head("w", ONNX_FLOAT, 1, (int64_t[]){4});
    onnx_put_int(&t, 14, 1);
    entry(&t, "location", location);
    if (offset)
        entry(&t, "offset", offset);
    onnx_initializer(&g, &t);
    add(&g, "Add", "x w", "y");
    end(&g, name);
}

/* A result of a gigabyte for each that there is, and two more. */
static void many(int gigabytes)
{
    onnx_message g = begin(1);
    char name[16];
    onnx_list(&g, "n", 1, (int64_t[]){1 << 28});
    add(&g, "Expand", "x n", "y");
    for (int i = 0; i < gigabytes + 2 && i < 4000; i++) {
        snprintf(name, sizeof name, "r%d", i);
        add(&g, "Relu", "y", name);
        onnx_output(&g, name, ONNX_FLOAT);
    }
    end(&g, "many");
}

int main(int argc, char **argv)
{
    results();
    structure();
    loops();
    functions("exponential.onnx", 40, "Relu");
    functions("itself.onnx", 2, "local:F1");
    external("inside", "m.bin", NULL);
    external("up", "../out.bin", NULL);
    external("absolute", argv[1], NULL);
    external("soft", "soft.bin", NULL);
    external("hard", "hard.bin", NULL);
    external("folder", "folder/out.bin", NULL);
    external("past", "m.bin", "4");
    external("far", "m.bin", "18446744073709551608");
    many(atoi(argv[2]));
    return argc == 3 ? 0 : 1;
}
C
mkdir m o && head -c 16 /dev/zero >out.bin && cp out.bin o/out.bin && cp out.bin m/m.bin && ln out.bin m/hard.bin && ln -s ../out.bin m/soft.bin && ln -s ../o m/folder
memory_gib=$(awk '/^(MemTotal|SwapTotal)/ { kib += $2 } END { print int(kib / 1048576) + 1 }' /proc/meminfo)
${CC:-cc} -std=c17 -D_GNU_SOURCE -I"$TERN_SOURCE_DIR/tests" make.c -o make >out 2>err && (cd m && ../make "$tmp/out.bin" "$memory_gib") >>out 2>>err
result $? "the models are made"
cd m || exit 1

# Structure
for command in info run; do
  expect 1 'more than [0-9]+ messages inside each other' $command nested.onnx
  expect 1 'more than [0-9]+ nodes' $command million.onnx
  expect 1 'more than [0-9]+ nodes with functions in place' $command exponential.onnx
  expect 1 'the function F1 calls itself' $command itself.onnx
  expect 1 'two inputs are called "x"' $command inputs.onnx
done
expect 0 'unknown: .*"b" is made by no node before it' info cycle.onnx
expect 1 '"b" is made by no node before it' run cycle.onnx
expect 1 '"y" has the name of another value' run twice.onnx
expect 1 'rounds of 2 nodes: more than [0-9]+ nodes with all loops unrolled' run endless.onnx
expect 1 'out of range' run doubling.onnx

# Results beyond all memory
for op in Expand Tile ConstantOfShape Range Pad OneHot; do
  for size in 34 40 62 63 sum; do
    expect 1 "$op|fusion: [0-9]+ " run ${op}_$size.onnx
  done
done

# Files beside the model
expect 0 'y f32\[4\]' run inside.onnx --repeat 1
expect 1 'not a path below the file that names it' run up.onnx
expect 1 'not a path below the file that names it' run absolute.onnx
expect 1 'soft.bin is a link or no folder' run soft.onnx
expect 1 'hard.bin has 2 names \(hard links\)' run hard.onnx
expect 1 'folder is a link or no folder' run folder.onnx
expect 1 'beyond the end of "m.bin"' run past.onnx
expect 1 'beyond the end of "m.bin"' run far.onnx

# Memory, which sanitizers take for themselves: what is refused costs at most twice the file's size more than a small model does.
case ${TERN_SANITIZE:-none} in
  none)
    expect 1 'could not give|no host memory|allows' run many.onnx
    python3 - "$tern" inside.onnx million.onnx nested.onnx exponential.onnx <<'P' >out 2>err
import os, resource, subprocess, sys
def peak(path):
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os.execv(sys.argv[1], [sys.argv[1], "info", path])
    return os.wait4(pid, 0)[2].ru_maxrss * 1024
base = peak(sys.argv[2])
for path in sys.argv[3:]:
    if peak(path) > base + 2 * os.path.getsize(path) + (1 << 20):
        sys.exit("%s takes %d bytes, a small model %d" % (path, peak(path), base))
P
    result $? "  within twice the files' sizes"
    ;;
esac
echo "1..$n"
exit $failed
