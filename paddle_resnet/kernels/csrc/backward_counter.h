// How often a gradient was computed; see kernels/conv_bn_act.py, which asks whether one was in between.
#pragma once

#include <cstdint>

extern int64_t backward_passes;
