// The operator paddle_resnet_zero_pad, shortcut A: every stride-th pixel, with channels of zeros
// before and after its own.
//
// Paddle subsamples and pads in [N, C, H, W]: two transposes there and back on channels-last
// memory, for no arithmetic at all. Elements of any dtype are moved as bytes.
#include <cstring>
#include <stdexcept>
#include <vector>

#include "backward_counter.h"
#include "tensors.h"

namespace {

using paddle::Tensor;
using Tensors = std::vector<Tensor>;

// Calls fn(input pixel, output pixel) with indices; the output's is -1 where a pixel is dropped.
template <typename Fn>
void ForPixels(const std::vector<int64_t>& x, int64_t stride, Fn fn) {
  const int64_t h = x[1], w = x[2], oh = (h - 1) / stride + 1, ow = (w - 1) / stride + 1;
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < x[0] * h; ++row) {
    const int64_t n = row / h, y = row % h;
    for (int64_t column = 0; column < w; ++column) {
      const bool taken = y % stride == 0 && column % stride == 0;
      fn(row * w + column, taken ? (n * oh + y / stride) * ow + column / stride : -1);
    }
  }
}

Tensors ZeroPad(const Tensor& x, int stride, int before, int after) {
  return Guarded([&]() -> Tensors {
    const auto in = x.shape();
    const int64_t channels = before + in[3] + after;
    Tensor y = EmptyTensor({in[0], (in[1] - 1) / stride + 1, (in[2] - 1) / stride + 1, channels},
                           x.dtype());
    const size_t element_size = phi::SizeOf(x.dtype()), bytes = in[3] * element_size;
    const char* from = Data<char>(x);
    char* to = Data<char>(y);
    ForPixels(in, stride, [&](int64_t pixel, int64_t out) {
      if (out < 0) return;
      char* start = to + out * channels * element_size;
      std::memset(start, 0, before * element_size);
      std::memcpy(start + before * element_size, from + pixel * bytes, bytes);
      std::memset(start + before * element_size + bytes, 0, after * element_size);
    });
    return {y};
  });
}

Tensors ZeroPadGrad(const Tensor& x, const Tensor& dy, int stride, int before, int after) {
  ++backward_passes;
  return Guarded([&]() -> Tensors {
    if (dy.dtype() != x.dtype())
      throw std::runtime_error("a gradient of another dtype than its activation");
    const auto in = x.shape();
    Tensor dx = EmptyTensor(in, x.dtype());
    const size_t element_size = phi::SizeOf(x.dtype()), bytes = in[3] * element_size;
    const int64_t channels = before + in[3] + after;
    const char* from = Data<char>(dy);
    char* to = Data<char>(dx);
    ForPixels(in, stride, [&](int64_t pixel, int64_t out) {
      if (out < 0)
        std::memset(to + pixel * bytes, 0, bytes);
      else
        std::memcpy(to + pixel * bytes, from + (out * channels + before) * element_size, bytes);
    });
    return {dx};
  });
}

}  // namespace

PD_BUILD_OP(paddle_resnet_zero_pad)
    .Inputs({"X"})
    .Outputs({"Y"})
    .Attrs({"stride: int", "before: int", "after: int"})
    .SetKernelFn(PD_KERNEL(ZeroPad));

PD_BUILD_GRAD_OP(paddle_resnet_zero_pad)
    .Inputs({"X", paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .Attrs({"stride: int", "before: int", "after: int"})
    .SetKernelFn(PD_KERNEL(ZeroPadGrad));

// The operator is linear: its second derivative is itself, and that of x is zero.
Tensors ZeroPadSecond(const Tensor& x, const Tensor& ddx, int stride, int before, int after) {
  return Guarded([&]() -> Tensors {
    RefuseThirdDerivative();
    return {ZerosLike(x), ZeroPad(ddx, stride, before, after)[0]};
  });
}

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_zero_pad)
    .Inputs({"X", paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad("X"), paddle::Grad(paddle::Grad("Y"))})
    .Attrs({"stride: int", "before: int", "after: int"})
    .SetKernelFn(PD_KERNEL(ZeroPadSecond));
