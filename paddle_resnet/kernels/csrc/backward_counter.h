// The state of Paddle's backward passes through the operators.
#pragma once

#include <cstdint>

// Number of gradients computed so far; kernels/activations.py detects a backward pass by it.
extern int64_t backward_passes;

// Throws where Paddle records a second derivative in order to differentiate it again: Paddle
// connects an operator to its second derivative only, so a third one would silently be incomplete.
void RefuseThirdDerivative();
