/* ONNX operators that rearrange, pick, place and sort, in the forms that ONNX's own cases leave out: old versions, other types, odd shapes, bad files. */
#include "onnx_rows.h"

static const onnx_row shapes[] = {
    {"Shape", 15, "start=-2 end=100", "f32[2,3,4] 0", "i64[2] 3 4"},
    {"Shape", 15, "start=2 end=1", "f32[2,3,4] 0", "i64[0]"},
    {"Shape", 13, "", "f32[] 3", "i64[0]"},
    {"Size", 13, "", "f16[2,0,4]", "i64[] 0"},
    {"Reshape", 1, "shape=3,-1 consumed_inputs=0,0", "f32[2,3] 1 2 3 4 5 6", "f32[3,2] 1 2 3 4 5 6"},
    {"Reshape", 13, "", "f32[2,3] 1 2 3 4 5 6 | =i64[2] 0 -1", "f32[2,3] 1 2 3 4 5 6"},
    {"Reshape", 13, "", "f32[2,3] 1 2 3 4 5 6 | i64[3] 3 -1 1", "f32[3,2,1] 1 2 3 4 5 6"},
    {"Reshape", 14, "allowzero=1", "f32[2,0,4] | =i64[2] 4 0", "f32[4,0]"},
    {"Reshape", 13, "", "u8[1,1] 7 | =i64[0]", "u8[] 7"},
    {"Reshape", 13, "", "f32[2,3] 0 | =i64[2] -1 4", "![2,3] cannot become [-1,4]"},
    {"Reshape", 13, "", "f32[2,3] 0 | =i64[2] -1 -1", "!negative extent"},
    {"Reshape", 13, "", "f32[2,3] 0 | =i64[3] 2 3 0", "!0 at axis 2"},
    {"Reshape", 14, "allowzero=1", "f32[0,3] | =i64[2] 0 -1", "!cannot become"},
    {"Reshape", 13, "", "f32[2,3] 0 | =i64[3] 9223372036854775807 9223372036854775807 6", "!larger than can be counted"},
    {"Reshape", 13, "", "f32[1] 0 | =i64[9] 1", "!9 axes"},
    {"Flatten", 1, "axis=0", "f32[2,2] 1 2 3 4", "f32[1,4] 1 2 3 4"},
    {"Flatten", 13, "axis=-1", "f32[2,1,2] 1 2 3 4", "f32[2,2] 1 2 3 4"},
    {"Flatten", 13, "axis=0", "f32[] 5", "f32[1,1] 5"},
    {"Flatten", 13, "axis=4", "f32[2,2] 0", "!axis 4 out of range"},
    {"Squeeze", 1, "axes=0,", "f32[1,2,1] 1 2", "f32[2,1] 1 2"},
    {"Squeeze", 11, "", "f32[1,2,1] 1 2", "f32[2] 1 2"},
    {"Squeeze", 13, "", "f32[1,0,1] | i64[1] -1", "f32[1,0]"},
    {"Squeeze", 13, "", "f32[1,2] 1 2 | =i64[1] 1", "!axis 1 has 2 elements"},
    {"Unsqueeze", 11, "axes=0,-1", "i8[2] 1 2", "i8[1,2,1] 1 2"},
    {"Unsqueeze", 13, "", "f32[] 4 | =i64[1] 0", "f32[1] 4"},
    {"Unsqueeze", 13, "", "f32[2] 0 | =i64[2] 1 -2", "!axis 1 is given twice"},
    {"Unsqueeze", 13, "", "f32[2] 0", "!axes is missing"},
    {"Transpose", 1, "", "f32[2,3] 1 2 3 4 5 6", "f32[3,2] 1 4 2 5 3 6"},
    {"Transpose", 13, "perm=0,0", "f32[2,3] 0", "!no order of 2 axes"},
    {"Concat", 1, "", "f32[2,1] 1 2 | f32[2,2] 3 4 5 6", "f32[2,3] 1 3 4 2 5 6"},
    {"Concat", 13, "axis=0", "i64[0,2] | i64[1,2] 1 2 | i64[1,2] 3 4", "i64[2,2] 1 2 3 4"},
    {"Concat", 13, "axis=-1", "f32[0] | f32[0]", "f32[0]"},
    {"Concat", 13, "axis=0", "f32[1] 1 | i32[1] 1", "!input 1 is i32[1]"},
    {"Concat", 13, "", "f32[1] 1 | f32[1] 1", "!axis"},
    {"Split", 2, "axis=0 split=1,2", "f32[3] 1 2 3", "f32[1] 1 | f32[2] 2 3"},
    {"Split", 13, "axis=1", "f32[1,4] 1 2 3 4", "f32[1,2] 1 2 | f32[1,2] 3 4"},
    {"Split", 13, "", "f32[3] 1 2 3 | i64[3] 2 0 1", "f32[2] 1 2 | f32[0] | f32[1] 3"},
    {"Split", 18, "num_outputs=3", "f32[7] 1 2 3 4 5 6 7", "f32[3] 1 2 3 | f32[3] 4 5 6 | f32[1] 7"},
    {"Split", 18, "num_outputs=3", "f32[2] 1 2", "f32[1] 1 | f32[1] 2 | f32[0]"},
    {"Split", 13, "", "f32[3] 1 2 3 | =i64[2] 2 2", "!"},
    {"Slice", 1, "starts=1,-3 ends=100,-1", "f32[2,4] 1 2 3 4 5 6 7 8", "f32[1,2] 6 7"},
    {"Slice", 10, "", "f32[5] 1 2 3 4 5 | =i32[1] -1 | =i32[1] -100 | =i32[1] 0 | =i32[1] -2", "f32[3] 5 3 1"},
    {"Slice", 13, "", "f32[5] 1 2 3 4 5 | i64[1] 3 | i64[1] 9223372036854775807", "f32[2] 4 5"},
    {"Slice", 13, "", "f32[5] 1 2 3 4 5 | =i64[1] 4 | =i64[1] 1", "f32[0]"},
    {"Slice", 13, "", "f32[2,3] 1 2 3 4 5 6 | =i64[1] 100 | =i64[1] 0 | =i64[1] 1 | =i64[1] -1", "f32[2,2] 3 2 6 5"},
    {"Slice", 13, "", "f32[5] 0 | =i64[1] 0 | =i64[1] 3 | - | =i64[1] 0", "!step 0"},
    {"Slice", 13, "", "f32[5] 0 | =i64[2] 0 1 | =i64[1] 3", "!do not go together"},
    {"Expand", 8, "", "f32[2,1] 1 2 | =i64[3] 2 1 2", "f32[2,2,2] 1 1 2 2 1 1 2 2"},
    {"Expand", 13, "", "f32[2,1] 1 2 | i64[1] 1", "f32[2,1] 1 2"},
    {"Expand", 13, "", "f32[2,1] 1 2 | =i64[2] 2 0", "f32[2,0]"},
    {"Expand", 13, "", "f32[2] 1 2 | =i64[1] 3", "![2] does not broadcast with [3]"},
    {"Expand", 13, "", "f32[1] 1 | =i64[1] -3", "!negative extent"},
    {"Tile", 1, "", "f32[1,2] 1 2 | =f32[] 2 | =f32[] 1", "f32[1,4] 1 2 1 2"},
    {"Tile", 13, "", "bool[1,2] 1 0 | i64[2] 2 2", "bool[2,4] 1 0 1 0 1 0 1 0"},
    {"Tile", 13, "", "f32[2] 1 2 | =i64[1] 0", "f32[0]"},
    {"Tile", 13, "", "f32[2] 1 2 | =i64[1] -1", "!cannot be repeated -1 times"},
    {"Tile", 13, "", "f32[2] 1 2 | =i64[1] 4611686018427387905", "!cannot be repeated"},
    {"Pad", 1, "paddings=1,2 value=1.5", "f32[1] 3", "f32[4] 1.5 3 1.5 1.5"},
    {"Pad", 2, "pads=1,-1 mode='edge'", "f32[3] 1 2 3", "f32[3] 1 1 2"},
    {"Pad", 11, "mode='reflect'", "f64[3] 1 2 3 | i64[2] 3 1", "f64[7] 2 3 2 1 2 3 2"},
    {"Pad", 13, "", "i64[1] 3 | =i64[2] 1 1 | =i64[] 9007199254740993", "i64[3] 9007199254740993 3 9007199254740993"},
    {"Pad", 13, "", "f32[2] 1 2 | =i64[2] 1 0 | =f32[] -inf", "f32[3] -inf 1 2"},
    {"Pad", 13, "", "f32[2] 1 2 | =i64[2] 1 -1 | f32[] nan", "f32[2] nan 1"},
    {"Pad", 13, "", "f32[0] | =i64[2] 1 1 | f32[] 4", "f32[2] 4 4"},
    {"Pad", 18, "", "f32[1,2] 1 2 | =i64[2] 0 1 | - | =i64[1] -1", "f32[1,3] 1 2 0"},
    {"Pad", 19, "mode='wrap'", "f32[2] 1 2 | =i64[2] 3 2", "f32[7] 2 1 2 1 2 1 2"},
    {"Pad", 13, "", "f32[2] 1 2 | =i64[2] -2 -1", "!do not fit axis 0"},
    {"Pad", 13, "mode='edge'", "f32[0] | =i64[2] 1 1", "!no element to repeat"},
    {"Pad", 13, "mode='mirror'", "f32[2] 1 2 | =i64[2] 1 1", "!mode \"mirror\""},
    {"Pad", 13, "", "f32[2] 1 2 | =i64[3] 1 1 1", "!3 pads for 1 axes"},
    {"CenterCropPad", 18, "", "f32[3,3] 1 2 3 4 5 6 7 8 9 | =i64[2] 1 4", "f32[1,4] 4 5 6 0"},
    {"CenterCropPad", 18, "axes=-1,", "f32[1,4] 1 2 3 4 | i64[1] 1", "f32[1,1] 2"},
};

static const onnx_row constants[] = {
    {"Constant", 12, "value_float=1.5", "", "f32[] 1.5"},
    {"Constant", 12, "value_int=-7", "", "i64[] -7"},
    {"Constant", 12, "value_ints=3,4", "", "i64[2] 3 4"},
    {"Constant", 12, "value_string='a'", "", "!strings"},
    {"ConstantOfShape", 9, "", "=i64[2] 2 1", "f32[2,1] 0"},
    {"ConstantOfShape", 9, "", "i64[0]", "f32[] 0"},
    {"ConstantOfShape", 9, "", "=i64[2] 4611686018427387904 4", "!larger than can be counted"},
    {"EyeLike", 9, "k=1", "f32[2,3] 0", "f32[2,3] 0 1 0 0 0 1"},
    {"EyeLike", 9, "k=-9 dtype=9", "f32[1,2] 0", "bool[1,2] 0 0"},
    {"Range", 11, "", "=i64[] 10 | =i64[] 1 | =i64[] -4", "i64[3] 10 6 2"},
    {"Range", 11, "", "f32[] 0 | f32[] 1 | f32[] 0.375", "f32[3] 0 0.375 0.75"},
    {"Range", 11, "", "=i32[] 3 | =i32[] 3 | =i32[] 1", "i32[0]"},
    {"Range", 11, "", "=i32[] 3 | =i32[] 4 | =i32[] 0", "!by 0"},
    {"OneHot", 9, "axis=0", "i32[3] 0 -1 5 | =i64[] 2 | f32[2] 3 4", "f32[2,3] 4 3 3 3 4 3"},
    {"OneHot", 11, "", "f32[2] 1 0 | =f32[1] 2 | i8[2] 0 9", "i8[2,2] 0 9 9 0"},
    {"OneHot", 11, "axis=-1", "u8[2] 1 200 | =i64[] 3 | bool[2] 0 1", "bool[2,3] 0 1 0 0 0 0"},
    {"OneHot", 11, "", "i64[2] 1 0 | =i64[] -1 | f32[2] 0 1", "!depth -1"},
    {"Trilu", 14, "upper=0", "i32[2,3] 1 2 3 4 5 6 | =i64[] 1", "i32[2,3] 1 2 0 4 5 6"},
    {"Trilu", 14, "", "f16[2,2] 1 2 3 4 | i64[] 1", "f16[2,2] 0 2 0 0"},
    {"Trilu", 14, "", "bool[2,2] 1 | =i64[] 9223372036854775807", "bool[2,2] 0"},
    {"Cast", 1, "to='INT32'", "f32[2] 1.75 -2.5", "i32[2] 1 -2"},
    {"Cast", 13, "to=9", "f64[3] 0 0.25 nan", "bool[3] 0 1 1"},
    {"Cast", 19, "to=16 saturate=0", "f32[2] 1.00390625 3", "bf16[2] 1 3"},
    {"Cast", 13, "to=8", "f32[1] 1", "!string"},
    {"Cast", 13, "to=99", "f32[1] 1", "!type"},
    {"Cast", 13, "", "f32[1] 1", "!\"to\" is missing"},
    {"CastLike", 15, "", "u8[2] 3 255 | f16[0]", "f16[2] 3 255"},
    {"Where", 16, "", "bool[2,1] 1 0 | u64[1] 18446744073709551615 | u64[2] 1 2", "u64[2,2] 18446744073709551615 18446744073709551615 1 2"},
    {"DepthToSpace", 1, "blocksize=2", "f32[1,4,1,1] 1 2 3 4", "f32[1,1,2,2] 1 2 3 4"},
    {"DepthToSpace", 13, "blocksize=2 mode='CRD'", "i8[1,8,1,1] 1 2 3 4 5 6 7 8", "i8[1,2,2,2] 1 2 3 4 5 6 7 8"},
    {"DepthToSpace", 13, "blocksize=2 mode='DCR'", "i8[1,8,1,1] 1 2 3 4 5 6 7 8", "i8[1,2,2,2] 1 3 5 7 2 4 6 8"},
    {"DepthToSpace", 13, "blocksize=3", "f32[1,4,1,1] 0", "!make no blocks"},
    {"SpaceToDepth", 13, "blocksize=2", "f32[1,1,2,2] 1 2 3 4", "f32[1,4,1,1] 1 2 3 4"},
    {"SpaceToDepth", 13, "blocksize=0", "f32[1,1,2,2] 1 2 3 4", "!blocks of 0"},
    {"Col2Im", 18, "", "f32[1,2,2] 1 2 3 4 | =i64[1] 3 | =i64[1] 2", "f32[1,1,3] 1 5 4"},
    {"Col2Im", 18, "strides=2,", "f32[1,2,2] 1 2 3 4 | =i64[1] 4 | =i64[1] 2", "f32[1,1,4] 1 3 2 4"},
    {"Col2Im", 18, "", "f32[1,2,3] 0 | =i64[1] 3 | =i64[1] 2", "!at 2 places"},
};

static const onnx_row picks[] = {
    {"Gather", 1, "axis=-1", "f32[2,2] 1 2 3 4 | i32[] 1", "f32[2] 2 4"},
    {"Gather", 13, "", "bool[2] 1 0 | i64[0]", "bool[0]"},
    {"Gather", 13, "axis=2", "f32[2,2] 0 | i64[1] 0", "!axis 2 out of range"},
    {"Gather", 13, "", "f32[2,2] 0 | f32[1] 0", "!f32"},
    {"GatherElements", 13, "axis=1", "f32[2,2] 1 2 3 4 | i64[1,3] 1 -2 1", "f32[1,3] 2 1 2"},
    {"GatherND", 11, "", "f32[2,2] 1 2 3 4 | i64[2,1] 1 0", "f32[2,2] 3 4 1 2"},
    {"GatherND", 12, "batch_dims=1", "i8[2,2] 1 2 3 4 | i64[2,1,1] 1 0", "i8[2,1] 2 3"},
    {"GatherND", 12, "batch_dims=3", "f32[2,2] 0 | i64[2,1] 0", "!batch_dims"},
    {"GatherND", 12, "batch_dims=-4611686018427387904", "f32[2,2] 0 | i64[2,1] 0", "!batch_dims"},
    {"Scatter", 9, "axis=1", "f32[1,3] 1 2 3 | i64[1,2] 2 0 | f32[1,2] 8 9", "f32[1,3] 9 2 8"},
    {"ScatterElements", 11, "", "bool[3] 0 | i32[2] -1 0 | bool[2] 1", "bool[3] 1 0 1"},
    {"ScatterElements", 16, "reduction='mul'", "i64[2] 3 4 | i64[3] 1 1 0 | i64[3] 2 5 7", "i64[2] 21 40"},
    {"ScatterElements", 18, "reduction='min' axis=1", "u8[2,2] 9 | i64[2,1] 1 0 | u8[2,1] 3 200", "u8[2,2] 9 3 9 9"},
    {"ScatterElements", 13, "", "f32[2] 1 2 | i64[0] | f32[0]", "f32[2] 1 2"},
    {"ScatterElements", 16, "reduction='mean'", "f32[2] 1 2 | i64[1] 0 | f32[1] 1", "!reduction \"mean\""},
    {"ScatterElements", 16, "", "f32[2] 1 2 | i64[1] 0 | f32[2] 1", "!"},
    {"ScatterND", 11, "", "f32[2,2] 1 2 3 4 | i64[1,2] -1 0 | f32[1] 9", "f32[2,2] 1 2 9 4"},
    {"ScatterND", 18, "reduction='max'", "f16[3] 1 2 3 | i64[3,1] 0 0 2 | f16[3] 5 4 1", "f16[3] 5 2 3"},
    {"TensorScatter", 24, "axis=1", "f32[2,3] 1 2 3 4 5 6 | f32[2,1] 8 9 | i64[2] 2 0", "f32[2,3] 1 2 8 9 5 6"},
    {"TensorScatter", 24, "axis=1 mode='circular'", "f32[1,3] 1 2 3 | f32[1,2] 8 9 | i64[1] 2", "f32[1,3] 9 2 8"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=3 ngram_counts=0, ngram_indexes=2,0 pool_int64s=7,5", "i32[4] 5 7 5 9",
     "f32[3] 2 0 1"},
    {"TfIdfVectorizer", 9, "mode='IDF' min_gram_length=1 max_gram_length=2 max_skip_count=1 ngram_counts=0,2 ngram_indexes=0,1,2 pool_int64s=7,5,5,9 weights=0.5,2,3",
     "i64[2,4] 5 7 9 9 7 7 7 7", "f32[2,3] 0.5 2 3 0.5 0 0"},
    {"TfIdfVectorizer", 9, "mode='TFIDF' min_gram_length=2 max_gram_length=2 max_skip_count=9 ngram_counts=0,0 ngram_indexes=1, pool_int64s=5,9 weights=0.25,",
     "i64[1,5] 5 9 5 9 9", "f32[1,2] 0 1.25"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=2 max_gram_length=2 max_skip_count=0 ngram_counts=0,0 ngram_indexes=0, pool_int64s=5,9", "i64[1] 5", "f32[1] 0"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0, ngram_indexes=0, pool_int64s=5,", "i64[0,3]", "f32[0,1]"},
    {"TfIdfVectorizer", 9, "mode='BM25' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0, ngram_indexes=0, pool_int64s=5,", "i64[1] 0", "!BM25"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=2 max_skip_count=0 ngram_counts=0, ngram_indexes=0, pool_int64s=5,", "i64[1] 0", "!length 2"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0,1 ngram_indexes=0,1 pool_int64s=5,6", "i64[1] 0", "!pool of 2"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0, ngram_indexes=0,0 pool_int64s=5,6", "i64[1] 0", "!two n-grams"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0, ngram_indexes=0,2000000000 pool_int64s=5,6", "i64[1] 0",
     "!2000000001 columns"},
    {"TfIdfVectorizer", 9, "mode='TF' min_gram_length=1 max_gram_length=1 max_skip_count=0 ngram_counts=0, ngram_indexes=0,-1 pool_int64s=5,6", "i64[1] 0", "!column -1"},
    {"TopK", 1, "k=2", "f32[4] 1 3 2 3", "f32[2] 3 3 | i64[2] 1 3"},
    {"TopK", 10, "axis=0", "f64[3,1] 1 nan 2 | i64[1] 2", "f64[2,1] nan 2 | i64[2,1] 1 2"},
    {"TopK", 11, "largest=0 sorted=0", "i32[4] 5 1 4 1 | =i64[1] 3", "i32[3] 1 1 4 | i64[3] 1 3 2"},
    {"TopK", 11, "", "u64[2] 18446744073709551615 1 | =i64[1] 1", "- | i64[1] 0"},
    {"TopK", 11, "", "f32[2] 1 2 | =i64[1] 0", "f32[0] | i64[0]"},
    {"TopK", 11, "", "f32[2] 1 2 | =i64[1] 3", "!k is 3"},
    {"CumSum", 11, "reverse=1", "i32[3] 1 2 3 | =i64[] 0", "i32[3] 6 5 3"},
    {"CumSum", 14, "exclusive=1", "f16[2,2] 1 2 3 4 | i32[] -1", "f16[2,2] 0 1 0 3"},
    {"CumSum", 14, "", "f32[2] 0 | =i64[] 1", "!axis 1 out of range"},
    {"ReverseSequence", 10, "", "f32[3,2] 1 2 3 4 5 6 | i64[2] 2 3", "f32[3,2] 3 6 1 4 5 2"},
    {"ReverseSequence", 10, "time_axis=1 batch_axis=0", "i8[2,2] 1 2 3 4 | i64[2] 1 2", "i8[2,2] 1 2 4 3"},
    {"ReverseSequence", 10, "time_axis=1", "f32[2,2] 0 | i64[2] 1 2", "!time axis 1, batch axis 1"},
    {"Det", 11, "", "f64[2,1,1] 3 4", "f64[2] 3 4"},
    {"Det", 11, "", "f32[2,2] 1 2 2 4", "f32[] 0"},
    {"Det", 11, "", "f32[2,3] 0", "!no square matrices"},
    {"NonZero", 9, "", "f32[2,2] 0 nan 0 2", "i64[2,2] 0 1 1 1"},
    {"NonZero", 13, "", "=bool[3] 1 0 1", "i64[1,2] 0 2"},
    {"NonZero", 13, "", "i8[2] 0", "i64[1,0]"},
    {"Unique", 11, "", "f32[5] nan 2 1 nan 2", "f32[3] 1 2 nan | i64[3] 2 1 0 | i64[5] 2 1 0 2 1 | i64[3] 1 2 2"},
    {"Unique", 11, "sorted=0", "u64[3] 18446744073709551615 1 18446744073709551615", "u64[2] 18446744073709551615 1 | i64[2] 0 1 | i64[3] 0 1 0 | i64[2] 2 1"},
    {"Unique", 11, "axis=-1", "=i8[2,3] 2 1 2 0 5 0", "i8[2,2] 1 2 5 0 | - | - | i64[2] 1 2"},
    {"Unique", 11, "axis=2", "f32[2] 0", "!axis 2 out of range"},
    {"Compress", 9, "", "f32[2,2] 1 2 3 4 | bool[3] 0 1 1", "f32[2] 2 3"},
    {"Compress", 11, "axis=-1", "i16[2,2] 1 2 3 4 | =bool[2] 0 1", "i16[2,1] 2 4"},
    {"Compress", 11, "axis=0", "i16[2,2] 1 2 3 4 | bool[2] 0 1", "i16[1,2] 3 4"},
    {"NonMaxSuppression", 10, "", "f32[1,3,4] 0 0 1 1 0 0 1 0.9 2 2 3 3 | f32[1,1,3] 0.5 0.9 0.5 | =i64[1] 9 | f32[1] 0.5", "i64[2,3] 0 0 1 0 0 2"},
    {"NonMaxSuppression", 11, "", "f32[1,3,4] 1 1 0 0 0 0 1 0.9 2 2 3 3 | f32[1,1,3] 0.5 0.9 0.5 | i64[] 1 | f32[] 0.5 | f32[] 0.6", "i64[1,3] 0 0 1"},
    {"NonMaxSuppression", 11, "center_point_box=1", "f32[1,2,4] 1 1 2 2 1 1 2 1.9 | f32[1,1,2] 0.5 0.9 | i64[] 5 | f32[] 0.96", "i64[2,3] 0 0 1 0 0 0"},
    {"NonMaxSuppression", 11, "", "f32[1,2,4] 0 | f32[1,1,2] 1", "i64[0,3]"},
    {"NonMaxSuppression", 11, "", "f32[1,2,4] 0 | f32[1,1,3] 1", "!do not go together"},
};

static const onnx_row sums[] = {
    {"Einsum", 12, "equation='ij,jk'", "f32[1,2] 1 2 | f32[2,2] 1 2 3 4", "f32[1,2] 7 10"},
    {"Einsum", 12, "equation='ii->i'", "f32[2,2] 1 2 3 4", "f32[2] 1 4"},
    {"Einsum", 12, "equation='ii'", "f32[2,2] 1 2 3 4", "f32[] 5"},
    {"Einsum", 12, "equation='iji->j'", "f32[2,2,2] 1 2 3 4 5 6 7 8", "f32[2] 7 11"},
    {"Einsum", 12, "equation='iii->i'", "f32[2,2,2] 1 2 3 4 5 6 7 8", "f32[2] 1 8"},
    {"Einsum", 12, "equation='...i,...->i...'", "f32[2,2] 1 2 3 4 | f32[2] 10 100", "f32[2,2] 10 300 20 400"},
    {"Einsum", 12, "equation='bA,Ab->A'", "f32[2,1] 1 2 | f32[1,2] 3 4", "f32[1] 11"},
    {"Einsum", 12, "equation='i,j,k->kij'", "i32[2] 1 2 | i32[1] 3 | i32[2] 5 7", "i32[2,2,1] 15 30 21 42"},
    {"Einsum", 12, "equation='ij,jk,kl->il'", "f64[1,2] 1 2 | f64[2,1] 3 4 | f64[1,1] 2", "f64[1,1] 22"},
    {"Einsum", 12, "equation='ij,kl->'", "f32[1,2] 1 2 | f32[2,1] 3 4", "f32[] 21"},
    {"Einsum", 12, "equation='ij,jk->ik'", "f32[2,0] | f32[0,1]", "f32[2,1] 0"},
    {"Einsum", 12, "equation='ij,j->i'", "f32[1,2] 1 2 | f32[1] 5", "f32[1] 15"},
    {"Einsum", 12, "equation='ij,jk->iq'", "f32[1,2] 0 | f32[2,2] 0", "!no operand has"},
    {"Einsum", 12, "equation='ij->ii'", "f32[2,2] 0", "!twice"},
    {"Einsum", 12, "equation='ij,j'", "f32[2,2] 0", "!more terms"},
    {"Einsum", 12, "equation='ij'", "f32[2,2] 0 | f32[2] 0", "!fewer terms"},
    {"Einsum", 12, "equation='ij,jk->ik'", "f32[1,2] 0 | f32[3,2] 0", "!under one label"},
    {"Einsum", 12, "equation='i'", "f32[1,2] 0", "!operand 0 has rank 2"},
    {"Einsum", 12, "equation='i.j'", "f32[1,2] 0", "!letters"},
    {"Einsum", 12, "equation='......'", "f32[1,2] 0", "!two ellipses"},
    {"Einsum", 12, "", "f32[1,2] 0", "!"},
};

/* On both families of kernels: one item a row, and teams. */
static void check_all(const onnx_row *rows, size_t n)
{
    onnx_rows_check("cpu", rows, n);
    onnx_rows_check("simt", rows, n);
}

static void check_shapes(void **state)
{
    (void)state;
    check_all(shapes, TERN_COUNT(shapes));
}

static void check_constants(void **state)
{
    (void)state;
    check_all(constants, TERN_COUNT(constants));
}

static void check_picks(void **state)
{
    (void)state;
    check_all(picks, TERN_COUNT(picks));
}

static void check_sums(void **state)
{
    (void)state;
    check_all(sums, TERN_COUNT(sums));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_shapes),
        cmocka_unit_test(check_constants),
        cmocka_unit_test(check_picks),
        cmocka_unit_test(check_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
