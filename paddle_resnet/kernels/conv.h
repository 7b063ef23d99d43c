// Convolutions of float32 maps in [N, H, W, C], weights in Paddle's [O, C / groups, KH, KW].
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>

struct ConvShape {
  int64_t n, c, h, w;             // of the input
  int64_t o, kh, kw, oh, ow;      // of the output
  int64_t stride, pad, dilation;  // in both directions
  int64_t groups;

  auto key() const {
    return std::make_tuple(n, c, h, w, o, kh, kw, stride, pad, dilation, groups);
  }
};

// What follows a convolution in inference: act(conv * scale + shift + residual), with a scale and a
// shift for each channel; `residual` may be null.
struct Epilogue {
  const float *scale = nullptr, *shift = nullptr, *residual = nullptr;
  bool relu = false;
};

void ConvInference(const ConvShape&, const float* x, const float* weight, const Epilogue&,
                   float* y);
void ConvForward(const ConvShape&, const float* x, const float* weight, float* y);
void ConvBackwardData(const ConvShape&, const float* dy, const float* weight, float* dx);
void ConvBackwardWeights(const ConvShape&, const float* x, const float* dy, float* dw);

// Memory that stays with the process and grows to the largest block asked for. Fresh pages cost
// more than the arithmetic on them: each is a fault into the kernel, which writes it with zeros.
class Scratch {
 public:
  float* Get(size_t bytes);
  ~Scratch();

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};
