// What the operators know of the backward passes that Paddle runs through them.
#pragma once

#include <cstdint>

// How often a gradient was computed; see kernels/activations.py, which asks whether one was in between.
extern int64_t backward_passes;

// Throws where Paddle records a second derivative, for a third one: it would be silently incomplete,
// since Paddle connects an operator to its second derivative only.
void RefuseThirdDerivative();
