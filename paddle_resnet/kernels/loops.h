// Batch normalisation, sum and ReLU over maps seen as [rows, channels], rows = N * H * W.
#pragma once

#include <cstdint>
#include <vector>

// A map, and how its rows are looked at: see loops.cc.
struct Rows {
  int64_t rows, channels;
};

// What normalisation does to each channel: (x - mean) * scale + shift.
struct Norm {
  const float *mean, *scale, *shift;
};

// Mean and (biased) variance of each channel.
void ChannelStatistics(Rows, const float* x, float* mean, float* variance);

// y = act(norm(x) + residual); `residual` may be null, `y` may be `x`.
void Normalize(Rows, const float* x, const Norm&, const float* residual, bool relu, float* y);

// Where the ReLU let a gradient through: nowhere asked (no ReLU), where the output `y` is above
// zero, or, without a residual, where norm(x) is, which saves reading y.
struct Mask {
  bool relu;
  const float* y;
};

// g = dy, masked. Sums g and g * (x - mean) over the rows, and writes g where `g` is not null.
void BackwardSums(Rows, const float* dy, const Mask&, const float* x, const Norm&, float* g,
                  float* sum_g, float* sum_gx);

// dx = a * g + b * (x - mean) + c with one a, b, c for each channel, g as above.
void BackwardInput(Rows, const float* dy, const Mask&, const float* x, const Norm&, const float* a,
                   const float* b, const float* c, float* dx);
