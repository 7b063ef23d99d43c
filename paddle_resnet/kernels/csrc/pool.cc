// Max-pooling of maps in [N, H, W, C], and its gradient.
//
// Paddle's own pooling on a CPU wants [N, C, H, W]: a map between two convolutions would be re-laid
// twice, and again for its gradient, and each output is then found one by one on one core. Here the
// channels of a pixel are compared side by side, and the number of the tap that won is kept in a
// byte: the gradient is read off it, without the input and the output.
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
// The same for a single number.
struct Scalars {
  typedef float Float;
  typedef int32_t Int;
  typedef uint8_t Byte;
  static Byte Narrow(Int value) { return value; }
  static Int Widen(Byte value) { return value; }
};

// A tap's number fits into a byte: kernels/max_pool.py asks for no larger windows.
constexpr int64_t kMostTaps = 225;

// The taps of one output pixel's window that are inside the image.
struct Taps {
  int64_t count = 0;
  uint8_t number[kMostTaps];
  int64_t at[kMostTaps];  // of the pixel's first channel in the image

  Taps(const PoolShape& s, int64_t oy, int64_t ox) {
    for (int64_t ky = 0; ky < s.window; ++ky) {
      const int64_t y = oy * s.stride - s.pad + ky;
      if (y < 0 || y >= s.h) continue;
      for (int64_t kx = 0; kx < s.window; ++kx) {
        const int64_t x = ox * s.stride - s.pad + kx;
        if (x < 0 || x >= s.w) continue;
        number[count] = ky * s.window + kx;
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

// Calls one(Numbers(), i) for all channels, with as many numbers side by side as a register holds.
template <typename One>
inline void ForChannels(int64_t channels, One one) {
  int64_t i = 0;
  for (; i + kWidth <= channels; i += kWidth) one(Vectors(), i);
  for (; i < channels; ++i) one(Scalars(), i);
}

}  // namespace

PoolShape::PoolShape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t window, int64_t stride,
                     int64_t pad, bool ceil)
    : n(n), h(h), w(w), c(c), window(window), stride(stride), pad(pad) {
  const int64_t more = 2 * pad - window + (ceil ? stride - 1 : 0);
  oh = (h + more) / stride + 1;
  ow = (w + more) / stride + 1;
}

template <typename Number>
void MaxPool(const PoolShape& s, const Number* x, Number* y, uint8_t* winners) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    const Number* image = x + row / s.oh * s.h * s.w * s.c;
    for (int64_t ox = 0; ox < s.ow; ++ox) {
      const Taps taps(s, row % s.oh, ox);
      const int64_t at_y = (row * s.ow + ox) * s.c;
      ForChannels(s.c, [&](auto numbers, int64_t i) {
        using N = decltype(numbers);
        auto best = Load<typename N::Float>(image + taps.at[0] + i);
        auto tap = typename N::Int{} + taps.number[0];
        for (int64_t t = 1; t < taps.count; ++t) {
          const auto value = Load<typename N::Float>(image + taps.at[t] + i);
          // Of equal values the first one wins; NaN loses against what comes next: as in Paddle.
          tap = best >= value ? tap : typename N::Int{} + taps.number[t];
          best = best > value ? best : value;
        }
        Store(y + at_y + i, best);
        StoreBytes(winners + at_y + i, N::Narrow(tap));
      });
    }
  }
}

template <typename Number>
void MaxPoolGradient(const PoolShape& s, const Number* dy, const uint8_t* winners, Number* dx) {
  // Windows side by side that leave nothing out: every pixel is written once.
  const bool tiled =
      s.window == s.stride && s.pad == 0 && s.oh * s.stride == s.h && s.ow * s.stride == s.w;
  // Where they overlap, each image is added up by one thread, in a fixed order.
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < s.n; ++n) {
    Number* image = dx + n * s.h * s.w * s.c;
    if (!tiled) std::memset(image, 0, s.h * s.w * s.c * sizeof(Number));
    for (int64_t pixel = 0; pixel < s.oh * s.ow; ++pixel) {
      const Taps taps(s, pixel / s.ow, pixel % s.ow);
      const int64_t at_y = (n * s.oh * s.ow + pixel) * s.c;
      ForChannels(s.c, [&](auto numbers, int64_t i) {
        using N = decltype(numbers);
        const auto gradient = Load<typename N::Float>(dy + at_y + i);
        const auto tap = N::Widen(LoadBytes<typename N::Byte>(winners + at_y + i));
        for (int64_t t = 0; t < taps.count; ++t) {
          Number* sum = image + taps.at[t] + i;
          const auto share = tap == taps.number[t] ? gradient : typename N::Float{};
          Store(sum, tiled ? share : Load<typename N::Float>(sum) + share);
        }
      });
    }
  }
}

template <typename Number>
void TakeWinners(const PoolShape& s, const Number* x, const uint8_t* winners, Number* y) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    const Number* image = x + row / s.oh * s.h * s.w * s.c;
    for (int64_t at = row * s.ow * s.c; at < (row + 1) * s.ow * s.c; ++at) {
      const int64_t ox = at / s.c % s.ow, tap = winners[at];
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
template void TakeWinners(const PoolShape&, const float*, const uint8_t*, float*);
template void TakeWinners(const PoolShape&, const BFloat16*, const uint8_t*, BFloat16*);
