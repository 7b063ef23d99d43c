// Batch norm, sum and activation function, over activations seen as [rows, channels],
// rows = N * H * W.
//
// Activations are float or BFloat16; statistics and constants of channels are float.
#pragma once

#include <cstdint>
#include <vector>

#include "activation_functions.h"
#include "dtypes.h"

// The shape of an activation seen as a matrix.
struct MatrixShape {
  int64_t rows, channels;
};

// A normalization per channel: (x - mean) * scale + shift.
struct Norm {
  const float *mean, *scale, *shift;
};

// Computes mean and (biased) variance of each channel.
template <typename DType>
void ChannelStatistics(MatrixShape, const DType* x, float* mean, float* variance);

// Computes y = act(norm(x) + residual). `residual` may be null, `y` may be `x`.
template <typename DType>
void Normalize(MatrixShape, const DType* x, const Norm&, const DType* residual, Act,
               DType* y);

// How a gradient passes the activation function. With a residual, `kept` is the output for ReLU,
// which passes the gradient where that is positive, and the residual itself for smooth functions,
// which multiply it by the derivative at norm(x) + residual. Without a residual it is null: norm(x)
// is all that is needed, which saves reading more.
template <typename DType>
struct Passing {
  Act act;
  const DType* kept;
};

// Computes g = dy passed, and per channel the sums of g and of g * (x - mean). Writes g unless
// null.
template <typename DType>
void BackwardSums(MatrixShape, const DType* dy, const Passing<DType>&, const DType* x, const Norm&,
                  DType* g, float* sum_g, float* sum_gx);

// Computes dx = a * g + b * (x - mean) + c with constants per channel, g as above.
template <typename DType>
void BackwardInput(MatrixShape, const DType* dy, const Passing<DType>&, const DType* x, const Norm&,
                   const float* a, const float* b, const float* c, DType* dx);

// Computes y = x in the other dtype.
template <typename From, typename To>
void Cast(int64_t count, const From* x, To* y);

// Computes sum = a + b per element.
template <typename DType>
void Add(int64_t count, const DType* a, const DType* b, DType* sum);
