# What the tests of the command share; read with ".", after which the working folder is an empty one that goes away with the test. $tern is the command.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
unset TERN_DEVICE TERN_KERNEL_PATH TERN_DATA_DIR
n=0 failed=0

result() { # result STATUS WHAT
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    echo "# stdout: $(head -c 400 out 2>/dev/null)"
    echo "# stderr: $(head -c 800 err 2>/dev/null)"
    echo "not ok $n - $2"
    failed=1
  fi
}

# expect CODE PATTERN ARGS...: runs tern; wants the exit code and the pattern in its output, on stderr where CODE is not 0.
expect() {
  code=$1 pattern=$2
  shift 2
  timeout 240 "$tern" "$@" >out 2>err
  got=$?
  if [ "$code" -eq 0 ]; then where=out; else where=err; fi
  [ "$got" -eq "$code" ] && grep -qE -- "$pattern" "$where"
  result $? "exit $code (was $got), \"$pattern\": tern $*"
  # A failure is one sentence, and says who speaks.
  if [ "$code" -ne 0 ]; then
    [ "$(grep -c '^tern: ' err)" -eq 1 ] && ! grep -qiE 'sanitizer|runtime error|core dumped' err
    result $? "  one sentence on standard error"
  fi
}

# json KEYS ARGS...: runs tern with --json; wants one document with these keys (a dot leads into an object) and nothing else.
json() {
  keys=$1
  shift
  timeout 240 "$tern" "$@" --json >out 2>err
  got=$?
  [ "$got" -eq 0 ] && python3 - out $keys <<'P'
import json, sys
d = json.load(open(sys.argv[1]), parse_constant=lambda c: sys.exit("not JSON: " + c))
for key in sys.argv[2:]:
    v = d
    for part in key.split("."):
        v = v[int(part)] if isinstance(v, list) else v[part]
    if v is None:
        sys.exit(key + " is null")
P
  result $? "exit 0 (was $got), one JSON document with $keys: tern $*"
}

# says PATTERN: the last command's standard output has this line.
says() {
  grep -qE -- "$1" out
  result $? "  and says \"$1\""
}

# check PYTHON: the expression holds; d is the last command's JSON document, npy(FILE) an array as a flat list.
check() {
  python3 - "$1" <<'P' 2>>err
import ast, json, struct, sys
def npy(path):
    b = open(path, "rb").read()
    n = struct.unpack("<H", b[8:10])[0]
    head = ast.literal_eval(b[10:10 + n].decode())
    kind = {"<f4": "f", "<i8": "q", "|u1": "B", "<f8": "d"}[head["descr"]]
    data = b[10 + n:]
    return list(struct.unpack("<%d%s" % (len(data) // struct.calcsize(kind), kind), data))
try:
    d = json.load(open("out"))
except ValueError:
    d = None
assert eval(sys.argv[1]), sys.argv[1]
P
  result $? "  and $1"
}
