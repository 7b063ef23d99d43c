// The weight gradient of a bfloat16 convolution as one matrix product.
#pragma once

#include <memory>

#include "conv.h"
#include "dtypes.h"
#include "primitives.h"

class WeightGradientGemm {
 public:
  // Returns null where a convolution is faster, or where oneDNN has no such product for this CPU.
  static std::unique_ptr<WeightGradientGemm> For(const ConvShape&);

  void Run(const BFloat16* x, const BFloat16* dy, float* dw) const;

 private:
  explicit WeightGradientGemm(const ConvShape&);

  ConvShape shape_;
  onednn::Primitive gemm_, reorder_;
  onednn::Memory x_, dy_, result_, by_tap_, dw_;
};
