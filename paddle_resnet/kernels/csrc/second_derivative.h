// Second derivatives of act(bn(conv(x)) + residual), for gradient penalties.
#pragma once

#include <cstdint>

#include "activation_functions.h"
#include "conv.h"

// Inputs and outputs of a second derivative. The objective is
//   sum(ddx * dx) + sum(ddweight * dweight) + sum(ddgamma * dgamma) + sum(ddbeta * dbeta)
//   + sum(ddresidual * dresidual),
// without the terms whose pointer is null. Its gradients go to dx, dweight, dgamma and ddy, and for
// smooth activation functions to dbeta and dresidual: both are only added, so that without these
// they have none.
template <typename DType>
struct SecondDerivative {
  ConvShape shape;
  bool batch_statistics, pool;
  Act act;
  // Saved by the forward pass, and dy, as in the first gradient. `kept` as in batch_norm.h.
  const DType *x, *conv, *kept, *dy;
  const float *weight, *gamma, *beta, *mean, *inverse;
  const uint8_t* argmax_indices;

  const DType *ddx, *ddresidual;
  const float *ddweight, *ddgamma, *ddbeta;

  DType *dx, *ddy;  // dx may be null where it is not asked for
  float *dweight, *dgamma;
  float* dbeta;
  DType* dresidual;  // null without a residual

  void Run() const;
};
