// Convolutions as matrix products (im2col + GEMM), for large weights on small activations.
#pragma once

#include "conv.h"

// Whether this is a candidate.
bool KnownToGemm(const ConvShape&);

void GemmForward(const ConvShape&, const float* x, const float* weight, float* y);
void GemmBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx);
void GemmBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw);
