// 3x3 convolutions by Winograd's algorithm, with a quarter of the multiplications.
#pragma once

#include <cstdint>

#include "conv.h"

// Whether it computes this shape, and whether it computes 2x2 max-pooling of the output too: see
// `argmax_indices` below.
bool KnownToWinograd(const ConvShape&);
bool PoolsByWinograd(const ConvShape&);

// Activations are of the shape's dtype; the arithmetic is float32. With `argmax_indices`, y and dy
// are the output and its gradient after pooling (conv_pool.h).
void WinogradForward(const ConvShape&, const void* x, const float* weight, void* y,
                     uint8_t* argmax_indices = nullptr);
void WinogradBackwardData(const ConvShape&, const void* dy, const float* weight, void* dx,
                          const uint8_t* argmax_indices = nullptr);
void WinogradBackwardWeights(const ConvShape&, const void* x, const void* dy, float* dw,
                             const uint8_t* argmax_indices = nullptr);
