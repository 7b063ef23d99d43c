// Seconds per part of the operator and shape. Off by default, at the cost of one branch per part.
#pragma once

#include <chrono>

#include "conv.h"

// The convolution forward, its two gradients, and BN with sum and activation function, in both
// directions.
enum class Part { kForward, kData, kWeights, kNormForward, kNormBackward };

extern bool profiling;
void AddToProfile(Part, const ConvShape&, double seconds);
// The algorithm that this thread's last convolution was computed with, by its name.
extern thread_local const char* last_algorithm;

// Adds the time of its lifetime to the row of the part and shape.
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
