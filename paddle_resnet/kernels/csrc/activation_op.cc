// Operators on activations between layers: cast between float32 and bfloat16, and branch into two.
//
// Paddle's own bfloat16 versions on a CPU are scalar loops: its cast takes three times as long as
// the memory traffic needs and, before Paddle 3, truncates instead of rounding, which biases sums
// of gradients towards zero.
#include <stdexcept>
#include <vector>

#include "backward_counter.h"
#include "batch_norm.h"
#include "tensors.h"

namespace {

using paddle::DataType;
using paddle::Tensor;
using Tensors = std::vector<Tensor>;

Tensor EmptyLike(const Tensor& x, DataType dtype) { return EmptyTensor(x.shape(), dtype); }

}  // namespace

// Casts float32 to bfloat16 and bfloat16 to float32. The gradient is cast the other way.
Tensors CastOp(const Tensor& x) {
  return Guarded([&]() -> Tensors {
    if (x.dtype() == DataType::BFLOAT16) {
      Tensor y = EmptyLike(x, DataType::FLOAT32);
      Cast(x.numel(), static_cast<const BFloat16*>(x.data()), y.data<float>());
      return {y};
    }
    Tensor y = EmptyLike(x, DataType::BFLOAT16);
    Cast(x.numel(), x.data<float>(), static_cast<BFloat16*>(y.data()));
    return {y};
  });
}

// Returns two tensors on the memory of x, one per consumer.
Tensors Branch(const Tensor& x) { return {Tensor(x.impl()), Tensor(x.impl())}; }

// Returns the sum of both gradients. The tensor of a consumer without gradient has no impl().
Tensors BranchGrad(const Tensor& a, const Tensor& b) {
  if (!a.impl() || !b.impl()) return {Tensor((a.impl() ? a : b).impl())};
  return Guarded([&]() -> Tensors {
    if (a.dtype() != DataType::BFLOAT16 || b.dtype() != DataType::BFLOAT16)
      throw std::runtime_error("gradients of a bfloat16 activation must be bfloat16");
    Tensor sum = EmptyLike(a, DataType::BFLOAT16);
    Add(a.numel(), static_cast<const BFloat16*>(a.data()), static_cast<const BFloat16*>(b.data()),
        static_cast<BFloat16*>(sum.data()));
    return {sum};
  });
}

PD_BUILD_OP(paddle_resnet_convert).Inputs({"X"}).Outputs({"Y"}).SetKernelFn(PD_KERNEL(CastOp));

PD_BUILD_GRAD_OP(paddle_resnet_convert)
    .Inputs({paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .SetKernelFn(PD_KERNEL(CastOp));

// Both operators are linear: the second derivative is the operator itself.
Tensors CastSecond(const Tensor& ddx) {
  return Guarded([&] {
    RefuseThirdDerivative();
    return CastOp(ddx);
  });
}

Tensors BranchSecond(const Tensor& ddx) {
  return Guarded([&] {
    RefuseThirdDerivative();
    return Branch(ddx);
  });
}

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_convert)
    .Inputs({paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad(paddle::Grad("Y"))})
    .SetKernelFn(PD_KERNEL(CastSecond));

PD_BUILD_OP(paddle_resnet_branch).Inputs({"X"}).Outputs({"A", "B"}).SetKernelFn(PD_KERNEL(Branch));

PD_BUILD_GRAD_OP(paddle_resnet_branch)
    .Inputs({paddle::Grad("A"), paddle::Grad("B")})
    .Outputs({paddle::Grad("X")})
    .SetKernelFn(PD_KERNEL(BranchGrad));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_branch)
    .Inputs({paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad(paddle::Grad("A")), paddle::Grad(paddle::Grad("B"))})
    .SetKernelFn(PD_KERNEL(BranchSecond));
