#!/bin/sh
# ONNX's cases on devices that are hard to please: small work-groups, little memory, the other family of kernels, and Oclgrind.
set -u
tern=$1
data=/usr/share/libonnx-testdata/data
if [ ! -d $data/node ]; then
  echo "1..0 # SKIP $data is not there (Debian package libonnx-testdata)"
  exit 0
fi
"$tern" info --help >/dev/null 2>&1 || exit 77
[ "$TERN_SANITIZE" = none ] || exit 77 # kernels are what is under test
log=$(mktemp)
trap 'rm -f "$log"' EXIT
n=0 failed=0

# check NAME CASE... : every case passes; its own environment comes before.
check() {
  name=$1
  shift
  n=$((n + 1))
  cases=
  for case; do cases="$cases $data/$case"; done
  # shellcheck disable=SC2086
  if $run "$tern" test $cases >"$log" 2>&1 && grep -q "^$# passed, 0 failed, 0 skipped" "$log"; then
    echo "ok $n - $name"
  else
    grep -v '^pass' "$log" | sed 's/^not ok/# not ok/; s/^/# /' | tail -n 20
    echo "not ok $n - $name"
    failed=1
  fi
}

layers="node/test_basic_conv_with_padding node/test_conv_with_strides_and_asymmetric_padding node/test_convtranspose_pads node/test_maxpool_2d_pads
  node/test_averagepool_2d_strides node/test_gemm_all_attributes node/test_matmul_3d node/test_batchnorm_example node/test_layer_normalization_4d_axis1
  node/test_softmax_axis_1 node/test_lstm_with_peepholes node/test_gru_defaults node/test_resize_upsample_scales_cubic node/test_gridsample_bilinear
  node/test_scatternd_add node/test_top_k node/test_cumsum_2d_axis_1 node/test_reduce_log_sum_exp_keepdims_random node/test_argmax_keepdims_random
  node/test_qlinearconv node/test_qlinearmatmul_2D node/test_einsum_batch_matmul node/test_nonmaxsuppression_two_classes node/test_loop11
  pytorch-converted/test_Conv2d_groups pytorch-converted/test_Conv3d pytorch-converted/test_Embedding pytorch-converted/test_PixelShuffle"
run=
# shellcheck disable=SC2086
POCL_MAX_WORK_GROUP_SIZE=16 check "work-groups of at most 16" $layers
# shellcheck disable=SC2086
POCL_MEMORY_LIMIT=1 check "one GiB of memory" $layers
if command -v oclgrind >/dev/null 2>&1; then
  run=$TERN_SOURCE_DIR/tests/oclgrind.sh
  for case in $layers; do
    check "Oclgrind: ${case#*/test_}" "$case"
  done
fi
echo "1..$n"
exit $failed
