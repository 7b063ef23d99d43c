// Convolutions whose output is max-pooled, 2x2 pixels to one.
//
// A pooled map is [N, OH / 2, OW / 2, O]; ConvShape has the sides before pooling. `winners` says which
// of the 2x2 pixels each number is from: 0 to 3, row by row.
#pragma once

#include <cstdint>

#include "conv.h"

struct Pooled {
  const void* map;
  const uint8_t* winners;
};

void ConvPoolForward(const ConvShape&, const void* x, const float* weight, void* pooled,
                     uint8_t* winners);

// The gradient of the convolution's output as the functions of conv.h take it: as it is, where they
// take a pooled one; else, without winners, before pooling, in memory that holds until the next call.
Pooled OfConvolution(const ConvShape&, Pooled gradient);
