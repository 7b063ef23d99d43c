// The weight gradient of a convolution of bfloat16 maps as one matrix product.
#pragma once

#include <memory>

#include "conv.h"
#include "dtypes.h"
#include "primitives.h"

class WeightProduct {
 public:
  // Null where a convolution is better, or where oneDNN has no such product for this CPU.
  static std::unique_ptr<WeightProduct> For(const ConvShape&);

  void Run(const BFloat16* x, const BFloat16* dy, float* dw) const;

 private:
  explicit WeightProduct(const ConvShape&);

  ConvShape shape_;
  onednn::Primitive product_, reorder_;
  onednn::Memory x_, dy_, result_, by_tap_, dw_;
};
