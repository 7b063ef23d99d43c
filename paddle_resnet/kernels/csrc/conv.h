// Convolutions of maps in [N, H, W, C], float or BFloat16, weights in Paddle's float
// [O, C / groups, KH, KW].
#pragma once

#include <cstdint>
#include <tuple>

struct ConvShape {
  int64_t n, c, h, w;             // of the input
  int64_t o, kh, kw, oh, ow;      // of the output
  int64_t stride, pad, dilation;  // in both directions
  int64_t groups;
  bool bfloat16;                  // the numbers of all maps

  auto key() const {
    return std::make_tuple(n, c, h, w, o, kh, kw, stride, pad, dilation, groups, bfloat16);
  }
};

// What follows a convolution in inference: act(conv * scale + shift + residual), with a scale and a
// shift for each channel; `residual` may be null.
struct Epilogue {
  const float *scale = nullptr, *shift = nullptr;
  const void* residual = nullptr;
  bool relu = false;
};

// Whether ConvInference is the fastest way; else it is ConvForward and a loop.
bool InferenceIsOnePrimitive(const ConvShape&);

void ConvInference(const ConvShape&, const void* x, const float* weight, const Epilogue&, void* y);
// With `winners`, y and dy are the output and its gradient after 2x2 max-pooling (conv_pool.h): only
// where PoolsAlong says so.
void ConvForward(const ConvShape&, const void* x, const float* weight, void* y,
                 uint8_t* winners = nullptr);
void ConvBackwardData(const ConvShape&, const void* dy, const float* weight, void* dx,
                      const uint8_t* winners = nullptr);
void ConvBackwardWeights(const ConvShape&, const void* x, const void* dy, float* dw,
                         const uint8_t* winners = nullptr);
bool PoolsAlong(const ConvShape&);

bool CanConvolveBFloat16();
// Forgets the code that was generated for the shapes so far.
void ReleaseConvolutions();
