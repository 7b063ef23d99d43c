// Convolutions with windows of 3x3 pixels, with a quarter of the multiplications.
#pragma once

#include <cstdint>

#include "conv.h"

bool BetterByWinograd(const ConvShape&);
// Whether 2x2 max-pooling of the output can be part of it: see `winners` below.
bool PoolsByWinograd(const ConvShape&);

// With `winners`, y and dy are the output and its gradient after pooling (conv_pool.h).
void WinogradForward(const ConvShape&, const float* x, const float* weight, float* y,
                     uint8_t* winners = nullptr);
void WinogradBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx,
                          const uint8_t* winners = nullptr);
void WinogradBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw,
                             const uint8_t* winners = nullptr);
