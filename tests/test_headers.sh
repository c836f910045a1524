#!/bin/sh
# Each public header compiles on its own, as C and as C++, without a warning.
set -u
n=0
check() { # check WHAT COMMAND...
  what=$1
  shift
  n=$((n + 1))
  if out=$("$@" 2>&1); then
    echo "ok $n - $what"
  else
    printf '%s\n' "$out" | sed 's/^/# /'
    echo "not ok $n - $what"
    failed=1
  fi
}
failed=0
cxx=
for c in ${CXX:-} c++ g++ clang++; do
  command -v "$c" >/dev/null 2>&1 && cxx=$c && break
done
cd "$TERN_SOURCE_DIR" || exit 1
for h in include/tern/*.h; do
  check "$h as C17" $CC -std=c17 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpedantic -Werror -Iinclude -fsyntax-only -x c "$h"
  [ -z "$cxx" ] || check "$h as C++11" "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ "$h"
done
[ -n "$cxx" ] || echo "# no C++ compiler: headers were checked as C only"
echo "1..$n"
exit $failed
