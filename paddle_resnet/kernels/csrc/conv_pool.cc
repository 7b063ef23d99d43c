// Convolution and 2x2 max-pooling: in one call by Winograd's algorithm, or as two passes.
#include "conv_pool.h"

#include "algorithm_choice.h"
#include "dtypes.h"
#include "pool.h"
#include "scratch.h"
#include "winograd.h"

namespace {

PoolShape Pooling(const ConvShape& s) { return {s.n, s.oh, s.ow, s.o, 2, 2}; }

// Returns a buffer for the output, or its gradient, before pooling.
template <typename DType>
DType* Unpooled(const ConvShape& s) {
  static thread_local Scratch scratch;
  return static_cast<DType*>(scratch.Get(s.n * s.oh * s.ow * s.o * sizeof(DType)));
}

template <typename DType>
void Forward(const ConvShape& s, const void* x, const float* weight, void* pooled,
             uint8_t* argmax_indices) {
  auto* y = Unpooled<DType>(s);
  ConvForward(s, x, weight, y);
  MaxPool(Pooling(s), y, static_cast<DType*>(pooled), argmax_indices);
}

template <typename DType>
Pooled Backward(const ConvShape& s, Pooled gradient) {
  auto* dy = Unpooled<DType>(s);
  MaxPoolGradient(Pooling(s), static_cast<const DType*>(gradient.values), gradient.argmax_indices,
                  dy);
  return {dy, nullptr};
}

}  // namespace

void ConvPoolForward(const ConvShape& s, const void* x, const float* weight, void* pooled,
                     uint8_t* argmax_indices) {
  RunChosen(s, Direction::kPooled, [&](Algorithm algorithm) {
    if (algorithm == Algorithm::kWinograd)
      return WinogradForward(s, x, weight, pooled, argmax_indices);
    (s.bfloat16 ? Forward<BFloat16> : Forward<float>)(s, x, weight, pooled, argmax_indices);
  });
}

Pooled ConvOutputGradient(const ConvShape& s, Pooled gradient) {
  if (Chosen(s, Direction::kPooled) == Algorithm::kWinograd) return gradient;
  return (s.bfloat16 ? Backward<BFloat16> : Backward<float>)(s, gradient);
}
