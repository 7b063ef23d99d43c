// The weight gradient of a bfloat16 convolution as one matrix product.
#pragma once

#include "conv.h"
#include "dtypes.h"
#include "primitives.h"

class WeightGradientGemm {
 public:
  // Whether this is a candidate.
  static bool Knows(const ConvShape&);

  // Throws where oneDNN has no fast product for this CPU.
  explicit WeightGradientGemm(const ConvShape&);

  void Run(const BFloat16* x, const BFloat16* dy, float* dw) const;

 private:
  ConvShape shape_;
  onednn::Primitive gemm_, reorder_;
  onednn::Memory x_, dy_, result_, by_tap_, dw_;
};
