// How winograd.cc reads and writes the tiles of an activation, which may be max-pooled.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "winograd_transforms.h"

namespace winograd {

typedef int32_t Ints __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(kWidth)));

// An activation that is read. If `argmax_indices` is not null it is pooled: each element belongs to
// one of 2x2 pixels (0 to 3, row by row) and the other three are zero. Sizes are those before
// pooling.
template <typename DType>
struct Activation {
  const DType* data;
  const uint8_t* argmax_indices;
  int64_t h, w, channels, pad;
};

// The pixels of a tile of side x side that begins at (y, x). Pixels outside are zero.
template <typename DType, int64_t side>
class Pixels {
 public:
  Pixels(const Activation<DType>& activation, int64_t n, int64_t y, int64_t x,
         const DType* zeros) {
    for (int64_t i = 0; i < side * side; ++i) {
      const int64_t row = y + i / side, column = x + i % side;
      const bool inside = row >= 0 && row < activation.h && column >= 0 && column < activation.w;
      at_[i] = inside ? activation.data +
                            ((n * activation.h + row) * activation.w + column) * activation.channels
                      : zeros;
    }
  }
  void Get(int64_t c, Vector* tile) const {
#pragma GCC unroll 6
    for (int64_t y = 0; y < side; ++y)
#pragma GCC unroll 6
      for (int64_t x = 0; x < side; ++x) tile[y * kIn + x] = Load(at_[y * side + x] + c);
  }

 private:
  const DType* at_[side * side];
};

// The same of a pooled activation. A tile of outputs begins with a pooling window; a tile of 6x6
// inputs of the data gradient begins in the middle of one.
template <typename DType, int64_t side>
class PooledPixels {
 public:
  PooledPixels(const Activation<DType>& activation, int64_t n, int64_t y, int64_t x,
               const DType* zeros) {
    const int64_t h = activation.h / 2, w = activation.w / 2;
    for (int64_t i = 0; i < kPoolWindows * kPoolWindows; ++i) {
      const int64_t row = (y - kOffset) / 2 + i / kPoolWindows,
                    column = (x - kOffset) / 2 + i % kPoolWindows;
      const bool inside = row >= 0 && row < h && column >= 0 && column < w;
      const int64_t at = ((n * h + row) * w + column) * activation.channels;
      at_[i] = inside ? activation.data + at : zeros;
      argmax_indices_[i] =
          inside ? activation.argmax_indices + at : reinterpret_cast<const uint8_t*>(zeros);
    }
  }
  void Get(int64_t c, Vector* tile) const {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kPoolWindows * kPoolWindows; ++i) {
      const Vector value = Load(at_[i] + c);
      Bytes bytes;
      std::memcpy(&bytes, argmax_indices_[i] + c, sizeof bytes);
      const Ints argmax = __builtin_convertvector(bytes, Ints);
#pragma GCC unroll 4
      for (int64_t tap = 0; tap < 4; ++tap) {
        const int64_t y = 2 * (i / kPoolWindows) + tap / 2 - kOffset,
                      x = 2 * (i % kPoolWindows) + tap % 2 - kOffset;
        if (y >= 0 && y < side && x >= 0 && x < side)
          tile[y * kIn + x] = argmax == static_cast<int32_t>(tap) ? value : Vector{};
      }
    }
  }

 private:
  static constexpr int64_t kOffset = side == kIn, kPoolWindows = (side + kOffset + 1) / 2;
  const DType* at_[kPoolWindows * kPoolWindows];
  const uint8_t* argmax_indices_[kPoolWindows * kPoolWindows];
};

// Writes past the caches: an ordinary store would read the cache line from memory first. `to` must
// be aligned to the line.
inline void StoreNonTemporal(float* to, Vector value) {
#ifdef __AVX512F__
  _mm512_stream_ps(to, (__m512)value);
#else
  Store(to, value);
#endif
}

// Writes the output pixels of a tile that lie inside the activation.
template <typename DType, void (*store)(DType*, Vector)>
struct WholeActivation {
  DType* data;
  int64_t h, w, channels;

  void operator()(const Vector* tile, int64_t n, int64_t top, int64_t left, int64_t c) const {
    for (int64_t y = 0; y < kOut && top + y < h; ++y)
      for (int64_t x = 0; x < kOut && left + x < w; ++x)
        store(data + ((n * h + top + y) * w + left + x) * channels + c, tile[y * kIn + x]);
  }
};

// Writes the maximum of each 2x2 pixels and its index. Sizes are those after pooling.
template <typename DType>
struct PooledActivation {
  DType* data;
  uint8_t* argmax_indices;
  int64_t h, w, channels;

  void operator()(const Vector* tile, int64_t n, int64_t top, int64_t left, int64_t c) const {
    for (int64_t y = 0; y < kOut / 2 && top / 2 + y < h; ++y)
      for (int64_t x = 0; x < kOut / 2 && left / 2 + x < w; ++x) {
        Vector best = tile[2 * y * kIn + 2 * x];
        Ints argmax = {};
        for (int32_t tap = 1; tap < 4; ++tap) {
          const Vector value = tile[(2 * y + tap / 2) * kIn + 2 * x + tap % 2];
          argmax = best >= value ? argmax : Ints{} + tap;  // as in pool.cc
          best = best > value ? best : value;
        }
        const int64_t at = ((n * h + top / 2 + y) * w + left / 2 + x) * channels + c;
        const Bytes bytes = __builtin_convertvector(argmax, Bytes);
        Store(data + at, best);
        std::memcpy(argmax_indices + at, &bytes, sizeof bytes);
      }
  }
};

}  // namespace winograd
