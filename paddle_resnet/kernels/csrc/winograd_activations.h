// How winograd.cc reads the tiles of a map, and writes them; a map may have been max-pooled.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "winograd_transforms.h"

namespace winograd {

typedef int32_t Ints __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(kWidth)));

// A map that is read. Of a pooled one, `winners` says which of each 2x2 pixels has the number (0 to 3,
// row by row); the other three are zeros. Sizes are those before pooling.
struct Map {
  const float* numbers;
  const uint8_t* winners;
  int64_t h, w, channels, pad;
};

// The pixels of a tile of side x side, from y and x on. Those outside of the map are zeros.
template <int64_t side>
class Pixels {
 public:
  Pixels(const Map& map, int64_t n, int64_t y, int64_t x, const float* zeros) {
    for (int64_t i = 0; i < side * side; ++i) {
      const int64_t row = y + i / side, column = x + i % side;
      const bool inside = row >= 0 && row < map.h && column >= 0 && column < map.w;
      at_[i] = inside ? map.numbers + ((n * map.h + row) * map.w + column) * map.channels : zeros;
    }
  }
  void Get(int64_t c, Vector* tile) const {
#pragma GCC unroll 6
    for (int64_t y = 0; y < side; ++y)
#pragma GCC unroll 6
      for (int64_t x = 0; x < side; ++x) tile[y * kIn + x] = Load(at_[y * side + x] + c);
  }

 private:
  const float* at_[side * side];
};

// The same of a pooled map. A tile of outputs begins with a window of pooling, one of 6x6 inputs of
// the data gradient in the middle of one.
template <int64_t side>
class PooledPixels {
 public:
  PooledPixels(const Map& map, int64_t n, int64_t y, int64_t x, const float* zeros) {
    const int64_t h = map.h / 2, w = map.w / 2;
    for (int64_t i = 0; i < kWindows * kWindows; ++i) {
      const int64_t row = (y - kOdd) / 2 + i / kWindows, column = (x - kOdd) / 2 + i % kWindows;
      const bool inside = row >= 0 && row < h && column >= 0 && column < w;
      const int64_t at = ((n * h + row) * w + column) * map.channels;
      at_[i] = inside ? map.numbers + at : zeros;
      winners_[i] = inside ? map.winners + at : reinterpret_cast<const uint8_t*>(zeros);
    }
  }
  void Get(int64_t c, Vector* tile) const {
#pragma GCC unroll 16
    for (int64_t i = 0; i < kWindows * kWindows; ++i) {
      const Vector number = Load(at_[i] + c);
      Bytes bytes;
      std::memcpy(&bytes, winners_[i] + c, sizeof bytes);
      const Ints winner = __builtin_convertvector(bytes, Ints);
#pragma GCC unroll 4
      for (int64_t tap = 0; tap < 4; ++tap) {
        const int64_t y = 2 * (i / kWindows) + tap / 2 - kOdd, x = 2 * (i % kWindows) + tap % 2 - kOdd;
        if (y >= 0 && y < side && x >= 0 && x < side)
          tile[y * kIn + x] = winner == static_cast<int32_t>(tap) ? number : Vector{};
      }
    }
  }

 private:
  static constexpr int64_t kOdd = side == kIn, kWindows = (side + kOdd + 1) / 2;
  const float* at_[kWindows * kWindows];
  const uint8_t* winners_[kWindows * kWindows];
};

// Past the caches: a plain store reads the line from memory first, only to overwrite it. `to` must
// be a multiple of the line.
inline void StoreToMemory(float* to, Vector value) {
#ifdef __AVX512F__
  _mm512_stream_ps(to, (__m512)value);
#else
  Store(to, value);
#endif
}

// Where the outputs of a tile go: to the pixels that are inside of the map ...
template <void (*store)(float*, Vector)>
struct WholeMap {
  float* map;
  int64_t h, w, channels;

  void operator()(const Vector* tile, int64_t n, int64_t top, int64_t left, int64_t c) const {
    for (int64_t y = 0; y < kOut && top + y < h; ++y)
      for (int64_t x = 0; x < kOut && left + x < w; ++x)
        store(map + ((n * h + top + y) * w + left + x) * channels + c, tile[y * kIn + x]);
  }
};

// ... or the largest of each 2x2 of them, and which it was. Sizes are those after pooling.
struct PooledMap {
  float* map;
  uint8_t* winners;
  int64_t h, w, channels;

  void operator()(const Vector* tile, int64_t n, int64_t top, int64_t left, int64_t c) const {
    for (int64_t y = 0; y < kOut / 2 && top / 2 + y < h; ++y)
      for (int64_t x = 0; x < kOut / 2 && left / 2 + x < w; ++x) {
        Vector best = tile[2 * y * kIn + 2 * x];
        Ints winner = {};
        for (int32_t tap = 1; tap < 4; ++tap) {
          const Vector value = tile[(2 * y + tap / 2) * kIn + 2 * x + tap % 2];
          winner = best >= value ? winner : Ints{} + tap;  // as in pool.cc
          best = best > value ? best : value;
        }
        const int64_t at = ((n * h + top / 2 + y) * w + left / 2 + x) * channels + c;
        const Bytes bytes = __builtin_convertvector(winner, Bytes);
        Store(map + at, best);
        std::memcpy(winners + at, &bytes, sizeof bytes);
      }
  }
};

}  // namespace winograd
