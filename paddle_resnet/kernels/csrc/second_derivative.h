// Second derivatives of act(bn(conv(x)) + residual), for gradient penalties.
#pragma once

#include <cstdint>

#include "conv.h"

// Inputs and outputs of a second derivative. The objective is
//   sum(ddx * dx) + sum(ddweight * dweight) + sum(ddgamma * dgamma) + sum(ddbeta * dbeta)
//   + sum(ddresidual * dresidual),
// without the terms whose pointer is null. Its gradients go to dx, dweight, dgamma and ddy; those
// of beta and of the residual are zero, since both are only added.
template <typename DType>
struct SecondDerivative {
  ConvShape shape;
  bool batch_statistics, relu, pool;
  // Saved by the forward pass, and dy, as in the first gradient. `y` is null without a residual.
  const DType *x, *conv, *y, *dy;
  const float *weight, *gamma, *beta, *mean, *inverse;
  const uint8_t* argmax_indices;

  const DType *ddx, *ddresidual;
  const float *ddweight, *ddgamma, *ddbeta;

  DType *dx, *ddy;  // dx may be null where it is not asked for
  float *dweight, *dgamma;

  void Run() const;
};
