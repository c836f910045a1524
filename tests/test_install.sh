#!/bin/sh
# After `meson install`, every sample builds from outside the tree with pkg-config alone, and one of them runs.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0
report() { # report STATUS WHAT [FILE]
  n=$((n + 1))
  if [ "$1" -eq 0 ]; then
    echo "ok $n - $2"
  else
    [ $# -lt 3 ] || sed 's/^/# /' "$3"
    echo "not ok $n - $2"
    failed=1
  fi
}
DESTDIR=$tmp/root meson install -C "$TERN_BUILD_DIR" --no-rebuild >"$tmp/log" 2>&1
report $? "meson install" "$tmp/log"
pc=$(find "$tmp/root" -name tern.pc)
lib=$(find "$tmp/root" -name libtern.so)
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$tmp/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
flags=$(pkg-config --cflags --libs tern 2>"$tmp/log")
report $? "pkg-config --cflags --libs tern" "$tmp/log"
sanitize=
[ "$TERN_SANITIZE" = none ] || sanitize=-fsanitize=$TERN_SANITIZE
mkdir "$tmp/out"
cd "$tmp/out" || exit 1
for sample in "$TERN_SOURCE_DIR"/samples/*.c; do
  name=$(basename "$sample" .c)
  # embed.c makes OpenCL calls of its own, so it links OpenCL as an application would.
  opencl=
  grep -q '\bcl[A-Z]' "$sample" && opencl=$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --libs OpenCL)
  $CC -std=c17 -Wall -Wextra -Werror $sanitize "$sample" -o "$name" $flags $opencl -lm >log 2>&1
  report $? "$name.c builds against the installed library" log
done
LD_LIBRARY_PATH=$(dirname "$lib") ./devices >log 2>&1
report $? "the installed library runs a sample" log
tern=$(find "$tmp/root" -path '*/bin/tern')
LD_LIBRARY_PATH=$(dirname "$lib") "$tern" --version >log 2>&1
report $? "the installed command runs" log
echo "1..$n"
exit $failed
