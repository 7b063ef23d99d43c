// A convolution whose output is max-pooled, 2x2 pixels to one, and its gradients.
//
// `pooled` and `dpooled` are [N, OH / 2, OW / 2, O]; of their sides, ConvShape has those before
// pooling. `winners` says which of the 2x2 pixels it was, 0 to 3, row by row.
#pragma once

#include <cstdint>

#include "conv.h"

void ConvPoolForward(const ConvShape&, const void* x, const float* weight, void* pooled,
                     uint8_t* winners);
void ConvPoolBackwardData(const ConvShape&, const void* dpooled, const uint8_t* winners,
                          const float* weight, void* dx);
void ConvPoolBackwardWeights(const ConvShape&, const void* x, const void* dpooled,
                             const uint8_t* winners, float* dw);
