/* ONNX operators of arithmetic, reductions, losses and signals in the forms that ONNX's own cases leave out: old versions, other types, odd shapes. */
#include "onnx_rows.h"

static const onnx_row pointwise[] = {
    /* Broadcasting by attribute, before opset 7. */
    {"Add", 1, "consumed_inputs=0,0", "f32[2] 1 2 | f32[2] 3 4", "f32[2] 4 6"},
    {"Add", 6, "broadcast=1", "f32[2,3] 1 2 3 4 5 6 | f32[3] 10 20 30", "f32[2,3] 11 22 33 14 25 36"},
    {"Sub", 6, "broadcast=1 axis=0", "f32[2,3] 1 2 3 4 5 6 | f32[2] 10 20", "f32[2,3] -9 -8 -7 -16 -15 -14"},
    {"Mul", 6, "broadcast=1 axis=1", "f32[2,2,2] 1 2 3 4 5 6 7 8 | =f32[2] 2 3", "f32[2,2,2] 2 4 9 12 10 12 21 24"},
    {"Div", 6, "broadcast=1 axis=-2", "i32[2,2] 8 9 10 11 | i32[2,1] 2 -4", "i32[2,2] 4 4 -2 -2"},
    {"Pow", 6, "broadcast=1", "f32[2,2] 1 2 3 4 | f32[1] 2", "f32[2,2] 1 4 9 16"},
    {"Greater", 6, "broadcast=1", "f32[2,2] 1 2 3 4 | f32[2] 2 3", "bool[2,2] 0 0 1 1"},
    {"Or", 6, "broadcast=1 axis=0", "bool[2,2] 0 1 0 1 | bool[2] 1 0", "bool[2,2] 1 1 0 1"},
    {"Add", 6, "", "f32[2,3] 1 2 3 4 5 6 | f32[3] 10 20 30", "!do not fit with broadcast 0"},
    {"Add", 6, "broadcast=1 axis=1", "f32[2,3] 1 2 3 4 5 6 | f32[2] 10 20", "!do not fit"},
    {"Add", 6, "broadcast=1 axis=9", "f32[2,3] 1 2 3 4 5 6 | f32[3] 10 20 30", "!do not fit"},
    {"Add", 14, "broadcast=1", "f32[2] 1 2 | f32[2] 3 4", "!broadcast"},
    {"Add", 14, "", "f32[2] 1 2 | -", "!input 1 is missing"},
    /* Element types. */
    {"Add", 14, "", "u8[2] 250 3 | u8[2] 10 4", "u8[2] 4 7"},
    {"Sub", 14, "", "i64[2] 9007199254740993 1 | i64[2] 1 2", "i64[2] 9007199254740992 -1"},
    {"Mul", 14, "", "i16[2] -300 3 | i16[1] 5", "i16[2] -1500 15"},
    {"Div", 14, "", "u64[1] 18446744073709551615 | u64[1] 5", "u64[1] 3689348814741910323"},
    {"Div", 14, "", "i8[4] -7 7 -7 7 | i8[4] 2 2 -2 -2", "i8[4] -3 3 3 -3"},
    {"Mul", 14, "", "f16[3] 1.5 2 65504 | f16[3] 2 0.25 1", "f16[3] 3 0.5 65504"},
    {"Add", 14, "", "bf16[2] 1 2 | bf16[2] 0.5 0.25", "bf16[2] 1.5 2.25"},
    {"Add", 14, "", "f64[2] 1 2 | f64[2] 1e-12 1", "f64[2] 1.000000000001 3"},
    {"Abs", 13, "", "i8[3] -128 -5 7", "i8[3] -128 5 7"},
    {"Abs", 13, "", "u32[2] 4294967295 1", "u32[2] 4294967295 1"},
    {"Neg", 13, "", "i64[2] -9007199254740993 4", "i64[2] 9007199254740993 -4"},
    {"Sign", 13, "", "i16[3] -4 0 9", "i16[3] -1 0 1"},
    {"Sign", 13, "", "u8[2] 0 9", "u8[2] 0 1"},
    {"Relu", 14, "", "i32[3] -4 0 9", "i32[3] 0 0 9"},
    {"Erf", 9, "", "i32[3] -9 0 9", "i32[3] -1 0 1"},
    {"Round", 11, "", "f64[5] 0.5 1.5 2.5 -0.5 -1.5", "f64[5] 0 2 2 0 -2"},
    {"Equal", 13, "", "bool[4] 0 1 0 1 | bool[4] 0 0 1 1", "bool[4] 1 0 0 1"},
    {"Equal", 13, "", "i64[2] 9007199254740993 5 | i64[2] 9007199254740992 5", "bool[2] 0 1"},
    {"Greater", 13, "", "u64[2] 18446744073709551615 0 | u64[2] 1 1", "bool[2] 1 0"},
    {"LessOrEqual", 16, "", "i8[3] -3 4 5 | i8[1] 4", "bool[3] 1 1 0"},
    {"GreaterOrEqual", 12, "", "f16[2] 1 2 | f16[1] 2", "bool[2] 0 1"},
    {"Not", 1, "", "bool[2] 0 1", "bool[2] 1 0"},
    {"IsInf", 10, "detect_negative=0", "f32[4] -inf inf nan 1", "bool[4] 0 1 0 0"},
    {"IsInf", 20, "detect_positive=0", "f16[4] -inf inf nan 1", "bool[4] 1 0 0 0"},
    {"IsNaN", 13, "", "f64[3] nan 1 inf", "bool[3] 1 0 0"},
    /* Any number of operands. */
    {"Sum", 13, "", "f32[2] 1 2 | f32[1] 10 | f32[2,1] 100 200", "f32[2,2] 111 112 211 212"},
    {"Sum", 6, "", "f32[2] 1 2", "f32[2] 1 2"},
    {"Mean", 13, "", "f16[2] 60000 2 | f16[2] 60000 4 | f16[2] 30000 6", "f16[2] 50000 4"},
    {"Max", 13, "", "u64[2] 18446744073709551615 1 | u64[1] 7 | u64[2] 3 9", "u64[2] 18446744073709551615 9"},
    {"Min", 13, "", "i8[2] -4 5 | i8[1] 2", "i8[2] -4 2"},
    {"Max", 13, "", "f32[3] nan 1 2 | f32[3] 1 nan 1", "f32[3] nan nan 2"},
    {"Sum", 13, "", "f32[2] 1 2 | -", "!input 1 is missing"},
    /* Pow: the result is of the base's type. */
    {"Pow", 13, "", "f32[3] 2 3 4 | i64[3] 3 2 -1", "f32[3] 8 9 0.25"},
    {"Pow", 13, "", "i32[4] 1 2 3 -2 | f32[4] 4 5 6 3", "i32[4] 1 32 729 -8"},
    {"Pow", 13, "", "i64[2] 2 10 | i32[2] 40 12", "i64[2] 1099511627776 1000000000000"},
    {"Pow", 15, "", "i32[2] 9 2 | f64[2] 0.5 0.5", "i32[2] 3 1"},
    {"Pow", 15, "", "f16[2] 3 4 | u8[1] 2", "f16[2] 9 16"},
    /* Mod: both signs of the remainder in all types. */
    {"Mod", 13, "", "i32[6] -4 7 5 4 -7 8 | i32[6] 2 -3 8 -2 3 5", "i32[6] 0 -2 5 0 2 3"},
    {"Mod", 13, "fmod=1", "i32[6] -4 7 5 4 -7 8 | i32[6] 2 -3 8 -2 3 5", "i32[6] 0 1 5 0 -1 3"},
    {"Mod", 13, "fmod=1", "f64[4] -4.3 7.2 5 -7.5 | f64[4] 2.1 -3.4 8 3", "f64[4] -0.1 0.4 5 -1.5"},
    {"Mod", 13, "", "f32[4] -4.5 7.5 5 -7.5 | f32[4] 2 -3 8 3", "f32[4] 1.5 -1.5 5 1.5"},
    {"Mod", 13, "", "u8[2] 250 7 | u8[1] 8", "u8[2] 2 7"},
    {"BitShift", 11, "direction='LEFT'", "u16[3] 1 2 3 | u16[3] 1 2 15", "u16[3] 2 8 32768"},
    {"BitShift", 11, "direction='RIGHT'", "u64[2] 18446744073709551615 8 | u64[2] 63 2", "u64[2] 1 2"},
    {"BitShift", 11, "direction='UP'", "u8[1] 1 | u8[1] 1", "!neither LEFT nor RIGHT"},
    {"BitwiseAnd", 18, "", "i32[2] -1 12 | i32[1] 10", "i32[2] 10 8"},
    {"BitwiseOr", 18, "", "u8[2] 1 12 | u8[1] 3", "u8[2] 3 15"},
    {"BitwiseXor", 18, "", "i64[2] -1 5 | i64[1] 1", "i64[2] -2 4"},
    {"BitwiseNot", 18, "", "u16[2] 0 65535", "u16[2] 65535 0"},
    /* Clip in its three forms. */
    {"Clip", 1, "max=1.0", "f32[3] -1e39 0.5 2", "f32[3] -inf 0.5 1"},
    {"Clip", 6, "min=-1.0", "f32[3] -2 0 inf", "f32[3] -1 0 3.4028234663852886e38"},
    {"Clip", 11, "", "f32[3] -2 0 5 | =f32[] -1 | =f32[] 1", "f32[3] -1 0 1"},
    {"Clip", 11, "", "f32[3] -2 0 5 | - | f32[] 1", "f32[3] -2 0 1"},
    {"Clip", 13, "", "f16[3] -2 0 5 | f16[] -1", "f16[3] -1 0 5"},
    {"Clip", 13, "", "i64[3] -9007199254740995 0 9007199254740995 | =i64[] -9007199254740993 | =i64[] 9007199254740993",
     "i64[3] -9007199254740993 0 9007199254740993"},
    {"Clip", 13, "", "u8[3] 1 100 255 | u8[] 5 | u8[] 200", "u8[3] 5 100 200"},
    {"Clip", 13, "", "f32[3] 1 2 3 | f32[] 5 | f32[] 4", "f32[3] 4 4 4"},
    {"Clip", 13, "", "f32[1] 1 | f32[2] 5 6", "!must be one number"},
    /* Activations. */
    {"Selu", 1, "", "f32[1] 2", "f32[1] 2.1014"},
    {"Selu", 6, "gamma=2.0", "f32[2] 2 -1", "f32[2] 4 -2.11540389"},
    {"Elu", 1, "alpha=2.0 consumed_inputs=0,", "f32[2] 2 -1", "f32[2] 2 -1.26424112"},
    {"LeakyRelu", 6, "", "f64[2] 2 -1", "f64[2] 2 -0.009999999776482582"},
    {"HardSigmoid", 6, "", "f32[4] -5 0 1 5", "f32[4] 0 0.5 0.7 1"},
    {"HardSwish", 14, "", "f16[4] -5 -1 1 5", "f16[4] 0 -0.33333 0.66667 5"},
    {"ThresholdedRelu", 10, "", "f32[3] 0.5 1 2", "f32[3] 0 0 2"},
    {"Shrink", 9, "bias=1.0 lambd=1.5", "i32[5] -3 -1 0 1 3", "i32[5] -2 0 0 0 2"},
    {"Celu", 12, "alpha=2.0", "f32[2] -2 3", "f32[2] -1.26424112 3"},
    {"Gelu", 20, "", "f32[3] -1 0 1", "f32[3] -0.158655254 0 0.841344746"},
    {"Gelu", 20, "approximate='tanh'", "f32[3] -1 0 1", "f32[3] -0.158808009 0 0.841191991"},
    {"Gelu", 20, "approximate='fast'", "f32[1] 1", "!neither none nor tanh"},
    {"Swish", 24, "", "f32[2] 1 -1", "f32[2] 0.731058579 -0.268941421"},
    {"Swish", 24, "alpha=2.0", "f32[2] 1 -1", "f32[2] 0.880797078 -0.119202922"},
    {"Mish", 18, "", "f32[2] 1 -1", "f32[2] 0.865098388 -0.303401461"},
    {"PRelu", 6, "", "f32[2,2,2] -1 1 -2 2 -3 3 -4 4 | f32[2] 0.5 0.25", "f32[2,2,2] -0.5 1 -0.5 2 -1.5 3 -1 4"},
    {"PRelu", 9, "", "f32[2,2] -1 1 -2 2 | f32[2,1] 0.5 0.25", "f32[2,2] -0.5 1 -0.5 2"},
    {"PRelu", 9, "", "i32[4] -1 1 -2 2 | i32[1] 3", "i32[4] -3 1 -6 2"},
    {"PRelu", 9, "", "f32[2] -1 1 | f32[2,2] 1 1 1 1", "!does not broadcast"},
    {"Softplus", 1, "", "f64[2] 0 1000", "f64[2] 0.69314718055994531 1000"},
    /* Softmax before 13 works over all axes from the given one on. */
    {"Softmax", 11, "", "f32[1,2,2] 0 0 0 0", "f32[1,2,2] 0.25"},
    {"Softmax", 1, "axis=2", "f32[1,2,2] 0 0 0 0", "f32[1,2,2] 0.5"},
    {"Softmax", 11, "axis=0", "f32[2,2] 0 0 0 0.693147181", "f32[2,2] 0.2 0.2 0.2 0.4"},
    {"Softmax", 13, "axis=0", "f32[2,2] 0 0 0 0.693147181", "f32[2,2] 0.5 0.333333333 0.5 0.666666667"},
    {"LogSoftmax", 11, "axis=-2", "f64[1,2,2] 0 0 0 0", "f64[1,2,2] -1.3862943611198906"},
    {"LogSoftmax", 13, "", "f16[2,2] 0 0 0 0", "f16[2,2] -0.6931"},
    {"Hardmax", 11, "", "f32[1,2,3] 1 2 5 5 0 0", "f32[1,2,3] 0 0 1 0 0 0"},
    {"Hardmax", 13, "axis=1", "f16[1,2,3] 1 2 5 5 0 0", "f16[1,2,3] 0 1 1 1 0 0"},
    {"Softmax", 13, "axis=2", "f32[2,2] 0 0 0 0", "!out of range"},
    /* Rows of halves that begin between the alignments of a vector. */
    {"Softmax", 13, "", "f16[5,18] 0", "f16[5,18] 0.0555"},
    {"Add", 14, "", "f16[5,1] 1 2 3 4 5 | f16[5,17] 1", "f16[5,17] 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 "
     "4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6"},
};

static const onnx_row reductions[] = {
    {"ReduceSum", 11, "axes=1, keepdims=0", "f32[2,3] 1 2 3 4 5 6", "f32[2] 6 15"},
    {"ReduceSum", 13, "keepdims=0", "f32[2,3] 1 2 3 4 5 6 | =i64[1] -1", "f32[2] 6 15"},
    {"ReduceSum", 13, "", "f32[2,3] 1 2 3 4 5 6 | i64[2] 0 1", "f32[1,1] 21"},
    {"ReduceSum", 13, "", "i64[2,2] 9007199254740993 2 3 4", "i64[1,1] 9007199254741002"},
    {"ReduceSum", 13, "noop_with_empty_axes=1", "f32[2] 1 2 | =i64[0]", "f32[2] 1 2"},
    {"ReduceSum", 13, "", "f32[2] 1 2 | =i64[0]", "f32[1] 3"},
    {"ReduceSum", 13, "", "f32[2] 1 2 | =i64[2] 0 -1", "!twice"},
    {"ReduceSum", 13, "", "f32[2] 1 2 | =i64[1] 1", "!out of range"},
    {"ReduceSum", 13, "axes=0,", "f32[2] 1 2", "!axes"},
    {"ReduceSum", 13, "", "f32[]  7", "f32[] 7"},
    {"ReduceSum", 13, "keepdims=0", "f32[2,0,3] | =i64[1] 1", "f32[2,3] 0"},
    {"ReduceProd", 18, "keepdims=0", "i32[2,0] | =i64[1] 1", "i32[2] 1"},
    {"ReduceProd", 11, "axes=0,", "u64[2,1] 4294967296 3", "u64[1,1] 12884901888"},
    {"ReduceMean", 18, "", "i32[4] 1 2 3 5 | =i64[1] 0", "i32[1] 2"},
    {"ReduceMean", 11, "axes=-1, keepdims=0", "f16[2,2] 60000 60000 1 2", "f16[2] 60000 1.5"},
    {"ReduceMean", 18, "keepdims=0", "f32[0] | =i64[1] 0", "f32[] nan"},
    {"ReduceMax", 20, "keepdims=0", "bool[2,2] 0 0 0 1 | =i64[1] 1", "bool[2] 0 1"},
    {"ReduceMin", 20, "", "bool[2,2] 1 1 0 1 | =i64[1] 0", "bool[1,2] 0 1"},
    {"ReduceMax", 12, "axes=0,", "u8[2,2] 1 200 3 4", "u8[1,2] 3 200"},
    {"ReduceMin", 12, "axes=0,", "i8[2,2] 1 -100 3 4", "i8[1,2] 1 -100"},
    {"ReduceMax", 18, "keepdims=0", "f32[2,0] | =i64[1] 1", "f32[2] -inf"},
    {"ReduceMin", 18, "keepdims=0", "i64[2,0] | =i64[1] 1", "i64[2] 9223372036854775807"},
    {"ReduceMax", 18, "keepdims=0", "i8[2,0] | =i64[1] 1", "i8[2] -128"},
    {"ReduceMin", 18, "keepdims=0", "u16[2,0] | =i64[1] 1", "u16[2] 65535"},
    {"ReduceMax", 18, "", "f32[2,0] | =i64[1] 0", "f32[1,0]"},
    {"ReduceL1", 18, "keepdims=0", "i32[3] -1 2 -3 | =i64[1] 0", "i32[] 6"},
    {"ReduceL2", 18, "keepdims=0", "f16[2] 30000 40000 | =i64[1] 0", "f16[] 50000"},
    {"ReduceL2", 13, "keepdims=0", "i32[2] 3 4", "i32[] 5"},
    {"ReduceL2", 18, "noop_with_empty_axes=1", "f32[2] -3 4", "f32[2] 3 4"},
    {"ReduceSumSquare", 18, "noop_with_empty_axes=1", "f32[2] -3 4", "f32[2] 9 16"},
    {"ReduceSumSquare", 13, "axes=0,", "i32[2] -3 4", "i32[1] 25"},
    {"ReduceLogSum", 18, "noop_with_empty_axes=1", "f32[2] 1 2.718281828", "f32[2] 0 1"},
    {"ReduceLogSum", 18, "keepdims=0", "f32[0] | =i64[1] 0", "f32[] -inf"},
    {"ReduceLogSumExp", 18, "keepdims=0", "f64[2] 1000 1000 | =i64[1] 0", "f64[] 1000.6931471805599"},
    {"ReduceLogSumExp", 13, "keepdims=0", "f32[3] -inf -inf -inf", "f32[] -inf"},
    {"ArgMax", 13, "", "f32[2,2] 1 5 5 2", "i64[1,2] 1 0"},
    {"ArgMax", 13, "axis=1 keepdims=0 select_last_index=1", "f32[2,3] 5 5 2 1 1 1", "i64[2] 1 2"},
    {"ArgMin", 13, "axis=-1 keepdims=0 select_last_index=1", "u8[2,3] 5 2 2 1 1 3", "i64[2] 2 1"},
    {"ArgMin", 1, "axis=1", "i64[1,3] 3 -9007199254740993 -9007199254740992", "i64[1,1] 1"},
    {"ArgMax", 13, "axis=3", "f32[2] 1 2", "!out of range"},
};

static const onnx_row losses[] = {
    {"NegativeLogLikelihoodLoss", 13, "", "f32[2,2] -1 -2 -3 -4 | i64[2] 0 1", "f32[] 2.5"},
    {"NegativeLogLikelihoodLoss", 13, "reduction='none'", "f32[2,2] -1 -2 -3 -4 | i32[2] 1 0 | f32[2] 10 100", "f32[2] 200 30"},
    {"NegativeLogLikelihoodLoss", 13, "reduction='sum' ignore_index=-1", "f32[3,2] -1 -2 -3 -4 -5 -6 | i64[3] 0 -1 1", "f32[] 7"},
    {"NegativeLogLikelihoodLoss", 13, "ignore_index=1", "f32[3,2] -1 -2 -3 -4 -5 -6 | i64[3] 0 1 0 | f32[2] 3 100", "f32[] 3"},
    {"NegativeLogLikelihoodLoss", 13, "", "f64[1,2,2] -1 -2 -3 -4 | i64[1,2] 0 1", "f64[] 2.5"},
    {"NegativeLogLikelihoodLoss", 13, "reduction='none'", "f32[1,2] 0 -inf | i64[1] 0", "f32[1] 0"},
    {"NegativeLogLikelihoodLoss", 13, "", "f32[2,2] 1 2 3 4 | i64[3] 0 1 1", "!where [N,C,d...] and [N,d...] are needed"},
    {"NegativeLogLikelihoodLoss", 13, "reduction='most'", "f32[1,2] 1 2 | i64[1] 0", "!none of mean, sum, none"},
    {"NegativeLogLikelihoodLoss", 13, "", "f32[1,2] 1 2 | i64[1] 0 | f32[3] 1 1 1", "!weights [3] for 2 classes"},
    {"SoftmaxCrossEntropyLoss", 13, "", "f32[2,2] 0 0 0 0 | i64[2] 0 1", "f32[] 0.69314718"},
    {"SoftmaxCrossEntropyLoss", 13, "", "f32[1,2] 0 1.0986123 | i64[1] 1", "f32[] 0.28768207"},
    {"SoftmaxCrossEntropyLoss", 13, "", "f16[2,2] 0 0 0 0 | i64[2] 0 1", "f16[] 0.69314718 | f16[2,2] -0.69314718"},
    {"SoftmaxCrossEntropyLoss", 13, "reduction='none' ignore_index=0", "f32[1,2,2] 0 0 0 0 | i64[1,2] 0 1 | =f32[2] 1 2",
     "f32[1,2] 0 1.38629436 | f32[1,2,2] -0.69314718"},
    {"ai.onnx.preview.training:Momentum", 17, "alpha=0.5 beta=2.0 mode='standard' norm_coefficient=0.0",
     "f32[] 0.1 | i64[] 0 | f32[2] 1 2 | f32[2] 4 8 | f32[2] 2 2", "f32[2] 0.5 1.1 | f32[2] 5 9"},
    {"ai.onnx.preview.training:Momentum", 17, "alpha=0.5 beta=2.0 mode='nesterov' norm_coefficient=1.0",
     "f32[] 0.1 | i64[] 3 | f32[1] 1 | f32[1] 3 | f32[1] 2", "f32[1] 0.15 | f32[1] 9"},
    {"ai.onnx.preview.training:Momentum", 17, "alpha=0.5 beta=2.0 mode='heavy' norm_coefficient=1.0",
     "f32[] 0.1 | i64[] 3 | f32[1] 1 | f32[1] 3 | f32[1] 2", "!neither standard nor nesterov"},
    {"ai.onnx.preview.training:Adagrad", 17, "decay_factor=1.0 epsilon=0.0", "f32[] 1.0 | i64[] 1 | f32[1] 1 | f32[1] 3 | f32[1] 16", "f32[1] 0.7 | f32[1] 25"},
    {"ai.onnx.preview.training:Adagrad", 17, "", "f32[] 1 | i64[] 1 | f32[1] 1 | f32[1] 3", "!for each parameter are needed"},
    {"ai.onnx.preview.training:Adagrad", 17, "", "f32[] 1 | i64[] 1 | f32[1] 1 | f32[2] 3 3 | f32[1] 1", "!must be of one type"},
    /* beta near 1 and step 1: 1 - beta has few digits left unless it is taken with care. m = (1-a) g, h = (1-b) g^2, so the way is R g / |g|. */
    {"ai.onnx.preview.training:Adam", 17, "epsilon=0.0", "f32[] 0.125 | i64[] 1 | f32[1] 1 | f32[1] 2 | f32[1] 0 | f32[1] 0", "f32[1] 0.875 | - | -"},
    {"ai.onnx.preview.training:Adam", 17, "alpha=0.5 beta=0.75 epsilon=1.0 norm_coefficient_post=0.5",
     "f64[] 0.5 | i64[] 0 | f64[1] 1 | f64[1] 2 | f64[1] 4 | f64[1] 20", "f64[1] 0.35 | f64[1] 3 | f64[1] 16"},
};

static const onnx_row signals[] = {
    {"HannWindow", 17, "", "i32[] 4", "f32[4] 0 0.5 1 0.5"},
    {"HannWindow", 17, "periodic=0 output_datatype=11", "=i64[] 3", "f64[3] 0 1 0"},
    {"HannWindow", 17, "periodic=0", "=i64[] 1", "f32[1] 1"},
    {"HammingWindow", 17, "output_datatype=10", "=i64[] 2", "f16[2] 0.0869565217 1"},
    {"BlackmanWindow", 17, "output_datatype=11", "=i64[] 4", "f64[4] 0 0.34 1 0.34"},
    {"HannWindow", 17, "output_datatype=7", "=i64[] 4", "i64[4] 0 0 1 0"},
    {"HannWindow", 17, "", "=i64[] 0", "f32[0]"},
    {"HannWindow", 17, "", "=i64[] -4", "!must be 0 to"},
    {"HannWindow", 17, "output_datatype=8", "=i64[] 4", "!string"},
    {"DFT", 17, "", "f32[1,4,1] 1 2 3 4", "f32[1,4,2] 10 0 -2 2 -2 0 -2 -2"},
    {"DFT", 17, "onesided=1", "f64[1,4,1] 1 2 3 4", "f64[1,3,2] 10 0 -2 2 -2 0"},
    {"DFT", 17, "axis=0", "f32[2,2,1] 1 2 3 4", "f32[2,2,2] 4 0 6 0 -2 0 -2 0"},
    {"DFT", 17, "inverse=1", "f32[1,4,2] 10 0 -2 2 -2 0 -2 -2", "f32[1,4,2] 1 0 2 0 3 0 4 0"},
    {"DFT", 17, "", "f32[1,2,1] 1 2 | =i64[] 3", "f32[1,3,2] 3 0 0 -1.73205081 0 1.73205081"},
    {"DFT", 17, "", "f16[1,4,1] 1 2 3 4 | =i64[] 2", "f16[1,2,2] 3 0 -1 0"},
    {"DFT", 20, "", "f32[4,1] 1 2 3 4", "f32[4,2] 10 0 -2 2 -2 0 -2 -2"},
    {"DFT", 20, "onesided=1 inverse=1", "f32[3,2] 10 0 -2 2 -2 0", "f32[4,1] 1 2 3 4"},
    {"DFT", 20, "onesided=1 inverse=1", "f32[2,2] 6 0 -1.5 0.866025404 | =i64[] 3", "f32[3,1] 1 2 3"},
    {"DFT", 20, "", "f32[2,2,1] 1 2 3 4 | - | =i64[] 0", "f32[2,2,2] 4 0 6 0 -2 0 -2 0"},
    {"DFT", 20, "", "f32[2,2,1] 1 2 3 4 | - | =i64[] 2", "!holds the complex parts"},
    {"DFT", 17, "onesided=1", "f32[0,4,1]", "f32[0,3,2]"},
    {"DFT", 17, "onesided=1", "f32[1,2,2] 1 2 3 4", "!takes a real input"},
    {"DFT", 17, "", "f32[1,2,3] 1", "!must be 1 (real) or 2 (complex)"},
    {"DFT", 17, "", "f32[1,2,1] 1 2 | =i64[] 4611686018427387904", "!dft_length"},
    {"STFT", 17, "", "f32[1,4,1] 1 2 3 4 | =i64[] 2 | - | =i64[] 2", "f32[1,2,2,2] 3 0 -1 0 7 0 -1 0"},
    {"STFT", 17, "onesided=0", "f32[1,3] 1 2 3 | =i64[] 1 | f32[2] 1 2", "f32[1,2,2,2] 5 0 -3 0 8 0 -4 0"},
    {"STFT", 17, "onesided=0", "f32[1,2,2] 1 1 2 -1 | =i64[] 1 | f32[2] 1 1", "f32[1,1,2,2] 3 0 -1 2"},
    {"STFT", 17, "", "f32[1,4,1] 1 2 3 4 | =i64[] 0 | - | =i64[] 2", "!frame_step 0"},
    {"STFT", 17, "", "f32[1,4,1] 1 2 3 4 | =i64[] 1 | - | =i64[] 5", "!frame_length 5"},
    {"STFT", 17, "", "f32[1,4,1] 1 2 3 4 | =i64[] 1 | f32[3] 1 1 1 | =i64[] 2", "!a window of 3 for frames of 2"},
    {"MelWeightMatrix", 17, "", "=i64[] 2 | =i64[] 8 | =i64[] 8 | =f32[] 0 | =f32[] 4", "f32[5,2] 0 0 1 0 0 1 0 0 0 0"},
    {"MelWeightMatrix", 17, "", "=i64[] 2 | =i64[] 8 | =i64[] 8 | =f32[] 0 | =f32[] 40", "!does not lie in a signal"},
    {"Bernoulli", 15, "seed=1.0", "f32[3,2] 0", "f32[3,2] 0"},
    {"Bernoulli", 15, "seed=1.0 dtype=9", "f64[3] 1", "bool[3] 1"},
    {"Multinomial", 7, "sample_size=3 seed=2.0", "f32[2,3] -inf 0 -inf -inf -inf 5", "i32[2,3] 1 1 1 2 2 2"},
    {"Multinomial", 7, "sample_size=2 dtype=7", "f32[1,2] 0 -inf", "i64[1,2] 0"},
    {"RandomUniform", 1, "shape=2,2 low=3.0 high=3.0", "", "f32[2,2] 3"},
    {"RandomNormal", 1, "shape=3, mean=2.0 scale=0.0 dtype=10", "", "f16[3] 2"},
    {"RandomUniformLike", 1, "low=1.0 high=1.0 dtype=1", "i64[2] 5 6", "f32[2] 1"},
    {"RandomNormalLike", 1, "mean=1.0 scale=0.0", "f64[2] 5 6", "f64[2] 1"},
    {"RandomUniformLike", 1, "", "i64[2] 5 6", "!numbers of type i64"},
    {"RandomUniform", 1, "shape=-2,2", "", "!negative"},
};

ONNX_ROWS_TEST(check_pointwise, pointwise)
ONNX_ROWS_TEST(check_reductions, reductions)
ONNX_ROWS_TEST(check_losses, losses)
ONNX_ROWS_TEST(check_signals, signals)

/* A simulated device would take hours for what a real one does in no time. */
static bool is_slow(void)
{
    return getenv("TERN_TEST_SLOW_DEVICE") != NULL;
}

/* --- Whole models ------------------------------------------------------------------------------------------------ */

typedef struct rig {
    char folder[32], path[64];
    tern_device *d;
    tern_onnx *m;
    tern_onnx_session *s;
} rig;

static void rig_open(rig *r, onnx_message *graph, int opset)
{
    onnx_message m = onnx_model(graph, opset);
    *r = (rig){.folder = "/tmp/tern-onnx-XXXXXX"};
    onnx_opset(&m, "ai.onnx.preview.training", 1);
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->path, sizeof r->path, "%s/m.onnx", r->folder);
    onnx_write(&m, r->path);
    MUST(tern_device_open(&(tern_device_params){.family = "cpu"}, &r->d));
    MUST(tern_onnx_load(r->path, &r->m));
    MUST(tern_onnx_session_create(r->d, r->m, NULL, &r->s));
}

static void rig_close(rig *r)
{
    tern_onnx_session_destroy(r->s);
    tern_onnx_destroy(r->m);
    tern_device_close(r->d);
    unlink(r->path);
    rmdir(r->folder);
}

/* The transform of len numbers by its definition, at a few bins. */
static void check_bins(const double *x, int c, int64_t len, const double *y, int64_t bins, bool inverse)
{
    for (int64_t k = 0; k < bins; k += 1 + bins / 23) {
        double re = 0, im = 0;
        for (int64_t i = 0; i < len; i++) {
            const double a = (inverse ? 2 : -2) * M_PI * (double)(i * k % len) / (double)len, xr = x[c * i], xi = c == 2 ? x[2 * i + 1] : 0;
            re += xr * cos(a) - xi * sin(a);
            im += xr * sin(a) + xi * cos(a);
        }
        const double scale = inverse ? 1 / (double)len : 1;
        if (fabs(y[2 * k] - scale * re) > 1e-9 * (double)len || fabs(y[2 * k + 1] - scale * im) > 1e-9 * (double)len)
            fail_msg("length %d bin %d: %g %g, not %g %g", (int)len, (int)k, y[2 * k], y[2 * k + 1], scale * re, scale * im);
    }
}

static tern_tensor *numbers(const tern_shape *s)
{
    tern_tensor *t = NULL;
    MUST(tern_tensor_create(TERN_F64, s, &t));
    fill_random(t, 5);
    return t;
}

static void check_transform(int64_t len, int c, bool inverse, bool onesided)
{
    onnx_message g = {0}, n = onnx_node("DFT", "x", "y");
    onnx_attr_int(&n, "inverse", inverse);
    onnx_attr_int(&n, "onesided", onesided);
    onnx_input(&g, "x", ONNX_DOUBLE, 3, (int64_t[]){2, len, c});
    onnx_add(&g, &n);
    onnx_output(&g, "y", ONNX_DOUBLE);
    rig r;
    rig_open(&r, &g, 17);
    tern_onnx_value x = {.kind = TERN_ONNX_TENSOR, .tensor = numbers(&(tern_shape){.rank = 3, .dim = {2, len, c}})}, y;
    MUST(tern_onnx_session_run(r.s, &x, &y));
    const int64_t bins = onesided ? len / 2 + 1 : len;
    assert_int_equal(tern_tensor_elems(y.tensor), 2 * bins * 2);
    for (int b = 0; b < 2; b++)
        check_bins((double *)tern_tensor_data(x.tensor) + b * len * c, c, len, (double *)tern_tensor_data(y.tensor) + b * bins * 2, bins, inverse);
    tern_onnx_value_clear(&x);
    tern_onnx_value_clear(&y);
    rig_close(&r);
}

/* Lengths that are taken apart: a power of two, many factors, a prime, and twice a prime. The least such lengths, of the first two, on a simulator:
 * the others are made of the same steps. */
static void long_transforms(void **state)
{
    (void)state;
    if (is_slow()) {
        check_transform(2048, 1, false, true);
        check_transform(1030, 2, true, false);
        return;
    }
    check_transform(4096, 1, false, true);
    check_transform(6000, 2, false, false);
    check_transform(4099, 1, false, false);
    check_transform(5002, 2, true, false);
}

/* Half a spectrum and back. */
static void long_round_trip(void **state)
{
    (void)state;
    const int64_t len = is_slow() ? 2048 : 3600;
    onnx_message g = {0}, there = onnx_node("DFT", "x", "s"), back = onnx_node("DFT", "s", "y");
    onnx_attr_int(&there, "onesided", 1);
    onnx_attr_int(&back, "onesided", 1);
    onnx_attr_int(&back, "inverse", 1);
    onnx_input(&g, "x", ONNX_DOUBLE, 2, (int64_t[]){len, 1});
    onnx_add(&g, &there);
    onnx_add(&g, &back);
    onnx_output(&g, "y", ONNX_DOUBLE);
    rig r;
    rig_open(&r, &g, 20);
    tern_onnx_value x = {.kind = TERN_ONNX_TENSOR, .tensor = numbers(&(tern_shape){.rank = 2, .dim = {len, 1}})}, y;
    MUST(tern_onnx_session_run(r.s, &x, &y));
    assert_int_equal(tern_tensor_elems(y.tensor), len);
    for (int64_t i = 0; i < len; i++)
        assert_true(fabs(((double *)tern_tensor_data(x.tensor))[i] - ((double *)tern_tensor_data(y.tensor))[i]) < 1e-10);
    tern_onnx_value_clear(&x);
    tern_onnx_value_clear(&y);
    rig_close(&r);
}

/* How often each class is drawn, and two nodes without a seed that draw differently. */
static void draws(void **state)
{
    (void)state;
    const int64_t n = is_slow() ? 2000 : 20000;
    const double chance = sqrt(20000.0 / (double)n); /* how much further from the mean fewer draws may be */
    onnx_message g = {0}, m = onnx_node("Multinomial", "x", "m"), u = onnx_node("RandomNormal", "", "u"), v = onnx_node("RandomNormal", "", "v");
    onnx_attr_int(&m, "sample_size", n);
    onnx_attr_ints(&u, "shape", 1, (int64_t[]){n});
    onnx_attr_ints(&v, "shape", 1, (int64_t[]){n});
    onnx_input(&g, "x", ONNX_FLOAT, 2, (int64_t[]){1, 3});
    onnx_add(&g, &m);
    onnx_add(&g, &u);
    onnx_add(&g, &v);
    onnx_output(&g, "m", ONNX_INT32);
    onnx_output(&g, "u", ONNX_FLOAT);
    onnx_output(&g, "v", ONNX_FLOAT);
    rig r;
    rig_open(&r, &g, 17);
    tern_onnx_value x = {.kind = TERN_ONNX_TENSOR}, y[3];
    MUST(tern_tensor_create(TERN_F32, &(tern_shape){.rank = 2, .dim = {1, 3}}, &x.tensor));
    for (int i = 0; i < 3; i++)
        ((float *)tern_tensor_data(x.tensor))[i] = (float)log(i + 1) + 5; /* 1 : 2 : 3, not normalised */
    MUST(tern_onnx_session_run(r.s, &x, y));
    double count[3] = {0}, sum = 0, square = 0, product = 0;
    for (int i = 0; i < n; i++) {
        const float a = ((float *)tern_tensor_data(y[1].tensor))[i], b = ((float *)tern_tensor_data(y[2].tensor))[i];
        count[((int32_t *)tern_tensor_data(y[0].tensor))[i]] += 1.0 / (double)n;
        sum += a / (double)n;
        square += a * a / (double)n;
        product += a * b / (double)n;
    }
    for (int i = 0; i < 3; i++)
        assert_true(fabs(count[i] - (i + 1) / 6.0) < 0.015 * chance);
    assert_true(fabs(sum) < 0.03 * chance && fabs(square - 1) < 0.05 * chance && fabs(product) < 0.03 * chance);
    for (int i = 0; i < 3; i++)
        tern_onnx_value_clear(&y[i]);
    tern_onnx_value_clear(&x);
    rig_close(&r);
}

/* y = a b + sin(b), its gradient, and the gradient's. */
static void gradients(void **state)
{
    (void)state;
    onnx_message g = {0}, mul = onnx_node("Mul", "a b", "ab"), sine = onnx_node("Sin", "b", "s"), add = onnx_node("Add", "ab s", "y");
    onnx_message first = onnx_node("ai.onnx.preview.training:Gradient", "a b", "da db"), second = onnx_node("ai.onnx.preview.training:Gradient", "b a", "dbb");
    onnx_attr_strings(&first, "xs", "a b");
    onnx_attr_string(&first, "y", "y");
    onnx_attr_strings(&second, "xs", "b");
    onnx_attr_strings(&second, "zs", "a");
    onnx_attr_string(&second, "y", "db");
    onnx_input(&g, "a", ONNX_DOUBLE, 1, (int64_t[]){2});
    onnx_input(&g, "b", ONNX_DOUBLE, 1, (int64_t[]){2});
    onnx_message *const nodes[] = {&mul, &sine, &add, &first, &second};
    for (int i = 0; i < 5; i++)
        onnx_add(&g, nodes[i]);
    onnx_output(&g, "da", ONNX_DOUBLE);
    onnx_output(&g, "db", ONNX_DOUBLE);
    onnx_output(&g, "dbb", ONNX_DOUBLE);
    rig r;
    rig_open(&r, &g, 17);
    tern_onnx_value in[2] = {{.kind = TERN_ONNX_TENSOR, .tensor = onnx_row_tensor("f64[2] 3 4")}, {.kind = TERN_ONNX_TENSOR, .tensor = onnx_row_tensor("f64[2] 0.5 2")}}, out[3];
    MUST(tern_onnx_session_run(r.s, in, out));
    const double a[2] = {3, 4}, b[2] = {0.5, 2};
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(((double *)tern_tensor_data(out[0].tensor))[i] - b[i]) < 1e-12);
        assert_true(fabs(((double *)tern_tensor_data(out[1].tensor))[i] - a[i] - cos(b[i])) < 1e-12);
        assert_true(fabs(((double *)tern_tensor_data(out[2].tensor))[i] + sin(b[i])) < 1e-12);
    }
    for (int i = 0; i < 3; i++)
        tern_onnx_value_clear(&out[i]);
    tern_onnx_value_clear(&in[0]);
    tern_onnx_value_clear(&in[1]);
    rig_close(&r);
}

/* A Gradient that is fed other values than those that y was made from has no meaning here. */
static void gradient_elsewhere(void **state)
{
    (void)state;
    onnx_message g = {0}, mul = onnx_node("Mul", "a a", "y"), d = onnx_node("ai.onnx.preview.training:Gradient", "b", "da");
    onnx_attr_strings(&d, "xs", "a");
    onnx_attr_string(&d, "y", "y");
    onnx_input(&g, "a", ONNX_FLOAT, 0, NULL);
    onnx_input(&g, "b", ONNX_FLOAT, 0, NULL);
    onnx_add(&g, &mul);
    onnx_add(&g, &d);
    onnx_output(&g, "da", ONNX_FLOAT);
    rig r;
    rig_open(&r, &g, 17);
    tern_onnx_value in[2] = {{.kind = TERN_ONNX_TENSOR, .tensor = onnx_row_tensor("f32[] 3")}, {.kind = TERN_ONNX_TENSOR, .tensor = onnx_row_tensor("f32[] 4")}}, out;
    assert_int_equal(tern_onnx_session_run(r.s, in, &out), TERN_E_UNSUPPORTED);
    assert_non_null(strstr(tern_last_error(), "another value than \"a\""));
    tern_onnx_value_clear(&in[0]);
    tern_onnx_value_clear(&in[1]);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_pointwise),
        cmocka_unit_test(check_reductions),
        cmocka_unit_test(check_losses),
        cmocka_unit_test(check_signals),
        cmocka_unit_test(long_transforms),
        cmocka_unit_test(long_round_trip),
        cmocka_unit_test(draws),
        cmocka_unit_test(gradients),
        cmocka_unit_test(gradient_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
