// What is done to maps between units: converted, and read twice.
//
// Paddle has both, for bfloat16 on a CPU number by number: it converts in three times the time that
// the memory takes and, before Paddle 3, cuts digits off instead of rounding, so that each sum of
// gradients would come out a little too small.
#include <stdexcept>
#include <vector>

#include "backward_counter.h"
#include "batch_norm.h"
#include "tensors.h"

namespace {

using paddle::DataType;
using paddle::Tensor;
using Tensors = std::vector<Tensor>;

Tensor Like(const Tensor& x, DataType numbers) { return EmptyTensor(x.shape(), numbers); }

}  // namespace

// float32 becomes bfloat16, bfloat16 becomes float32; so does the gradient.
Tensors Converted(const Tensor& x) {
  return Guarded([&]() -> Tensors {
    if (x.dtype() == DataType::BFLOAT16) {
      Tensor y = Like(x, DataType::FLOAT32);
      Convert(x.numel(), static_cast<const BFloat16*>(x.data()), y.data<float>());
      return {y};
    }
    Tensor y = Like(x, DataType::BFLOAT16);
    Convert(x.numel(), x.data<float>(), static_cast<BFloat16*>(y.data()));
    return {y};
  });
}

// The same memory twice, for two readers.
Tensors Fork(const Tensor& x) { return {Tensor(x.impl()), Tensor(x.impl())}; }

// The sum of what the two readers give back; a reader that gives nothing has no tensor behind it.
Tensors Joined(const Tensor& a, const Tensor& b) {
  if (!a.impl() || !b.impl()) return {Tensor((a.impl() ? a : b).impl())};
  return Guarded([&]() -> Tensors {
    if (a.dtype() != DataType::BFLOAT16 || b.dtype() != DataType::BFLOAT16)
      throw std::runtime_error("gradients of a bfloat16 map must be bfloat16");
    Tensor sum = Like(a, DataType::BFLOAT16);
    Add(a.numel(), static_cast<const BFloat16*>(a.data()), static_cast<const BFloat16*>(b.data()),
        static_cast<BFloat16*>(sum.data()));
    return {sum};
  });
}

PD_BUILD_OP(paddle_resnet_convert)
    .Inputs({"X"})
    .Outputs({"Y"})
    .SetKernelFn(PD_KERNEL(Converted));

PD_BUILD_GRAD_OP(paddle_resnet_convert)
    .Inputs({paddle::Grad("Y")})
    .Outputs({paddle::Grad("X")})
    .SetKernelFn(PD_KERNEL(Converted));

// Both are linear: the gradient of the gradient is the operator itself.
Tensors ConvertedSecond(const Tensor& ddx) {
  return Guarded([&] {
    RefuseThirdDerivative();
    return Converted(ddx);
  });
}

Tensors ForkSecond(const Tensor& ddx) {
  return Guarded([&] {
    RefuseThirdDerivative();
    return Fork(ddx);
  });
}

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_convert)
    .Inputs({paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad(paddle::Grad("Y"))})
    .SetKernelFn(PD_KERNEL(ConvertedSecond));

PD_BUILD_OP(paddle_resnet_branch)
    .Inputs({"X"})
    .Outputs({"A", "B"})
    .SetKernelFn(PD_KERNEL(Fork));

PD_BUILD_GRAD_OP(paddle_resnet_branch)
    .Inputs({paddle::Grad("A"), paddle::Grad("B")})
    .Outputs({paddle::Grad("X")})
    .SetKernelFn(PD_KERNEL(Joined));

PD_BUILD_DOUBLE_GRAD_OP(paddle_resnet_branch)
    .Inputs({paddle::Grad(paddle::Grad("X"))})
    .Outputs({paddle::Grad(paddle::Grad("A")), paddle::Grad(paddle::Grad("B"))})
    .SetKernelFn(PD_KERNEL(ForkSecond));
