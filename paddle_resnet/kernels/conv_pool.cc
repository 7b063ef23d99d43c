// A convolution whose output is max-pooled: by winograd.cc in one go, else with a pass of its own.
#include "conv_pool.h"

#include "numbers.h"
#include "pool.h"
#include "scratch.h"
#include "winograd.h"

namespace {

PoolShape Pooling(const ConvShape& s) { return {s.n, s.oh, s.ow, s.o, 2, 2}; }

// Room for the output, or its gradient, before pooling.
void* Whole(const ConvShape& s) {
  static thread_local Scratch scratch;
  return scratch.Get(s.n * s.oh * s.ow * s.o * (s.bfloat16 ? sizeof(BFloat16) : sizeof(float)));
}

template <typename Number>
void Pool(const ConvShape& s, const void* whole, void* pooled, uint8_t* winners) {
  MaxPool(Pooling(s), static_cast<const Number*>(whole), static_cast<Number*>(pooled), winners);
}

template <typename Number>
void Unpool(const ConvShape& s, const void* dpooled, const uint8_t* winners, void* dwhole) {
  MaxPoolGradient(Pooling(s), static_cast<const Number*>(dpooled), winners,
                  static_cast<Number*>(dwhole));
}

const void* Unpooled(const ConvShape& s, const void* dpooled, const uint8_t* winners) {
  void* dwhole = Whole(s);
  (s.bfloat16 ? Unpool<BFloat16> : Unpool<float>)(s, dpooled, winners, dwhole);
  return dwhole;
}

bool InOneGo(const ConvShape& s) { return !s.bfloat16 && PoolsByWinograd(s); }

}  // namespace

void ConvPoolForward(const ConvShape& s, const void* x, const float* weight, void* pooled,
                     uint8_t* winners) {
  if (InOneGo(s))
    return WinogradForward(s, static_cast<const float*>(x), weight, static_cast<float*>(pooled),
                           winners);
  void* whole = Whole(s);
  ConvForward(s, x, weight, whole);
  (s.bfloat16 ? Pool<BFloat16> : Pool<float>)(s, whole, pooled, winners);
}

void ConvPoolBackwardData(const ConvShape& s, const void* dpooled, const uint8_t* winners,
                          const float* weight, void* dx) {
  if (InOneGo(s))
    return WinogradBackwardData(s, static_cast<const float*>(dpooled), weight,
                                static_cast<float*>(dx), winners);
  ConvBackwardData(s, Unpooled(s, dpooled, winners), weight, dx);
}

void ConvPoolBackwardWeights(const ConvShape& s, const void* x, const void* dpooled,
                             const uint8_t* winners, float* dw) {
  if (InOneGo(s))
    return WinogradBackwardWeights(s, static_cast<const float*>(x),
                                   static_cast<const float*>(dpooled), dw, winners);
  ConvBackwardWeights(s, x, Unpooled(s, dpooled, winners), dw);
}
