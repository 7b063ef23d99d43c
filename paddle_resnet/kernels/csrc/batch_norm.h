// Batch normalisation, sum and ReLU over maps seen as [rows, channels], rows = N * H * W.
//
// The numbers of a map are float or BFloat16; statistics and constants of channels are float.
#pragma once

#include <cstdint>
#include <vector>

#include "dtypes.h"

// A map, and how its rows are looked at: see batch_norm.cc.
struct Rows {
  int64_t rows, channels;
};

// What normalisation does to each channel: (x - mean) * scale + shift.
struct Norm {
  const float *mean, *scale, *shift;
};

// Mean and (biased) variance of each channel.
template <typename Number>
void ChannelStatistics(Rows, const Number* x, float* mean, float* variance);

// y = act(norm(x) + residual); `residual` may be null, `y` may be `x`.
template <typename Number>
void Normalize(Rows, const Number* x, const Norm&, const Number* residual, bool relu, Number* y);

// Where the ReLU let a gradient through: nowhere asked (no ReLU), where the output `y` is above
// zero, or, without a residual, where norm(x) is, which saves reading y.
template <typename Number>
struct Mask {
  bool relu;
  const Number* y;
};

// g = dy, masked. Sums g and g * (x - mean) over the rows, and writes g where `g` is not null.
template <typename Number>
void BackwardSums(Rows, const Number* dy, const Mask<Number>&, const Number* x, const Norm&,
                  Number* g, float* sum_g, float* sum_gx);

// dx = a * g + b * (x - mean) + c with one a, b, c for each channel, g as above.
template <typename Number>
void BackwardInput(Rows, const Number* dy, const Mask<Number>&, const Number* x, const Norm&,
                   const float* a, const float* b, const float* c, Number* dx);

// y = x, in the other kind of numbers.
template <typename From, typename To>
void Convert(int64_t count, const From* x, To* y);

// sum = a + b, number by number.
template <typename Number>
void Add(int64_t count, const Number* a, const Number* b, Number* sum);
