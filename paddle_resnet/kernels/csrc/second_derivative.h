// Second derivatives of act(bn(conv(x)) + residual), for penalties on gradients.
#pragma once

#include <cstdint>

#include "conv.h"

// What a layer was computed from, and what its gradients are multiplied with: the objective is
//   sum(ddx * dx) + sum(ddweight * dweight) + sum(ddgamma * dgamma) + sum(ddbeta * dbeta)
//   + sum(ddresidual * dresidual),
// of which those that are null are left out. Its gradients go to dx, dweight, dgamma and ddy; that of
// beta and of the residual is zero, since both are only added.
template <typename Number>
struct SecondDerivative {
  ConvShape shape;
  bool batch_statistics, relu, pool;
  // Of the forward pass, as in the first gradient. `y` is null without a residual.
  const Number *x, *conv, *y, *dy;
  const float *weight, *gamma, *beta, *mean, *inverse;
  const uint8_t* winners;

  const Number *ddx, *ddresidual;
  const float *ddweight, *ddgamma, *ddbeta;

  Number *dx, *ddy;  // dx may be null where it is not asked for
  float *dweight, *dgamma;

  void Run() const;
};
