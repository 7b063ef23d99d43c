// How often a gradient was computed; see kernels/unit.py, which asks whether one was in between.
#pragma once

#include <cstdint>

extern int64_t backward_passes;
