// Convolutions with windows of 3x3 pixels, with a quarter of the multiplications.
#pragma once

#include "conv.h"

bool BetterByWinograd(const ConvShape&);

void WinogradForward(const ConvShape&, const float* x, const float* weight, float* y);
void WinogradBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx);
void WinogradBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw);
