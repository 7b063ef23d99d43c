// Max-pooling of activations in [N, H, W, C], and its gradient.
//
// Paddle's own CPU pooling expects [N, C, H, W]: an activation between two convolutions would be
// transposed twice, and again for its gradient, and it computes output by output on one core. Here
// the channels of a pixel are compared in one register, and the index of the maximum is stored in a
// byte: the gradient needs neither input nor output.
#include "pool.h"

#include <cstring>

#include "dtypes.h"

namespace {

struct Vectors {
  typedef Vector Float;
  typedef int32_t Int __attribute__((vector_size(4 * kWidth)));
  typedef uint8_t Byte __attribute__((vector_size(kWidth)));
  static Byte Narrow(Int value) { return __builtin_convertvector(value, Byte); }
  static Int Widen(Byte value) { return __builtin_convertvector(value, Int); }
};
// The same for a single element.
struct Scalars {
  typedef float Float;
  typedef int32_t Int;
  typedef uint8_t Byte;
  static Byte Narrow(Int value) { return value; }
  static Int Widen(Byte value) { return value; }
};

// A tap's index fits into a byte: kernels/max_pool.py allows no larger windows.
constexpr int64_t kMaxTaps = 225;

// The taps of one output pixel's window that are inside the image.
struct Taps {
  int64_t count = 0;
  uint8_t index[kMaxTaps];
  int64_t at[kMaxTaps];  // of the pixel's first channel in the image

  Taps(const PoolShape& s, int64_t oy, int64_t ox) {
    for (int64_t ky = 0; ky < s.window; ++ky) {
      const int64_t y = oy * s.stride - s.pad + ky;
      if (y < 0 || y >= s.h) continue;
      for (int64_t kx = 0; kx < s.window; ++kx) {
        const int64_t x = ox * s.stride - s.pad + kx;
        if (x < 0 || x >= s.w) continue;
        index[count] = ky * s.window + kx;
        at[count++] = (y * s.w + x) * s.c;
      }
    }
  }
};

template <typename T>
T LoadBytes(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void StoreBytes(uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// Calls fn(lanes, i) for all channels, with a register of channels or a single one at a time.
template <typename Fn>
inline void ForChannels(int64_t channels, Fn fn) {
  int64_t i = 0;
  for (; i + kWidth <= channels; i += kWidth) fn(Vectors(), i);
  for (; i < channels; ++i) fn(Scalars(), i);
}

}  // namespace

PoolShape::PoolShape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t window, int64_t stride,
                     int64_t pad, bool ceil)
    : n(n), h(h), w(w), c(c), window(window), stride(stride), pad(pad) {
  const int64_t more = 2 * pad - window + (ceil ? stride - 1 : 0);
  oh = (h + more) / stride + 1;
  ow = (w + more) / stride + 1;
}

template <typename DType>
void MaxPool(const PoolShape& s, const DType* x, DType* y, uint8_t* argmax_indices) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    const DType* image = x + row / s.oh * s.h * s.w * s.c;
    for (int64_t ox = 0; ox < s.ow; ++ox) {
      const Taps taps(s, row % s.oh, ox);
      const int64_t at_y = (row * s.ow + ox) * s.c;
      ForChannels(s.c, [&](auto lanes, int64_t i) {
        using L = decltype(lanes);
        auto best = Load<typename L::Float>(image + taps.at[0] + i);
        auto tap = typename L::Int{} + taps.index[0];
        for (int64_t t = 1; t < taps.count; ++t) {
          const auto value = Load<typename L::Float>(image + taps.at[t] + i);
          // As in Paddle: of equal values the first one wins, and a NaN is replaced by the next
          // value.
          tap = best >= value ? tap : typename L::Int{} + taps.index[t];
          best = best > value ? best : value;
        }
        Store(y + at_y + i, best);
        StoreBytes(argmax_indices + at_y + i, L::Narrow(tap));
      });
    }
  }
}

template <typename DType>
void MaxPoolGradient(const PoolShape& s, const DType* dy, const uint8_t* argmax_indices,
                     DType* dx) {
  // Disjoint windows that cover the input: every element is written once.
  const bool tiled =
      s.window == s.stride && s.pad == 0 && s.oh * s.stride == s.h && s.ow * s.stride == s.w;
  // Where windows overlap, one thread accumulates each image, in a fixed order.
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < s.n; ++n) {
    DType* image = dx + n * s.h * s.w * s.c;
    if (!tiled) std::memset(image, 0, s.h * s.w * s.c * sizeof(DType));
    for (int64_t pixel = 0; pixel < s.oh * s.ow; ++pixel) {
      const Taps taps(s, pixel / s.ow, pixel % s.ow);
      const int64_t at_y = (n * s.oh * s.ow + pixel) * s.c;
      ForChannels(s.c, [&](auto lanes, int64_t i) {
        using L = decltype(lanes);
        const auto gradient = Load<typename L::Float>(dy + at_y + i);
        const auto tap = L::Widen(LoadBytes<typename L::Byte>(argmax_indices + at_y + i));
        for (int64_t t = 0; t < taps.count; ++t) {
          DType* sum = image + taps.at[t] + i;
          const auto share = tap == taps.index[t] ? gradient : typename L::Float{};
          Store(sum, tiled ? share : Load<typename L::Float>(sum) + share);
        }
      });
    }
  }
}

template <typename DType>
void GatherArgmax(const PoolShape& s, const DType* x, const uint8_t* argmax_indices, DType* y) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    const DType* image = x + row / s.oh * s.h * s.w * s.c;
    for (int64_t at = row * s.ow * s.c; at < (row + 1) * s.ow * s.c; ++at) {
      const int64_t ox = at / s.c % s.ow, tap = argmax_indices[at];
      const int64_t py = row % s.oh * s.stride - s.pad + tap / s.window;
      const int64_t px = ox * s.stride - s.pad + tap % s.window;
      y[at] = image[(py * s.w + px) * s.c + at % s.c];
    }
  }
}

template void MaxPool(const PoolShape&, const float*, float*, uint8_t*);
template void MaxPool(const PoolShape&, const BFloat16*, BFloat16*, uint8_t*);
template void MaxPoolGradient(const PoolShape&, const float*, const uint8_t*, float*);
template void MaxPoolGradient(const PoolShape&, const BFloat16*, const uint8_t*, BFloat16*);
template void GatherArgmax(const PoolShape&, const float*, const uint8_t*, float*);
template void GatherArgmax(const PoolShape&, const BFloat16*, const uint8_t*, BFloat16*);
