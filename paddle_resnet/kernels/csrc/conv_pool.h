// Convolutions followed by 2x2 max-pooling.
//
// A pooled activation is [N, OH / 2, OW / 2, O]; ConvShape has the size before pooling.
// `argmax_indices` has, per element, the index of the maximum in its window: 0 to 3, row by row.
#pragma once

#include <cstdint>

#include "conv.h"

struct Pooled {
  const void* values;
  const uint8_t* argmax_indices;
};

void ConvPoolForward(const ConvShape&, const void* x, const float* weight, void* pooled,
                     uint8_t* argmax_indices);

// Returns the gradient of the convolution's output as conv.h takes it: unchanged if it takes a
// pooled one, else expanded, without indices, in a buffer that is valid until the next call.
Pooled ConvOutputGradient(const ConvShape&, Pooled gradient);
