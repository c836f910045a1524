#!/bin/sh
# tern bench: right and wrong problems, the document, the page and the comparison of documents that may hold anything. Nothing here looks at a time.
# usage: test_cli_bench.sh TERN
tern=$1
. "$(dirname "$0")/cli.sh"

# bench CODE PATTERN ARGS...: what expect wants of `tern bench ARGS...`.
bench() {
  code=$1 pattern=$2
  shift 2
  expect "$code" "$pattern" bench "$@"
}

# holds WHAT: the Python on standard input, which sees the document as d, runs through.
holds() {
  python3 -c 'import json, sys; d = json.load(open("out"), parse_constant=lambda c: sys.exit("not JSON: " + c)); exec(sys.stdin.read())' 2>>err
  result $? "$1"
}

# page FILE: well-formed, self-contained, every tag closed.
page() {
  python3 - "$1" <<'P' 2>>err
import html.parser, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
class Check(html.parser.HTMLParser):
    void, open_tags, seen = {"meta", "br", "img", "hr"}, [], {}
    def handle_starttag(self, tag, attrs):
        assert len({k for k, v in attrs}) == len(attrs), (tag, attrs)
        assert not any(k.startswith("on") or k in ("src", "href") for k, v in attrs), (tag, attrs)
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag not in self.void:
            self.open_tags.append(tag)
    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
    def handle_endtag(self, tag):
        assert self.open_tags and self.open_tags.pop() == tag, tag
c = Check()
c.feed(text)
c.close()
assert not c.open_tags and c.seen["html"] == c.seen["body"] == c.seen["table"] == 1, (c.open_tags, c.seen)
allowed = set("html head meta title style body main header h1 h2 p div b span section figure svg line text polyline g circle rect path table thead tbody tr th td "
              "small i figcaption dl dt dd footer".split())
assert set(c.seen) <= allowed, set(c.seen) - allowed
assert not re.search(r"[^\n\x20-\x7e\x80-\U0010ffff]", text) and "nan" not in text and "inf\"" not in text
P
  result $? "$1 is well-formed, with nothing from outside"
}

# Wrong problems: said before a device is opened.
bench 2 'neither a kind of problem .conv, gemm' fly
bench 2 'conv mb1ic4: it has no extents' conv mb1ic4
bench 2 'does not fit' conv mb1ic4ih8oc4kh9
bench 2 'a product is' gemm 4:4
bench 2 'no op called "levitate"' eltwise:levitate 4
bench 2 'do not broadcast' eltwise:add 4:5
bench 2 'softmax_cross_entropy' eltwise:softmax_cross_entropy 4x4
bench 2 'no "median"' reduce:median 4
bench 2 'no axis 2' softmax:2 4x4
bench 2 'do not go together' attention 1x2x4x8:1x3x4x8
bench 2 'takes at least' eltwise:atan2
bench 2 '--dtype is f32 or f16' gemm 4:4:4 --dtype i8
bench 2 '--repeat takes a whole number' gemm 4:4:4 --repeat 0
bench 2 '--time-ms takes a number' gemm 4:4:4 --time-ms soon
bench 2 '--compare needs' --compare
bench 1 'cannot write nowhere/p.html' gemm 4:4:4 --html nowhere/p.html
bench 3 'null device' gemm 4:4:4 --device null
bench 3 'abacus' gemm 4:4:4 --device abacus
bench 1 'missing.onnx' missing.onnx

# One of each kind, and the document.
bench 0 '^gemm 24:32:40 ' gemm 24:32:40 --repeat 2
timeout 400 "$tern" bench conv:relu 'mb1ic4ih8oc8oh8kh3ph1n"first <of> all"' conv:bwd_d mb1ic4ih8oc8kh3 conv:bwd_w mb1ic4ih8oc8kh3 gemm 24:32:40 \
  matmul 2x8:12:16:tt eltwise:gelu 3x50 eltwise:add 6x4x5:4x1 reduce:mean 6x70:6x1 pool:avg_np mb1ic4ih8kh2sh2 norm:group2 2x4x9 softmax 5x33 \
  attention 1x2x9x8:1x1x12x8 \
  --repeat 2 --json --html one.html >out 2>err
result $? "a problem of each kind"
holds "the document has all there is to say" <<'P'
assert d["format"] == "tern-bench-1" and d["device"]["driver"] and d["date"].endswith("Z") and d["peak"]["gflops"] > 0 and d["peak"]["gbytes_per_s"] > 0
r = {x["problem"]: x for x in d["results"]}
assert len(r) == 12 and all(x["error"] is None for x in r.values()), [x["error"] for x in r.values()]
for x in r.values():
    assert 0 < x["min_us"] <= x["median_us"] <= x["p90_us"] and x["samples"] == 2 and x["runs_in_sample"] >= 1 and x["impl"] and x["kernel"], x
    assert abs(x["gflops"] - x["flops"] / x["median_us"] / 1e3) < 1e-6 * x["gflops"] and x["bound"] in ("memory", "compute"), x
    assert abs(x["share_of_roof"] - max(x["share_of_compute_peak"], x["share_of_memory_peak"])) < 1e-6 * x["share_of_roof"], x
first = r["conv:relu mb1ic4ih8oc8oh8kh3ph1"]
assert first["name"] == "first <of> all" and first["flops"] == 2 * 8 * 8 * 8 * 4 * 9 and first["bytes"] == 4 * (4 * 64 + 8 * 36 + 8 + 8 * 64), first
assert first["params"]["kernel"] == [3, 3] and first["params"]["pad_end"] == [1, 1] and first["params"]["op"] == "relu", first
assert r["gemm 24:32:40"]["flops"] == 2 * 24 * 32 * 40 and r["matmul 2x8:12:16:tt"]["params"]["trans_b"] is True
assert r["eltwise:add 6x4x5:4x1"]["bytes"] == 4 * (120 + 4 + 120) and r["reduce:mean 6x70:6x1"]["bytes"] == 4 * 426
P
page one.html
grep -q 'first &lt;of&gt; all' one.html
result $? "names are escaped"
cp out a.json
timeout 240 "$tern" bench gemm 24:32:40 eltwise:exp 3x50 --repeat 2 --json --dtype f16 >out 2>err
result $? "f16"
holds "f16 halves the bytes" <<'P'
x = d["results"][0]
assert x["dtype"] == "f16" and x["bytes"] == 2 * (24 * 40 + 40 * 32 + 24 * 32) and x["error"] is None, x
P
timeout 240 "$tern" bench gemm 24:32:40 gemm 150000:150000:1000 --repeat 1 --json >out 2>err
[ $? -eq 1 ] && grep -q '^tern: bench: 1 of 2 problems failed; the first: its operands take' err
result $? "a problem that does not fit fails, and the others are still measured"
holds "its sentence is in the document" <<'P'
assert d["results"][0]["error"] is None and d["results"][0]["median_us"] > 0 and "operands" in d["results"][1]["error"] and "median_us" not in d["results"][1]
P

# Comparing: another device that is twice as fast, with a name that wants to be markup.
python3 - <<'P'
import json
d = json.load(open("a.json"))
d["device"]["name"] = "<script>alert(1)</script> \"& 'Co\" \u00b5"
d["device"]["driver"] = "1\u0007\u001b[31m"
d["peak"] = {"gflops": 1000.0, "gbytes_per_s": 100.0}
for r in d["results"]:
    for k in ("median_us", "min_us", "p90_us"):
        r[k] /= 2
    r["impl"] = "<b>fast</b>"
d["results"][1]["error"] = "<i>no</i>"
d["results"][2]["problem"] = "</table><script>x</script>"
json.dump(d, open("b.json", "w"))
d["device"]["name"] = ""
d["peak"] = {}
d["results"] = []
json.dump(d, open("empty.json", "w"))
P
bench 0 'B  <script>.* 2.00 times as fast as A .geometric mean of 10.' --compare a.json b.json
! grep -q "$(printf '\033')" out
result $? "no control characters reach the terminal"
bench 0 '"ratio": 2$|"ratio": 2,' --compare a.json b.json --json --html two.html
holds "the comparison as a document" <<'P'
assert len(d["devices"]) == 2 and abs(d["devices"][1]["mean_ratio"] - 2) < 1e-6 and len(d["problems"]) == 13
by = {p["problem"]: p["results"] for p in d["problems"]}
assert by["gemm 24:32:40"][0]["ratio"] == 1 and abs(by["gemm 24:32:40"][1]["ratio"] - 2) < 1e-6 and by["conv:bwd_d mb1ic4ih8oc8oh6kh3ph0"][1]["median_us"] is None
P
page two.html
grep -q '&lt;script&gt;alert(1)' two.html && grep -q '&lt;/table&gt;' two.html && grep -q '&lt;i&gt;no&lt;/i&gt;' two.html && ! grep -q '<script\|<i>no' two.html
result $? "everything from a file is escaped"
bench 0 'A  ' --compare a.json a.json a.json --html three.html
page three.html
bench 0 'A  ' --compare empty.json --html none.html
page none.html
ls ./*.part >/dev/null 2>&1
[ $? -ne 0 ]
result $? "no temporary file is left"

# Documents that are none.
bench 1 'cannot read nowhere.json' --compare a.json nowhere.json
bench 1 'cannot read \.: ' --compare .
: >nothing.json
bench 1 'nothing.json is no JSON document: byte 0 of 0' --compare nothing.json
python3 - <<'P'
import json
good = open("a.json").read()
d = json.loads(good)
def write(name, text):
    open(name, "w", encoding="utf-8", errors="surrogateescape").write(text)
write("bad1.json", good[:len(good) // 2])
write("bad2.json", good + "x")
write("bad3.json", "[" * 100000)
write("bad4.json", good.replace('"date"', '"da\x00te"'))
write("bad5.json", good.replace(d["date"], "\\u12"))
write("bad6.json", good.replace('"peak": {', '"peak": {,'))
write("bad7.json", good.replace('"results": [', '"results": [1e999,'))
write("other1.json", json.dumps({"format": "other"}))
write("other2.json", json.dumps([d]))
write("other3.json", json.dumps(dict(d, results={})))
write("other4.json", json.dumps(dict(d, device="x")))
for i, change in enumerate(({"median_us": -1}, {"median_us": None}, {"median_us": "1"}, {"flops": 1e300}, {"bytes": -5}, {"problem": ""}, {"problem": 7},
                            {"dtype": None})):
    write(f"result{i}.json", json.dumps(dict(d, results=[d["results"][0], dict(d["results"][1], **change)])))
write("peak.json", json.dumps(dict(d, peak={"gflops": -3, "gbytes_per_s": 1})))
P
for i in 1 2 3 4 5 6 7; do
  bench 1 "bad$i.json is no JSON document: byte" --compare bad$i.json
done
for i in 1 2 3 4; do
  bench 1 "other$i.json is no document of tern bench" --compare other$i.json
done
for i in 0 1 2 3 4 5 6 7; do
  bench 1 "result 2 of result$i.json has no" --compare a.json result$i.json
done
bench 1 'the peaks in peak.json' --compare peak.json
set --
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do set -- "$@" a.json; done
bench 2 '16 files at most, not 17' --compare "$@"

# Bytes changed at random: a sentence or a comparison, never a crash.
python3 - "$tern" <<'P' 2>err
import random, subprocess, sys
good = open("a.json", "rb").read()
random.seed(1)
for i in range(150):
    b = bytearray(good)
    for _ in range(random.randrange(1, 6)):
        b[random.randrange(len(b))] = random.choice(b'{}[]",:\\u0019eE-.+ntf\x00\xff\n')
    open("mutant.json", "wb").write(b)
    r = subprocess.run([sys.argv[1], "bench", "--compare", "mutant.json", "a.json", "--html", "mutant.html"], capture_output=True, timeout=60)
    assert r.returncode in (0, 1), (i, r.returncode, r.stderr)
    assert r.returncode == 0 or r.stderr.startswith(b"tern: "), (i, r.stderr)
P
result $? "150 documents with changed bytes"

# tools/bench --gpu, on whatever there is: without PyTorch the other side is left out.
if [ -n "${TERN_SOURCE_DIR:-}" ]; then
  gpu() {
    timeout 240 python3 "$TERN_SOURCE_DIR/tools/bench_gpu.py" --tern "$tern" --python /bin/false --out report "$@" >out 2>err
  }
  gpu --device abacus
  [ $? -eq 3 ] && [ "$(wc -l <err)" -le 2 ] && grep -q 'nothing to measure: .*abacus' err && ! [ -e report ]
  result $? "tools/bench --gpu: no such device, said in a sentence, exit 3"
  gpu --device cpu --turns 2 --time-ms 1 gemm 24:32:40 eltwise:exp 3x50
  [ $? -eq 0 ] && grep -q 'PyTorch is left out' err && [ "$(ls report | wc -l)" -eq 2 ]
  result $? "tools/bench --gpu: a document and a page"
  mv report/*.html gpu.html && page gpu.html
  cp report/*.json out
  holds "its document is that of tern bench, with the number of turns" <<'P'
assert d["format"] == "tern-bench-1" and d["turns"] == 2 and len(d["results"]) == 2 and all(r["median_us"] > 0 for r in d["results"]), d
P
fi

echo "1..$n"
exit $failed
