// Max-pooling of activations [N, H, W, C], float or BFloat16.
#pragma once

#include <cstdint>

struct PoolShape {
  int64_t n, h, w, c, oh, ow, window, stride, pad;

  PoolShape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t window, int64_t stride,
            int64_t pad = 0, bool ceil = false);
};

// `argmax_indices` receives the index of the maximum in its window per element of y; the gradient
// reads it.
template <typename DType>
void MaxPool(const PoolShape&, const DType* x, DType* y, uint8_t* argmax_indices);
template <typename DType>
void MaxPoolGradient(const PoolShape&, const DType* dy, const uint8_t* argmax_indices, DType* dx);
// Computes y = x at the argmax indices.
template <typename DType>
void GatherArgmax(const PoolShape&, const DType* x, const uint8_t* argmax_indices, DType* y);
