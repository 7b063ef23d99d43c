// Convolutions of activations [N, H, W, C], float or BFloat16, with weights in Paddle's layout,
// float [O, C / groups, KH, KW].
#pragma once

#include <cstdint>
#include <tuple>

#include "activation_functions.h"

struct ConvShape {
  int64_t n, c, h, w;             // of the input
  int64_t o, kh, kw, oh, ow;      // of the output
  int64_t stride, pad, dilation;  // in both directions
  int64_t groups;
  bool bfloat16;  // dtype of the activations

  auto key() const {
    return std::make_tuple(n, c, h, w, o, kh, kw, stride, pad, dilation, groups, bfloat16);
  }
};

// Returns the shape with the size of its output.
inline ConvShape WithOutputSize(ConvShape s) {
  s.oh = (s.h + 2 * s.pad - s.dilation * (s.kh - 1) - 1) / s.stride + 1;
  s.ow = (s.w + 2 * s.pad - s.dilation * (s.kw - 1) - 1) / s.stride + 1;
  return s;
}

// Post-operations in inference: act(conv * scale + shift + residual), scale and shift per channel;
// `residual` may be null.
struct Epilogue {
  const float *scale = nullptr, *shift = nullptr;
  const void* residual = nullptr;
  Act act = Act::kNone;
};

// Computes the convolution with its post-operations.
void ConvInference(const ConvShape&, const void* x, const float* weight, const Epilogue&, void* y);
void ConvForward(const ConvShape&, const void* x, const float* weight, void* y);
// With `argmax_indices`, dy is the gradient of the output after 2x2 max-pooling (conv_pool.h): only
// for shapes that Winograd's algorithm pools.
void ConvBackwardData(const ConvShape&, const void* dy, const float* weight, void* dx,
                      const uint8_t* argmax_indices = nullptr);
void ConvBackwardWeights(const ConvShape&, const void* x, const void* dy, float* dw,
                         const uint8_t* argmax_indices = nullptr);

// Drops the weights that ConvInference has kept: they are trained now.
void ForgetFolded(const float* weight);

bool CanConvolveBFloat16();
// Drops all cached primitives.
void ReleaseConvolutions();
