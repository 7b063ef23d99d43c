// ReLU, GELU and SiLU, and the first two derivatives of the latter two, on registers.
//
// GELU is the exact one, x * cdf(x) of the normal distribution, without the tanh. Each template
// computes a Vector, or a single float by the same operations. Relative errors of the exponential
// function and of the distribution are below 2^-20 wherever they matter.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "dtypes.h"

// Numbered as in kernels/conv_bn_act.py.
enum class Act { kNone, kRelu, kGelu, kSilu };

// Whether the derivative needs the function's input: that of ReLU follows from its output.
inline bool IsSmooth(Act act) { return act == Act::kGelu || act == Act::kSilu; }

// Returns `value` where `positive` > 0, else 0. A NaN gives 0, as in Paddle's ReLU on a CPU.
template <typename T>
T Where(T positive, T value) {
  return positive > 0 ? value : T{};
}

// Returns e^x. Below and above the range of float32's normal numbers it is 0 and infinity.
template <typename T>
T Exp(T x) {
  using Bits = std::conditional_t<std::is_same_v<T, Vector>, Words, uint32_t>;
  // e^x = 2^n * e^r with |r| <= ln(2) / 2. Adding 1.5 * 2^23 rounds to an integer, in the low bits.
  constexpr float kToInteger = 12582912.0f;
  const T shifted = x * 1.44269504f + kToInteger;
  const T n = shifted - kToInteger;
  const T r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln(2) in two parts
  // Coefficients of Cephes' expf.
  T p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3f800000u;  // 2^n
  T power;
  std::memcpy(&power, &bits, sizeof power);
  const T value = p * power;  // NaN for NaN
  const T infinite = T{} + std::numeric_limits<float>::infinity();
  const T at_most = x > 88.3f ? infinite : value;
  return x < -87.3f ? T{} : at_most;
}

// The normal distribution: the share below x, and the density at x.
template <typename T>
struct Normal {
  T below, density;

  explicit Normal(T x) {
    const T e = Exp(x * x * -0.5f);
    density = e * 0.398942280f;
    // Of both halves the smaller one is e times a polynomial of t = 1 / (1 + 0.3 |x|), as in
    // Abramowitz and Stegun 7.1.26, with coefficients of relative error 1.2e-7 for |x| < 13.3.
    const T size = x < 0.0f ? -x : x;
    const T t = 1.0f / (size * 0.3f + 1.0f);
    T p = t * 0.0360364569f - 0.158714202f;
    p = p * t + 0.208965519f;
    p = p * t - 0.056096653f;
    p = p * t + 0.129843783f;
    p = p * t + 0.0995229651f;
    p = p * t + 0.120816906f;
    p = p * t + 0.119625165f;
    const T smaller = e * (p * t);
    const T larger = 1.0f - smaller;
    below = x > 0.0f ? larger : smaller;
  }
};

template <typename T>
T Gelu(T x) {
  return x * Normal<T>(x).below;
}
template <typename T>
T GeluDerivative(T x) {
  const Normal<T> normal(x);
  return normal.below + x * normal.density;
}
template <typename T>
T GeluSecondDerivative(T x) {
  return Normal<T>(x).density * (2.0f - x * x);
}

template <typename T>
T Sigmoid(T x) {
  return 1.0f / (Exp(-x) + 1.0f);
}
template <typename T>
T Silu(T x) {
  return x * Sigmoid(x);
}
template <typename T>
T SiluDerivative(T x) {
  const T s = Sigmoid(x);
  return s * (x * (1.0f - s) + 1.0f);
}
template <typename T>
T SiluSecondDerivative(T x) {
  const T s = Sigmoid(x);
  return s * (1.0f - s) * (x * (1.0f - s * 2.0f) + 2.0f);
}
