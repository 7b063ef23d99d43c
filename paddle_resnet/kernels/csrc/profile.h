// Where a step's time goes. Off by default: then a part costs one test more.
#pragma once

#include <chrono>

#include "conv.h"

// What a unit does: the convolution forward, its two gradients, and the loops around it.
enum class Part { kForward, kData, kWeights, kNormForward, kNormBackward };

extern bool profiling;
void AddToProfile(Part, const ConvShape&, double seconds);

// Adds the time from its construction to its end to the row of the part and shape.
class Timer {
 public:
  Timer(Part part, const ConvShape& shape) : part_(part), shape_(shape) {
    if (profiling) begin_ = Clock::now();
  }
  ~Timer() {
    if (profiling)
      AddToProfile(part_, shape_, std::chrono::duration<double>(Clock::now() - begin_).count());
  }

 private:
  using Clock = std::chrono::steady_clock;
  Part part_;
  const ConvShape& shape_;
  Clock::time_point begin_;
};
