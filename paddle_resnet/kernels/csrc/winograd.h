// 3x3 convolutions by Winograd's algorithm, with a quarter of the multiplications.
#pragma once

#include <cstdint>

#include "conv.h"

bool BetterByWinograd(const ConvShape&);
// Whether 2x2 max-pooling of the output can be fused: see `argmax_indices` below.
bool PoolsByWinograd(const ConvShape&);

// With `argmax_indices`, y and dy are the output and its gradient after pooling (conv_pool.h).
void WinogradForward(const ConvShape&, const float* x, const float* weight, float* y,
                     uint8_t* argmax_indices = nullptr);
void WinogradBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx,
                          const uint8_t* argmax_indices = nullptr);
void WinogradBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw,
                             const uint8_t* argmax_indices = nullptr);
