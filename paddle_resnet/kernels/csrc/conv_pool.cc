// A convolution whose output is max-pooled: in one go (conv.h), or with a pass of its own.
#include "conv_pool.h"

#include "dtypes.h"
#include "pool.h"
#include "scratch.h"

namespace {

PoolShape Pooling(const ConvShape& s) { return {s.n, s.oh, s.ow, s.o, 2, 2}; }

// Room for the output, or its gradient, before pooling.
template <typename Number>
Number* Unpooled(const ConvShape& s) {
  static thread_local Scratch scratch;
  return static_cast<Number*>(scratch.Get(s.n * s.oh * s.ow * s.o * sizeof(Number)));
}

template <typename Number>
void Forward(const ConvShape& s, const void* x, const float* weight, void* pooled,
             uint8_t* winners) {
  auto* y = Unpooled<Number>(s);
  ConvForward(s, x, weight, y);
  MaxPool(Pooling(s), y, static_cast<Number*>(pooled), winners);
}

template <typename Number>
Pooled Backward(const ConvShape& s, Pooled gradient) {
  auto* dy = Unpooled<Number>(s);
  MaxPoolGradient(Pooling(s), static_cast<const Number*>(gradient.map), gradient.winners, dy);
  return {dy, nullptr};
}

}  // namespace

void ConvPoolForward(const ConvShape& s, const void* x, const float* weight, void* pooled,
                     uint8_t* winners) {
  if (PoolsAlong(s)) return ConvForward(s, x, weight, pooled, winners);
  (s.bfloat16 ? Forward<BFloat16> : Forward<float>)(s, x, weight, pooled, winners);
}

Pooled OfConvolution(const ConvShape& s, Pooled gradient) {
  if (PoolsAlong(s)) return gradient;
  return (s.bfloat16 ? Backward<BFloat16> : Backward<float>)(s, gradient);
}
