// Batch norm, sum and activation function, forward and backward, around a convolution.
//
// Activations are float32 or bfloat16 in memory; all arithmetic is float32 in registers. The loops
// are bound by memory, so each activation is read and written as few times as possible:
// - normalization, sum and activation function are one pass over the output;
// - the ReLU's mask, or a smooth function's derivative, is recomputed from values that are there
//   anyway;
// - the backward pass takes two passes: one for the sums, one for the gradient.
//
// Channels are the last dimension. Several pixels are joined to one long row, with the constants of
// the channels repeated: full registers for any number of channels, and independent accumulators.
// Each thread sums a fixed range of rows and the partial sums are added in order, so that results
// are bit-identical for the same number of threads.
#include "batch_norm.h"

#include <omp.h>

#include <algorithm>
#include <numeric>

namespace {

// Elements of a long row: enough independent additions to hide the latency of one.
constexpr int64_t kLongRow = 8 * kWidth;
// Rows that are summed in float32 before the sum is added to float64.
constexpr int64_t kRowsPerSum = 256;

// A matrix as long rows of `width` elements, a multiple of both the channels and the register.
struct VectorizedRows {
  int64_t width, rows, rest;  // `rest` elements fill no long row

  explicit VectorizedRows(MatrixShape matrix) {
    width = std::lcm(matrix.channels, kWidth);
    width *= (kLongRow + width - 1) / width;
    rows = matrix.rows * matrix.channels / width;
    rest = matrix.rows * matrix.channels - rows * width;
  }
  int threads() const {
    // Waking a thread takes microseconds, as long as one core needs for this many elements.
    return rows * width < 8192 ? 1 : omp_get_max_threads();
  }
};

// Returns the constants of the channels, repeated to the width of a long row.
std::vector<float> Repeat(const float* constants, MatrixShape matrix) {
  std::vector<float> repeated(VectorizedRows(matrix).width);
  for (size_t i = 0; i < repeated.size(); ++i) repeated[i] = constants[i % matrix.channels];
  return repeated;
}

// Calls fn(first, last, thread) with each thread's range of long rows.
template <typename Fn>
void Split(const VectorizedRows& matrix, Fn fn) {
  const int threads = matrix.threads();
  const int64_t rows_per_thread = (matrix.rows + threads - 1) / threads;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int thread = 0; thread < threads; ++thread) {
    const int64_t first = std::min(matrix.rows, thread * rows_per_thread);
    fn(first, std::min(matrix.rows, first + rows_per_thread), thread);
  }
}

// Calls fn(T(), at, i) per register of the long rows [first, last): `at` is its offset in the
// matrix, `i` its offset in the long row, where its constants are.
template <typename Fn>
inline void ForRows(int64_t width, int64_t first, int64_t last, Fn fn) {
  for (int64_t row = first; row < last; ++row)
    for (int64_t i = 0; i < width; i += kWidth) fn(Vector(), row * width + i, i);
}

// Calls the same for a whole matrix, on all threads, and per element of what fills no long row.
template <typename Fn>
void ForAll(const VectorizedRows& matrix, Fn fn) {
  Split(matrix, [=](int64_t first, int64_t last, int) { ForRows(matrix.width, first, last, fn); });
  for (int64_t i = 0; i < matrix.rest; ++i) fn(float(), matrix.rows * matrix.width + i, i);
}

// Computes two sums per channel: fn(T(), at, i, s, t) adds to the float32 sums s[i] and t[i].
template <typename Fn>
void SumPairs(MatrixShape rows, double* total_s, double* total_t, Fn fn) {
  const VectorizedRows matrix(rows);
  const int64_t width = matrix.width;
  std::vector<double> partial_sums((matrix.threads() + 1) * 2 * width, 0.0);
  const auto add = [&](int64_t thread, const float* sums) {
    for (int64_t i = 0; i < 2 * width; ++i) partial_sums[thread * 2 * width + i] += sums[i];
  };
  Split(matrix, [&](int64_t first, int64_t last, int thread) {
    std::vector<float> sums(2 * width);
    float *s = sums.data(), *t = s + width;
    for (int64_t row = first; row < last; row += kRowsPerSum) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      ForRows(width, row, std::min(last, row + kRowsPerSum),
              [=](auto type, int64_t at, int64_t i) { fn(type, at, i, s, t); });
      add(thread, sums.data());
    }
  });
  std::vector<float> sums(2 * width);
  for (int64_t i = 0; i < matrix.rest; ++i)
    fn(float(), matrix.rows * width + i, i, sums.data(), sums.data() + width);
  add(matrix.threads(), sums.data());

  std::fill_n(total_s, rows.channels, 0.0);
  std::fill_n(total_t, rows.channels, 0.0);
  for (int thread = 0; thread <= matrix.threads(); ++thread) {
    for (int64_t i = 0; i < width; ++i) {
      total_s[i % rows.channels] += partial_sums[thread * 2 * width + i];
      total_t[i % rows.channels] += partial_sums[thread * 2 * width + width + i];
    }
  }
}

// The constants of a normalization, repeated to the width of a long row.
class RepeatedNorm {
 public:
  RepeatedNorm(const Norm& norm, MatrixShape matrix)
      : mean_(Repeat(norm.mean, matrix)),
        scale_(Repeat(norm.scale, matrix)),
        shift_(Repeat(norm.shift, matrix)),
        mean(mean_.data()),
        scale(scale_.data()),
        shift(shift_.data()) {}

 private:
  std::vector<float> mean_, scale_, shift_;

 public:
  const float *mean, *scale, *shift;
};

template <typename T>
T Normalized(T x, const float* mean, const float* scale, const float* shift, int64_t i) {
  return (x - Load<T>(mean + i)) * Load<T>(scale + i) + Load<T>(shift + i);
}

// Calls fn(passed), where passed(T(), at, i) is the gradient before the activation function. One
// instantiation per kind keeps the branch out of the loops.
template <typename DType, typename Fn>
void ForPassed(const Passing<DType>& passing, const DType* dy, const DType* x,
               const RepeatedNorm& norm, Fn fn) {
  const DType *y = passing.kept, *residual = y;
  const float *mean = norm.mean, *scale = norm.scale, *shift = norm.shift;
  const auto smooth = [=](auto derivative) {
    if (residual)
      fn([=](auto type, int64_t at, int64_t i) {
        using T = decltype(type);
        const T v = Normalized(Load<T>(x + at), mean, scale, shift, i);
        return Load<T>(dy + at) * derivative(v + Load<T>(residual + at));
      });
    else
      fn([=](auto type, int64_t at, int64_t i) {
        using T = decltype(type);
        const T v = Normalized(Load<T>(x + at), mean, scale, shift, i);
        return Load<T>(dy + at) * derivative(v);
      });
  };
  if (passing.act == Act::kNone) {
    fn([=](auto type, int64_t at, int64_t) { return Load<decltype(type)>(dy + at); });
  } else if (passing.act == Act::kGelu) {
    smooth([](auto v) { return GeluDerivative(v); });
  } else if (passing.act == Act::kSilu) {
    smooth([](auto v) { return SiluDerivative(v); });
  } else if (y) {
    fn([=](auto type, int64_t at, int64_t) {
      using T = decltype(type);
      return Where(Load<T>(y + at), Load<T>(dy + at));
    });
  } else {
    fn([=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      return Where(Normalized(Load<T>(x + at), mean, scale, shift, i), Load<T>(dy + at));
    });
  }
}

}  // namespace

template <typename DType>
void ChannelStatistics(MatrixShape matrix, const DType* x, float* mean, float* variance) {
  // One pass for both: E[d^2] - E[d]^2 of the distances d to the first row. They are of the size of
  // the deviation, so that a large mean costs no digits.
  std::vector<float> first(matrix.channels);
  for (int64_t i = 0; i < matrix.channels; ++i) first[i] = Load<float>(x + i);
  const auto origin = Repeat(first.data(), matrix);
  const float* from = origin.data();
  std::vector<double> s(matrix.channels), t(matrix.channels);
  SumPairs(matrix, s.data(), t.data(), [=](auto type, int64_t at, int64_t i, float* s, float* t) {
    using T = decltype(type);
    const T d = Load<T>(x + at) - Load<T>(from + i);
    Store(s + i, Load<T>(s + i) + d);
    Store(t + i, Load<T>(t + i) + d * d);
  });
  for (int64_t i = 0; i < matrix.channels; ++i) {
    const double d = s[i] / matrix.rows, v = t[i] / matrix.rows - d * d;
    mean[i] = static_cast<float>(first[i] + d);
    variance[i] = static_cast<float>(v < 0 ? 0 : v);  // NaN stays NaN
  }
}

template <typename DType>
void Normalize(MatrixShape matrix, const DType* x, const Norm& given, const DType* residual,
               Act act, DType* y) {
  const RepeatedNorm norm(given, matrix);
  const float *mean = norm.mean, *scale = norm.scale, *shift = norm.shift;
  const auto all = [&](auto add, auto function) {
    ForAll(VectorizedRows(matrix), [=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      const T v = Normalized(Load<T>(x + at), mean, scale, shift, i);
      Store(y + at, function(add(v, at)));
    });
  };
  const auto sum = [=](auto v, int64_t at) { return v + Load<decltype(v)>(residual + at); };
  const auto no_sum = [](auto v, int64_t) { return v; };
  const auto for_sums = [&](auto function) {
    residual ? all(sum, function) : all(no_sum, function);
  };
  if (act == Act::kNone) for_sums([](auto v) { return v; });
  if (act == Act::kRelu) for_sums([](auto v) { return Where(v, v); });
  if (act == Act::kGelu) for_sums([](auto v) { return Gelu(v); });
  if (act == Act::kSilu) for_sums([](auto v) { return Silu(v); });
}

template <typename DType>
void BackwardSums(MatrixShape matrix, const DType* dy, const Passing<DType>& passing,
                  const DType* x, const Norm& given, DType* g, float* sum_g, float* sum_gx) {
  const RepeatedNorm norm(given, matrix);
  const float* mean = norm.mean;
  std::vector<double> s(matrix.channels), t(matrix.channels);
  ForPassed(passing, dy, x, norm, [&](auto passed) {
    SumPairs(matrix, s.data(), t.data(), [=](auto type, int64_t at, int64_t i, float* s, float* t) {
      using T = decltype(type);
      const T v = passed(type, at, i);
      if (g) Store(g + at, v);
      Store(s + i, Load<T>(s + i) + v);
      Store(t + i, Load<T>(t + i) + v * (Load<T>(x + at) - Load<T>(mean + i)));
    });
  });
  std::copy(s.begin(), s.end(), sum_g);
  std::copy(t.begin(), t.end(), sum_gx);
}

template <typename DType>
void BackwardInput(MatrixShape matrix, const DType* dy, const Passing<DType>& passing,
                   const DType* x, const Norm& given, const float* a, const float* b,
                   const float* c, DType* dx) {
  const RepeatedNorm norm(given, matrix);
  const auto as = Repeat(a, matrix), bs = Repeat(b, matrix), cs = Repeat(c, matrix);
  const float *mean = norm.mean, *a_of = as.data(), *b_of = bs.data(), *c_of = cs.data();
  ForPassed(passing, dy, x, norm, [&](auto passed) {
    ForAll(VectorizedRows(matrix), [=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      const T from_mean = Load<T>(x + at) - Load<T>(mean + i);
      Store(dx + at, Load<T>(a_of + i) * passed(type, at, i) + Load<T>(b_of + i) * from_mean +
                         Load<T>(c_of + i));
    });
  });
}

template <typename From, typename To>
void Cast(int64_t count, const From* x, To* y) {
  ForAll(VectorizedRows({count, 1}),
         [=](auto type, int64_t at, int64_t) { Store(y + at, Load<decltype(type)>(x + at)); });
}

template <typename DType>
void Add(int64_t count, const DType* a, const DType* b, DType* sum) {
  ForAll(VectorizedRows({count, 1}), [=](auto type, int64_t at, int64_t) {
    Store(sum + at, Load<decltype(type)>(a + at) + Load<decltype(type)>(b + at));
  });
}

#define INSTANTIATE(DType)                                                                    \
  template void ChannelStatistics(MatrixShape, const DType*, float*, float*);                 \
  template void Normalize(MatrixShape, const DType*, const Norm&, const DType*, Act, DType*); \
  template void BackwardSums(MatrixShape, const DType*, const Passing<DType>&, const DType*,  \
                             const Norm&, DType*, float*, float*);                            \
  template void BackwardInput(MatrixShape, const DType*, const Passing<DType>&, const DType*, \
                              const Norm&, const float*, const float*, const float*, DType*); \
  template void Add(int64_t, const DType*, const DType*, DType*);
INSTANTIATE(float)
INSTANTIATE(BFloat16)
template void Cast(int64_t, const float*, BFloat16*);
template void Cast(int64_t, const BFloat16*, float*);
