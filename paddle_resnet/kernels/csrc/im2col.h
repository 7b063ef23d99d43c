// The windows of a convolution, for im2col and its transpose.
#pragma once

#include "conv.h"

inline int64_t Pixels(const ConvShape& s) { return s.n * s.oh * s.ow; }
inline int64_t Taps(const ConvShape& s) { return s.kh * s.kw; }
inline int64_t Inputs(const ConvShape& s) { return s.c * Taps(s); }

// False for 1x1 kernels with stride 1 and no padding, whose input is the im2col matrix already.
inline bool NeedsIm2col(const ConvShape& s) { return Taps(s) > 1 || s.stride > 1 || s.pad > 0; }

// The size of the im2col matrix. Above the limit a matrix product is no candidate: it would keep a
// buffer larger than the activations are.
template <typename DType>
int64_t Im2colBytes(const ConvShape& s) {
  return Pixels(s) * Inputs(s) * int64_t{sizeof(DType)};
}
constexpr int64_t kMostIm2colBytes = 1 << 25;

// Calls fn(window, tap, pixel) for all windows and taps: `pixel` points to the channels of the
// input pixel under that tap, or is null in the padding.
template <typename T, typename Fn>
void ForTaps(const ConvShape& s, T* x, Fn fn) {
  const int64_t rows = s.n * s.oh;
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / s.oh, oy = row % s.oh;
    for (int64_t ox = 0; ox < s.ow; ++ox)
      for (int64_t ky = 0; ky < s.kh; ++ky)
        for (int64_t kx = 0; kx < s.kw; ++kx) {
          const int64_t y = oy * s.stride - s.pad + ky * s.dilation;
          const int64_t at = ox * s.stride - s.pad + kx * s.dilation;
          const bool inside = y >= 0 && y < s.h && at >= 0 && at < s.w;
          fn(row * s.ow + ox, ky * s.kw + kx,
             inside ? x + ((n * s.h + y) * s.w + at) * s.c : nullptr);
        }
  }
}
