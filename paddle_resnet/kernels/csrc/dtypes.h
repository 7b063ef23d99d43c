// Elements of activations: float32 or bfloat16 in memory, float32 in registers.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

// bfloat16 in memory: the upper half of a float32.
struct BFloat16 {
  uint16_t bits;
};

// Elements of the widest register; the compiler splits it on CPUs with narrower ones.
constexpr int64_t kWidth = 16;
typedef float Vector __attribute__((vector_size(kWidth * sizeof(float))));
typedef uint32_t Words __attribute__((vector_size(kWidth * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kWidth * sizeof(uint16_t))));
template <typename T>
T Load(const float* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void Store(float* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

template <typename T>
T Load(const BFloat16* from) {
  T value;
  if constexpr (std::is_same_v<T, Vector>) {
    Halves halves;
    std::memcpy(&halves, from, sizeof halves);
    const Words words = __builtin_convertvector(halves, Words) << 16;
    std::memcpy(&value, &words, sizeof value);
  } else {
    const uint32_t word = uint32_t{from->bits} << 16;
    std::memcpy(&value, &word, sizeof value);
  }
  return value;
}

// Rounds to nearest, ties to even; a NaN stays a NaN.
template <typename T>
void Store(BFloat16* to, T value) {
  if constexpr (std::is_same_v<T, Vector>) {
#ifdef __AVX512BF16__
    const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(value));
#else
    Words words;
    std::memcpy(&words, &value, sizeof words);
    const Words upper = words >> 16, nearest = (words + 0x7fff + (upper & 1)) >> 16;
    const Halves halves = __builtin_convertvector(value == value ? nearest : upper | 0x40, Halves);
#endif
    std::memcpy(to, &halves, sizeof halves);
  } else {
    uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    const uint32_t upper = word >> 16, nearest = (word + 0x7fff + (upper & 1)) >> 16;
    to->bits = static_cast<uint16_t>(value == value ? nearest : upper | 0x40);
  }
}
