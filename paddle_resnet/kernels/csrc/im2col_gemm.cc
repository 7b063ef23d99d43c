// Convolutions as matrix products (im2col + GEMM), for large weights on small activations.
//
// Weights larger than the cache take longer to reorder into oneDNN's layout, at each call and back
// for their gradient, than a small activation takes to convolve. A matrix product uses them as they
// are in Paddle, one row per output channel: pixels x weights^T. Kernels larger than 1x1 need
// im2col first, which is little work on small activations.
#include "im2col_gemm.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "onednn.h"
#include "scratch.h"
#include "im2col.h"

namespace {

// Computes c = op(a) * op(b), row-major without gaps: [m, k] and [k, n], or transposed.
void Gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
          const float* b, float* c) {
  const int status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a,
                                transpose_a ? m : k, b, transpose_b ? k : n, 0, c, n);
  if (status != 0) throw std::runtime_error("oneDNN: matrix product failed");
}

float* Im2colBuffer(const ConvShape& s) {
  static thread_local Scratch scratch;
  return static_cast<float*>(scratch.Get(Im2colBytes<float>(s)));
}

// Returns the input as [output pixels, channels * taps], taps innermost as in Paddle's weights.
const float* Im2col(const ConvShape& s, const float* x) {
  if (!NeedsIm2col(s)) return x;
  float* columns = Im2colBuffer(s);
  const int64_t taps = Taps(s), inputs = Inputs(s);
  ForTaps(s, x, [=](int64_t window, int64_t tap, const float* pixel) {
    float* to = columns + window * inputs + tap;
    for (int64_t i = 0; i < s.c; ++i) to[i * taps] = pixel ? pixel[i] : 0.0f;
  });
  return columns;
}

}  // namespace

bool KnownToGemm(const ConvShape& s) {
  return s.groups == 1 && (!NeedsIm2col(s) || Im2colBytes<float>(s) <= kMostIm2colBytes);
}

void GemmForward(const ConvShape& s, const float* x, const float* weight, float* y) {
  Gemm(false, true, Pixels(s), s.o, Inputs(s), Im2col(s, x), weight, y);
}

void GemmBackwardWeights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Gemm(true, false, s.o, Inputs(s), Pixels(s), dy, Im2col(s, x), dw);
}

void GemmBackwardData(const ConvShape& s, const float* dy, const float* weight, float* dx) {
  if (!NeedsIm2col(s)) return Gemm(false, false, Pixels(s), s.c, s.o, dy, weight, dx);
  float* columns = Im2colBuffer(s);
  const int64_t taps = Taps(s), inputs = Inputs(s), image = s.h * s.w * s.c;
  Gemm(false, false, Pixels(s), inputs, s.o, dy, weight, columns);
  // Windows overlap: one thread accumulates each image, in a fixed order.
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < s.n; ++n) {
    float* to = dx + n * image;
    std::fill_n(to, image, 0.0f);
    ConvShape one = s;
    one.n = 1;
    const float* from = columns + n * s.oh * s.ow * inputs;
    ForTaps(one, to, [=](int64_t window, int64_t tap, float* pixel) {
      if (!pixel) return;
      const float* gradient = from + window * inputs + tap;
      for (int64_t i = 0; i < s.c; ++i) pixel[i] += gradient[i * taps];
    });
  }
}
