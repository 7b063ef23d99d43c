// Convolutions as matrix products, for large weights on small maps.
//
// Weights that do not fit into the cache cost more to bring into oneDNN's layout, at each call and
// back again for their gradient, than a small map costs to convolve. A product takes them as they
// are in Paddle, one row per output channel: pixels x weights^T. Windows of more than one pixel are
// unfolded first, which is little work where the maps are small.
#include "batched_gemm.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "onednn.h"
#include "scratch.h"
#include "windows.h"

namespace {

// c = op(a) * op(b), all by rows without gaps: [m, k] and [k, n], or transposed.
void Product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a,
             const float* b, float* c) {
  const int status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a,
                                transpose_a ? m : k, b, transpose_b ? k : n, 0, c, n);
  if (status != 0) throw std::runtime_error("oneDNN: matrix product failed");
}

float* Windows(const ConvShape& s) {
  static thread_local Scratch scratch;
  return static_cast<float*>(scratch.Get(Pixels(s) * Inputs(s) * sizeof(float)));
}

// The input as [pixels of the output, channels * taps], the taps of a channel side by side as in
// Paddle's weights.
const float* Unfold(const ConvShape& s, const float* x) {
  if (!Unfolded(s)) return x;
  float* windows = Windows(s);
  const int64_t taps = Taps(s), inputs = Inputs(s);
  ForTaps(s, x, [=](int64_t window, int64_t tap, const float* pixel) {
    float* to = windows + window * inputs + tap;
    for (int64_t i = 0; i < s.c; ++i) to[i * taps] = pixel ? pixel[i] : 0.0f;
  });
  return windows;
}

}  // namespace

bool BetterAsProduct(const ConvShape& s) {
  // Found by measuring the layers of ResNet-50 at several sizes, see `benchmark step --profile`.
  const bool large_weights = s.o * Inputs(s) >= 1 << 18;
  return s.groups == 1 && large_weights &&
         (Pixels(s) <= 512 || (!Unfolded(s) && s.c >= s.o));
}

void ProductForward(const ConvShape& s, const float* x, const float* weight, float* y) {
  Product(false, true, Pixels(s), s.o, Inputs(s), Unfold(s, x), weight, y);
}

void ProductBackwardWeights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Product(true, false, s.o, Inputs(s), Pixels(s), dy, Unfold(s, x), dw);
}

void ProductBackwardData(const ConvShape& s, const float* dy, const float* weight, float* dx) {
  if (!Unfolded(s)) return Product(false, false, Pixels(s), s.c, s.o, dy, weight, dx);
  float* windows = Windows(s);
  const int64_t taps = Taps(s), inputs = Inputs(s), image = s.h * s.w * s.c;
  Product(false, false, Pixels(s), inputs, s.o, dy, weight, windows);
  // Windows overlap: each image is added up by one thread, in a fixed order.
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < s.n; ++n) {
    float* to = dx + n * image;
    std::fill_n(to, image, 0.0f);
    ConvShape one = s;
    one.n = 1;
    const float* from = windows + n * s.oh * s.ow * inputs;
    ForTaps(one, to, [=](int64_t window, int64_t tap, float* pixel) {
      if (!pixel) return;
      const float* gradient = from + window * inputs + tap;
      for (int64_t i = 0; i < s.c; ++i) pixel[i] += gradient[i * taps];
    });
  }
}
