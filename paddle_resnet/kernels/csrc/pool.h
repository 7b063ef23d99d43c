// Max-pooling of maps in [N, H, W, C], float or BFloat16.
#pragma once

#include <cstdint>

struct PoolShape {
  int64_t n, h, w, c, oh, ow, window, stride, pad;

  PoolShape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t window, int64_t stride,
            int64_t pad = 0, bool ceil = false);
};

// `winners` gets the number of the tap that won, for each number of y, and gives it to the gradient.
template <typename Number>
void MaxPool(const PoolShape&, const Number* x, Number* y, uint8_t* winners);
template <typename Number>
void MaxPoolGradient(const PoolShape&, const Number* dy, const uint8_t* winners, Number* dx);
// y = x at the winners' places.
template <typename Number>
void TakeWinners(const PoolShape&, const Number* x, const uint8_t* winners, Number* y);
