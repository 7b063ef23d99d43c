// The operator paddle_resnet_max_pool, as Paddle calls it.
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

template <typename DType>
void Forward(const PoolShape& s, const Tensor& x, Tensor& y, Tensor& argmax_indices) {
  MaxPool(s, Data<DType>(x), Data<DType>(y), Data<uint8_t>(argmax_indices));
}

template <typename DType>
void Backward(const PoolShape& s, const Tensor& dy, const Tensor& argmax_indices, Tensor& dx) {
  MaxPoolGradient(s, Data<DType>(dy), Data<uint8_t>(argmax_indices), Data<DType>(dx));
}

Tensors Pooled(const Tensor& x, int window, int stride, int pad, bool ceil) {
  return Guarded([&]() -> Tensors {
    const auto s = Shape(x, window, stride, pad, ceil);
    const std::vector<int64_t> shape = {s.n, s.oh, s.ow, s.c};
    Tensor y = EmptyTensor(shape, x.dtype());
    Tensor argmax_indices = EmptyTensor(shape, paddle::DataType::UINT8);
    (IsBFloat16(x) ? Forward<BFloat16> : Forward<float>)(s, x, y, argmax_indices);
    return {y, argmax_indices};
  });
}

Tensors PooledGrad(const Tensor& x, const Tensor& argmax_indices, const Tensor& dy, int window,
                   int stride, int pad, bool ceil) {
  ++backward_passes;
  return Guarded([&]() -> Tensors {
    if (dy.dtype() != x.dtype())
      throw std::runtime_error("a gradient of another dtype than its activation");
    Tensor dx = EmptyTensor(x.shape(), x.dtype());
    const auto s = Shape(x, window, stride, pad, ceil);
    (IsBFloat16(x) ? Backward<BFloat16> : Backward<float>)(s, dy, argmax_indices, dx);
    return {dx};
  });
}

template <typename DType>
void Gathered(const PoolShape& s, const Tensor& ddx, const Tensor& argmax_indices, Tensor& ddy) {
  GatherArgmax(s, Data<DType>(ddx), Data<uint8_t>(argmax_indices), Data<DType>(ddy));
}

// The second derivative: of each window, the element at the index of the maximum.
Tensors PooledSecond(const Tensor& x, const Tensor& argmax_indices, const Tensor& ddx, int window,
                     int stride, int pad, bool ceil) {
  return Guarded([&]() -> Tensors {
    RefuseThirdDerivative();
    Tensor ddy = EmptyTensor(argmax_indices.shape(), ddx.dtype());
    const auto s = Shape(ddx, window, stride, pad, ceil);
    (IsBFloat16(ddx) ? Gathered<BFloat16> : Gathered<float>)(s, ddx, argmax_indices, ddy);
    return {ZerosLike(x), ZerosLike(argmax_indices), ddy};
  });
}

}  // namespace

PD_BUILD_OP(paddle_resnet_max_pool)
    .Inputs({"X"})
    .Outputs({"Y", "ArgmaxIndices"})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(Pooled));

PD_BUILD_GRAD_OP(paddle_resnet_max_pool)
    .Inputs({"X", "ArgmaxIndices", paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(PooledGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_max_pool)
    .Inputs({"X", "ArgmaxIndices", paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad("X"), paddle::Grad("ArgmaxIndices"), paddle::Grad(paddle::Grad("Y"))})
    .Attrs({"window: int", "stride: int", "pad: int", "ceil: bool"})
    .SetKernelFn(PD_KERNEL(PooledSecond));
