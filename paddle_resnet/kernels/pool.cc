// Max-pooling of maps in [N, H, W, C], and its gradient.
//
// Paddle's own pooling on a CPU wants [N, C, H, W]: a map between two convolutions would be re-laid
// twice, and again for its gradient, and each output is then found one by one on one core. Here the
// channels of a pixel are compared side by side, and the number of the tap that won is kept in a
// byte: the gradient is read off it, without the input and the output.
#include <cstdint>
#include <cstring>
#include <vector>

#include "numbers.h"
#include "passes.h"
#include "paddle/extension.h"

namespace {

using paddle::Tensor;

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

// A tap's number fits into a byte: kernels/pool.py asks for no larger windows.
constexpr int64_t kMostTaps = 225;

struct PoolShape {
  int64_t n, h, w, c, oh, ow, window, stride, pad;
};

int64_t OutputSize(int64_t size, int window, int stride, int pad, bool ceil) {
  return (size + 2 * pad - window + (ceil ? stride - 1 : 0)) / stride + 1;
}

PoolShape Shape(const std::vector<int64_t>& x, int window, int stride, int pad, bool ceil) {
  return {x[0], x[1], x[2], x[3], OutputSize(x[1], window, stride, pad, ceil),
          OutputSize(x[2], window, stride, pad, ceil), window, stride, pad};
}

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

// The numbers of x, as they lie in memory.
template <typename Number>
const Number* In(const Tensor& x) {
  return static_cast<const Number*>(x.data());
}

template <typename Number>
std::vector<Tensor> Pooled(const Tensor& x, int window, int stride, int pad, bool ceil) {
  const auto s = Shape(x.shape(), window, stride, pad, ceil);
  const std::vector<int64_t> shape = {s.n, s.oh, s.ow, s.c};
  Tensor y = paddle::empty(shape, x.dtype(), paddle::CPUPlace());
  Tensor winners = paddle::empty(shape, paddle::DataType::UINT8, paddle::CPUPlace());
  const Number* from = In<Number>(x);
  Number* to = static_cast<Number*>(y.data());
  uint8_t* won = winners.data<uint8_t>();
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    const Number* image = from + row / s.oh * s.h * s.w * s.c;
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
        Store(to + at_y + i, best);
        StoreBytes(won + at_y + i, N::Narrow(tap));
      });
    }
  }
  return {y, winners};
}

template <typename Number>
std::vector<Tensor> Unpooled(const Tensor& x, const Tensor& winners, const Tensor& dy, int window,
                             int stride, int pad, bool ceil) {
  const auto s = Shape(x.shape(), window, stride, pad, ceil);
  if (dy.dtype() != x.dtype())
    PD_THROW("paddle_resnet's CPU operator: a gradient of another dtype than its map");
  Tensor dx = paddle::empty(x.shape(), x.dtype(), paddle::CPUPlace());
  const Number* from = In<Number>(dy);
  const uint8_t* won = winners.data<uint8_t>();
  Number* to = static_cast<Number*>(dx.data());
  // Windows side by side that leave nothing out: every pixel is written once.
  const bool tiled = window == stride && pad == 0 && s.oh * stride == s.h && s.ow * stride == s.w;
  // Where they overlap, each image is added up by one thread, in a fixed order.
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < s.n; ++n) {
    Number* image = to + n * s.h * s.w * s.c;
    if (!tiled) std::memset(image, 0, s.h * s.w * s.c * sizeof(Number));
    for (int64_t pixel = 0; pixel < s.oh * s.ow; ++pixel) {
      const Taps taps(s, pixel / s.ow, pixel % s.ow);
      const int64_t at_y = (n * s.oh * s.ow + pixel) * s.c;
      ForChannels(s.c, [&](auto numbers, int64_t i) {
        using N = decltype(numbers);
        const auto gradient = Load<typename N::Float>(from + at_y + i);
        const auto tap = N::Widen(LoadBytes<typename N::Byte>(won + at_y + i));
        for (int64_t t = 0; t < taps.count; ++t) {
          Number* sum = image + taps.at[t] + i;
          const auto share = tap == taps.number[t] ? gradient : typename N::Float{};
          Store(sum, tiled ? share : Load<typename N::Float>(sum) + share);
        }
      });
    }
  }
  return {dx};
}

bool IsBFloat16(const Tensor& x) { return x.dtype() == paddle::DataType::BFLOAT16; }

std::vector<Tensor> MaxPool(const Tensor& x, int window, int stride, int pad, bool ceil) {
  return IsBFloat16(x) ? Pooled<BFloat16>(x, window, stride, pad, ceil)
                       : Pooled<float>(x, window, stride, pad, ceil);
}

std::vector<Tensor> MaxPoolGrad(const Tensor& x, const Tensor& winners, const Tensor& dy,
                                int window, int stride, int pad, bool ceil) {
  ++backward_passes;
  return IsBFloat16(x) ? Unpooled<BFloat16>(x, winners, dy, window, stride, pad, ceil)
                       : Unpooled<float>(x, winners, dy, window, stride, pad, ceil);
}

}  // namespace

PD_BUILD_OP(paddle_resnet_max_pool)
    .Inputs({"X"})
    .Outputs({"Y", "Winners"})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(MaxPool));

PD_BUILD_GRAD_OP(paddle_resnet_max_pool)
    .Inputs({"X", "Winners", paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(MaxPoolGrad));
