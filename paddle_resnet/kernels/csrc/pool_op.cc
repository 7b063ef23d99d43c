// Max-pooling as Paddle sees it.
#include <stdexcept>
#include <vector>

#include "dtypes.h"
#include "backward_counter.h"
#include "pool.h"
#include "tensors.h"

namespace {

using paddle::Tensor;
using Tensors = std::vector<Tensor>;

PoolShape Shape(const Tensor& x, int window, int stride, int pad, bool ceil) {
  const auto sides = x.shape();
  return {sides[0], sides[1], sides[2], sides[3], window, stride, pad, ceil};
}

template <typename Number>
void Forward(const PoolShape& s, const Tensor& x, Tensor& y, Tensor& winners) {
  MaxPool(s, In<Number>(x), In<Number>(y), In<uint8_t>(winners));
}

template <typename Number>
void Backward(const PoolShape& s, const Tensor& dy, const Tensor& winners, Tensor& dx) {
  MaxPoolGradient(s, In<Number>(dy), In<uint8_t>(winners), In<Number>(dx));
}

Tensors Pooled(const Tensor& x, int window, int stride, int pad, bool ceil) {
  return Guarded([&]() -> Tensors {
    const auto s = Shape(x, window, stride, pad, ceil);
    const std::vector<int64_t> shape = {s.n, s.oh, s.ow, s.c};
    Tensor y = EmptyTensor(shape, x.dtype());
    Tensor winners = EmptyTensor(shape, paddle::DataType::UINT8);
    (IsBFloat16(x) ? Forward<BFloat16> : Forward<float>)(s, x, y, winners);
    return {y, winners};
  });
}

Tensors PooledGrad(const Tensor& x, const Tensor& winners, const Tensor& dy, int window,
                   int stride, int pad, bool ceil) {
  ++backward_passes;
  return Guarded([&]() -> Tensors {
    if (dy.dtype() != x.dtype())
      throw std::runtime_error("a gradient of another dtype than its map");
    Tensor dx = EmptyTensor(x.shape(), x.dtype());
    const auto s = Shape(x, window, stride, pad, ceil);
    (IsBFloat16(x) ? Backward<BFloat16> : Backward<float>)(s, dy, winners, dx);
    return {dx};
  });
}

template <typename Number>
void Picked(const PoolShape& s, const Tensor& ddx, const Tensor& winners, Tensor& ddy) {
  TakeWinners(s, In<Number>(ddx), In<uint8_t>(winners), In<Number>(ddy));
}

// The gradient of the gradient: of each window, the number at the winner's place.
Tensors PooledSecond(const Tensor& x, const Tensor& winners, const Tensor& ddx, int window, int stride, int pad,
                     bool ceil) {
  return Guarded([&]() -> Tensors {
    RefuseThirdDerivative();
    Tensor ddy = EmptyTensor(winners.shape(), ddx.dtype());
    const auto s = Shape(ddx, window, stride, pad, ceil);
    (IsBFloat16(ddx) ? Picked<BFloat16> : Picked<float>)(s, ddx, winners, ddy);
    return {ZerosLike(x), ZerosLike(winners), ddy};
  });
}

}  // namespace

PD_BUILD_OP(paddle_resnet_max_pool)
    .Inputs({"X"})
    .Outputs({"Y", "Winners"})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(Pooled));

PD_BUILD_GRAD_OP(paddle_resnet_max_pool)
    .Inputs({"X", "Winners", paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(PooledGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_max_pool)
    .Inputs({"X", "Winners", paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad("X"), paddle::Grad("Winners"), paddle::Grad(paddle::Grad("Y"))})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(PooledSecond));
