// The element-wise and reduction loops around a convolution.
//
// Maps are float32 or bfloat16 in memory; all arithmetic is float32, in registers.
// They do almost no arithmetic on each number, so memory is their limit, and the speed comes from
// reading and writing each map as few times as possible:
// - normalise, sum and ReLU are one pass over the output;
// - the ReLU's mask is computed anew from what is read anyway, or read off the saved output;
// - the backward pass of all three is two passes: one for the sums, one for the gradient.
// The channels of a pixel lie side by side, and so do the pixels: several of them make one long
// row, with the constants of the channels repeated, so that whole registers are used for any number
// of channels, and no sum waits for the one before. Each thread has a fixed share of the rows and
// the shares are added up in order, so that the same numbers come out, bit for bit, whenever the
// number of threads is the same.
#include "batch_norm.h"

#include <omp.h>

#include <algorithm>
#include <numeric>

namespace {

// Numbers of a long row: enough additions side by side to hide how long one takes.
constexpr int64_t kLongRow = 8 * kWidth;
// Sums of this many rows are kept in float32 before they go into float64: fast and exact enough.
constexpr int64_t kRowsPerSum = 256;

// Seen as long rows: `width` numbers, a multiple of both the channels and the register.
struct LongRows {
  int64_t width, rows, rest;  // `rest` numbers are left at the end

  explicit LongRows(Rows map) {
    width = std::lcm(map.channels, kWidth);
    width *= (kLongRow + width - 1) / width;
    rows = map.rows * map.channels / width;
    rest = map.rows * map.channels - rows * width;
  }
  int threads() const {
    // Waking a thread takes microseconds: not for what one core does in that time.
    return rows * width < 8192 ? 1 : omp_get_max_threads();
  }
};

// The constants of the channels, one after the other until a long row is full.
std::vector<float> Repeat(const float* constants, Rows map) {
  std::vector<float> repeated(LongRows(map).width);
  for (size_t i = 0; i < repeated.size(); ++i) repeated[i] = constants[i % map.channels];
  return repeated;
}

// Calls work(first, last, thread) with each thread's share of the long rows.
template <typename Work>
void Split(const LongRows& map, Work work) {
  const int threads = map.threads();
  const int64_t share = (map.rows + threads - 1) / threads;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int thread = 0; thread < threads; ++thread) {
    const int64_t first = std::min(map.rows, thread * share);
    work(first, std::min(map.rows, first + share), thread);
  }
}

// Calls one(T(), at, i) for every register's worth of numbers of the long rows [first, last): `at`
// is where they are, `i` where their constants are in a long row.
template <typename One>
inline void ForRows(int64_t width, int64_t first, int64_t last, One one) {
  for (int64_t row = first; row < last; ++row)
    for (int64_t i = 0; i < width; i += kWidth) one(Vector(), row * width + i, i);
}

// The same for a whole map, on all threads, and for the numbers that fill no long row.
template <typename One>
void ForAll(const LongRows& map, One one) {
  Split(map, [=](int64_t first, int64_t last, int) { ForRows(map.width, first, last, one); });
  for (int64_t i = 0; i < map.rest; ++i) one(float(), map.rows * map.width + i, i);
}

// Adds up two sums per channel: one(T(), at, i, s, t) adds to the float32 sums s[i] and t[i].
template <typename One>
void TwoSums(Rows rows, double* total_s, double* total_t, One one) {
  const LongRows map(rows);
  const int64_t width = map.width;
  std::vector<double> shares((map.threads() + 1) * 2 * width, 0.0);
  const auto add = [&](int64_t thread, const float* sums) {
    for (int64_t i = 0; i < 2 * width; ++i) shares[thread * 2 * width + i] += sums[i];
  };
  Split(map, [&](int64_t first, int64_t last, int thread) {
    std::vector<float> sums(2 * width);
    float *s = sums.data(), *t = s + width;
    for (int64_t row = first; row < last; row += kRowsPerSum) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      ForRows(width, row, std::min(last, row + kRowsPerSum),
              [=](auto type, int64_t at, int64_t i) { one(type, at, i, s, t); });
      add(thread, sums.data());
    }
  });
  std::vector<float> sums(2 * width);
  for (int64_t i = 0; i < map.rest; ++i)
    one(float(), map.rows * width + i, i, sums.data(), sums.data() + width);
  add(map.threads(), sums.data());

  std::fill_n(total_s, rows.channels, 0.0);
  std::fill_n(total_t, rows.channels, 0.0);
  for (int thread = 0; thread <= map.threads(); ++thread) {
    for (int64_t i = 0; i < width; ++i) {
      total_s[i % rows.channels] += shares[thread * 2 * width + i];
      total_t[i % rows.channels] += shares[thread * 2 * width + width + i];
    }
  }
}

// The constants of a normalisation, and what it makes of a number.
class RepeatedNorm {
 public:
  RepeatedNorm(const Norm& norm, Rows map)
      : mean_(Repeat(norm.mean, map)),
        scale_(Repeat(norm.scale, map)),
        shift_(Repeat(norm.shift, map)),
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

// What is not above zero becomes zero, NaN too: Paddle's own ReLU on a CPU does that.
template <typename T>
T Where(T positive, T value) {
  return positive > 0 ? value : T{};
}

// Calls with(masked), where masked(T(), at, i) is the gradient of the ReLU's input: one function
// for each kind of mask, so that the loops have no test inside.
template <typename Number, typename With>
void ForMask(const Mask<Number>& mask, const Number* dy, const Number* x, const RepeatedNorm& norm,
             With with) {
  const Number* y = mask.y;
  const float *mean = norm.mean, *scale = norm.scale, *shift = norm.shift;
  if (!mask.relu) {
    with([=](auto type, int64_t at, int64_t) { return Load<decltype(type)>(dy + at); });
  } else if (y) {
    with([=](auto type, int64_t at, int64_t) {
      using T = decltype(type);
      return Where(Load<T>(y + at), Load<T>(dy + at));
    });
  } else {
    with([=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      return Where(Normalized(Load<T>(x + at), mean, scale, shift, i), Load<T>(dy + at));
    });
  }
}

}  // namespace

template <typename Number>
void ChannelStatistics(Rows map, const Number* x, float* mean, float* variance) {
  // One pass for both. Distances are taken from the first row, which is about as far from the mean
  // as the rest: E[d^2] - E[d]^2 then loses no digits to a large mean.
  std::vector<float> first(map.channels);
  for (int64_t i = 0; i < map.channels; ++i) first[i] = Load<float>(x + i);
  const auto origin = Repeat(first.data(), map);
  const float* from = origin.data();
  std::vector<double> s(map.channels), t(map.channels);
  TwoSums(map, s.data(), t.data(), [=](auto type, int64_t at, int64_t i, float* s, float* t) {
    using T = decltype(type);
    const T d = Load<T>(x + at) - Load<T>(from + i);
    Store(s + i, Load<T>(s + i) + d);
    Store(t + i, Load<T>(t + i) + d * d);
  });
  for (int64_t i = 0; i < map.channels; ++i) {
    const double d = s[i] / map.rows, v = t[i] / map.rows - d * d;
    mean[i] = static_cast<float>(first[i] + d);
    variance[i] = static_cast<float>(v < 0 ? 0 : v);  // NaN stays NaN
  }
}

template <typename Number>
void Normalize(Rows map, const Number* x, const Norm& given, const Number* residual, bool relu,
               Number* y) {
  const RepeatedNorm norm(given, map);
  const float *mean = norm.mean, *scale = norm.scale, *shift = norm.shift;
  const auto all = [&](auto add, auto act) {
    ForAll(LongRows(map), [=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      const T v = Normalized(Load<T>(x + at), mean, scale, shift, i);
      Store(y + at, act(add(v, at)));
    });
  };
  const auto sum = [=](auto v, int64_t at) { return v + Load<decltype(v)>(residual + at); };
  const auto no_sum = [](auto v, int64_t) { return v; };
  const auto rectify = [](auto v) { return Where(v, v); };
  const auto no_act = [](auto v) { return v; };
  if (residual)
    relu ? all(sum, rectify) : all(sum, no_act);
  else
    relu ? all(no_sum, rectify) : all(no_sum, no_act);
}

template <typename Number>
void BackwardSums(Rows map, const Number* dy, const Mask<Number>& mask, const Number* x,
                  const Norm& given, Number* g, float* sum_g, float* sum_gx) {
  const RepeatedNorm norm(given, map);
  const float* mean = norm.mean;
  std::vector<double> s(map.channels), t(map.channels);
  ForMask(mask, dy, x, norm, [&](auto masked) {
    TwoSums(map, s.data(), t.data(), [=](auto type, int64_t at, int64_t i, float* s, float* t) {
      using T = decltype(type);
      const T v = masked(type, at, i);
      if (g) Store(g + at, v);
      Store(s + i, Load<T>(s + i) + v);
      Store(t + i, Load<T>(t + i) + v * (Load<T>(x + at) - Load<T>(mean + i)));
    });
  });
  std::copy(s.begin(), s.end(), sum_g);
  std::copy(t.begin(), t.end(), sum_gx);
}

template <typename Number>
void BackwardInput(Rows map, const Number* dy, const Mask<Number>& mask, const Number* x,
                   const Norm& given, const float* a, const float* b, const float* c, Number* dx) {
  const RepeatedNorm norm(given, map);
  const auto as = Repeat(a, map), bs = Repeat(b, map), cs = Repeat(c, map);
  const float *mean = norm.mean, *a_of = as.data(), *b_of = bs.data(), *c_of = cs.data();
  ForMask(mask, dy, x, norm, [&](auto masked) {
    ForAll(LongRows(map), [=](auto type, int64_t at, int64_t i) {
      using T = decltype(type);
      const T from_mean = Load<T>(x + at) - Load<T>(mean + i);
      Store(dx + at, Load<T>(a_of + i) * masked(type, at, i) + Load<T>(b_of + i) * from_mean +
                         Load<T>(c_of + i));
    });
  });
}

template <typename From, typename To>
void Convert(int64_t count, const From* x, To* y) {
  ForAll(LongRows({count, 1}), [=](auto type, int64_t at, int64_t) {
    Store(y + at, Load<decltype(type)>(x + at));
  });
}

template <typename Number>
void Add(int64_t count, const Number* a, const Number* b, Number* sum) {
  ForAll(LongRows({count, 1}), [=](auto type, int64_t at, int64_t) {
    Store(sum + at, Load<decltype(type)>(a + at) + Load<decltype(type)>(b + at));
  });
}

#define FOR_MAPS_OF(Number)                                                                      \
  template void ChannelStatistics(Rows, const Number*, float*, float*);                          \
  template void Normalize(Rows, const Number*, const Norm&, const Number*, bool, Number*);       \
  template void BackwardSums(Rows, const Number*, const Mask<Number>&, const Number*,            \
                             const Norm&, Number*, float*, float*);                              \
  template void BackwardInput(Rows, const Number*, const Mask<Number>&, const Number*,           \
                              const Norm&, const float*, const float*, const float*, Number*);   \
  template void Add(int64_t, const Number*, const Number*, Number*);
FOR_MAPS_OF(float)
FOR_MAPS_OF(BFloat16)
template void Convert(int64_t, const float*, BFloat16*);
template void Convert(int64_t, const BFloat16*, float*);
