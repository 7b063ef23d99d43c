// Convolutions as matrix products (im2col + GEMM), for large weights on small activations.
#pragma once

#include "conv.h"

bool BetterAsGemm(const ConvShape&);

void GemmForward(const ConvShape&, const float* x, const float* weight, float* y);
void GemmBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx);
void GemmBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw);
