// The tile transforms of Winograd's F(4x4, 3x3). See winograd.cc.
#pragma once

#include <cstdint>
#include <cstring>

#include "dtypes.h"

namespace winograd {

#ifdef __AVX512F__
constexpr int64_t kWidth = 16;
#else
constexpr int64_t kWidth = 8;
#endif
typedef float Vector __attribute__((vector_size(kWidth * sizeof(float))));

constexpr int64_t kOut = 4, kFilter = 3, kIn = kOut + kFilter - 1;
constexpr int64_t kTileElements = kIn * kIn;

inline Vector Load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
inline void Store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

#ifdef __AVX512F__
inline Vector Load(const BFloat16* from) { return ::Load<::Vector>(from); }
inline void Store(BFloat16* to, Vector value) { ::Store<::Vector>(to, value); }
#else
// Never called: without AVX-512 there are no bfloat16 activations (conv.cc, CanConvolveBFloat16).
inline Vector Load(const BFloat16* from) {
  Vector value;
  for (int64_t i = 0; i < kWidth; ++i) value[i] = ::Load<float>(from + i);
  return value;
}
inline void Store(BFloat16* to, Vector value) {
  for (int64_t i = 0; i < kWidth; ++i) ::Store<float>(to + i, value[i]);
}
#endif

// Each transform applies one of the paper's matrices B^T, G and A^T, or the transpose of the last
// two for the gradient, to one line of a tile, whose registers are `step` apart.
struct Input {
  static constexpr int64_t kFrom = kIn, kTo = kIn;
  static void Line(const Vector* d, int64_t step, Vector* t) {
    const Vector d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    const Vector a = d4 - 4 * d2, b = d3 - 4 * d1, e = d4 - d2, f = 2 * (d3 - d1);
    t[0] = 4 * d[0] - 5 * d2 + d4;
    t[1 * step] = a + b;
    t[2 * step] = a - b;
    t[3 * step] = e + f;
    t[4 * step] = e - f;
    t[5 * step] = 4 * d1 - 5 * d3 + d[5 * step];
  }
};
struct Output {
  static constexpr int64_t kFrom = kIn, kTo = kOut;
  static void Line(const Vector* m, int64_t step, Vector* y) {
    const Vector m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    const Vector a = m1 + m2, b = m1 - m2, e = m3 + m4, f = m3 - m4;
    y[0] = m[0] + a + e;
    y[1 * step] = b + 2 * f;
    y[2 * step] = a + 4 * e;
    y[3 * step] = b + 8 * f + m[5 * step];
  }
};
struct OutputGradient {
  static constexpr int64_t kFrom = kOut, kTo = kIn;
  static void Line(const Vector* y, int64_t step, Vector* m) {
    const Vector y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    const Vector a = y0 + y2, b = y1 + y3, e = y0 + 4 * y2, f = 2 * y1 + 8 * y3;
    m[0] = y0;
    m[1 * step] = a + b;
    m[2 * step] = a - b;
    m[3 * step] = e + f;
    m[4 * step] = e - f;
    m[5 * step] = y3;
  }
};
struct Filter {
  static constexpr int64_t kFrom = kFilter, kTo = kIn;
  static void Line(const Vector* g, int64_t step, Vector* u) {
    const Vector g0 = g[0], g1 = g[step], g2 = g[2 * step];
    const Vector a = (g0 + g2) / -6, b = g1 / 6, e = g0 / 24 + g2 / 6, f = g1 / 12;
    u[0] = g0 / 4;
    u[1 * step] = a - b;
    u[2 * step] = a + b;
    u[3 * step] = e + f;
    u[4 * step] = e - f;
    u[5 * step] = g2;
  }
};
struct FilterGradient {
  static constexpr int64_t kFrom = kIn, kTo = kFilter;
  static void Line(const Vector* u, int64_t step, Vector* g) {
    const Vector u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step];
    const Vector a = (u1 + u2) / -6, b = (u2 - u1) / 6, e = u3 + u4, f = u3 - u4;
    g[0] = u[0] / 4 + a + e / 24;
    g[1 * step] = b + f / 12;
    g[2 * step] = a + e / 6 + u[5 * step];
  }
};

// Transforms the columns of a tile, then its rows, in place, in a square of kIn * kIn registers.
template <typename Transform>
inline void ApplyTransform(Vector* tile) {
#pragma GCC unroll 6
  for (int64_t i = 0; i < Transform::kFrom; ++i) Transform::Line(tile + i, kIn, tile + i);
#pragma GCC unroll 6
  for (int64_t i = 0; i < Transform::kTo; ++i) Transform::Line(tile + i * kIn, 1, tile + i * kIn);
}

}  // namespace winograd
