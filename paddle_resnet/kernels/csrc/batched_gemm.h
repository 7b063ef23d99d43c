// Convolutions as matrix products, for large weights on small maps.
#pragma once

#include "conv.h"

bool BetterAsProduct(const ConvShape&);

void ProductForward(const ConvShape&, const float* x, const float* weight, float* y);
void ProductBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx);
void ProductBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw);
