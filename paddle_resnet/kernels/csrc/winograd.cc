// Winograd's minimal filtering F(4x4, 3x3): Lavin and Gray 2015, arXiv:1509.09308.
//
// Where the speed comes from:
// - A tile of 4x4 outputs depends on 6x6 inputs and the 3x3 filter. Transformed, all three have 36
//   elements, and the convolution is a product element by element: 36 multiplications in place of
//   16 * 9. Over all tiles and channels that is a batch of 36 matrix products.
// - Each transform takes additions and a pass over memory. Tiles are processed in chunks whose
//   transformed input and output stay in the L2 caches.
// - The weight gradient is the transpose of the same computation; the data gradient is a
//   convolution of the output's gradient with the filter rotated by 180 degrees.
// - If the output is max-pooled, only the pooled activation and its argmax indices are written, and
//   read by the gradients: a quarter of the elements, on the layers with the largest activations.
//
// The price is rounding: about 1e-5 of the largest output, where a direct convolution has 1e-6. An
// infinite pixel makes all outputs of its tiles NaN.
//
// Matrices are stored in panels of one register's columns: [columns / kWidth][rows][kWidth].
#include "winograd.h"

#include <immintrin.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "scratch.h"
#include "winograd_activations.h"

namespace winograd {
namespace {

// The block of a matrix product that stays in registers.
#ifdef __AVX512F__
constexpr int64_t kRows = 8, kPanels = 2;
#else
constexpr int64_t kRows = 4, kPanels = 2;
#endif
constexpr int64_t kTaps = kFilter * kFilter;

// Whether StoreNonTemporal is faster: the output will not be in the caches when it is read again.
bool LargerThanCaches(const float* data, int64_t elements) {
  static const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 1 << 23);
  return reinterpret_cast<uintptr_t>(data) % 64 == 0 &&
         2 * elements * static_cast<int64_t>(sizeof(float)) > cache;
}

// Returns the distance between the matrices of two tile elements. It is never a power of two, whose
// multiples would compete for one set of the cache.
int64_t PaddedStride(int64_t rows, int64_t columns) { return rows * columns + kWidth; }

int64_t RoundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// A chunk of the tiles of a batch.
struct Tiles {
  int64_t down, across;  // of an image
  int64_t first, count;
  int64_t rows;  // the count, rounded up for the matrix product
};

// Calls fn(i, n, y, x) for all tiles, with the image and the tile's first pixel in it.
template <typename Fn>
void ForTiles(const Tiles& tiles, int64_t count, Fn fn) {
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < count; ++i) {
      const int64_t t = tiles.first + i;
      fn(i, t / (tiles.down * tiles.across), t / tiles.across % tiles.down * kOut,
         t % tiles.across * kOut);
    }
    _mm_sfence();  // non-temporal stores are visible before other threads read
  }
}

// Transforms the tiles of an activation and writes them as panels, a matrix per tile element.
template <typename Transform, template <typename, int64_t> class Source, typename DType>
void TransformInput(const Tiles& tiles, const Activation<DType>& activation, float* to) {
  const int64_t panel = tiles.rows * kWidth, stride = PaddedStride(tiles.rows, activation.channels);
  const std::vector<DType> zeros(activation.channels);
  // The product's rows are a multiple of kRows: the rest is zero.
  const Activation<DType> outside{nullptr, nullptr, 0, 0, activation.channels, 0};
  ForTiles(tiles, tiles.rows, [&](int64_t t, int64_t n, int64_t top, int64_t left) {
    const Source<DType, Transform::kFrom> pixels(t < tiles.count ? activation : outside, n,
                                          top - activation.pad, left - activation.pad,
                                          zeros.data());
    for (int64_t c = 0; c < activation.channels; c += kWidth) {
      Vector tile[kTileElements];
      pixels.Get(c, tile);
      ApplyTransform<Transform>(tile);
      float* at = to + c / kWidth * panel + t * kWidth;
#pragma GCC unroll 36
      for (int64_t p = 0; p < kTileElements; ++p) Store(at + p * stride, tile[p]);
    }
  });
}

template <typename Transform, typename DType>
void TransformInput(const Tiles& tiles, const Activation<DType>& activation, float* to) {
  return activation.argmax_indices ? TransformInput<Transform, PooledPixels>(tiles, activation, to)
                                   : TransformInput<Transform, Pixels>(tiles, activation, to);
}

// Transforms back to pixels.
template <typename To>
void TransformOutput(const Tiles& tiles, const float* from, const To& to) {
  const int64_t panel = tiles.rows * kWidth, stride = PaddedStride(tiles.rows, to.channels);
  ForTiles(tiles, tiles.count, [&](int64_t t, int64_t n, int64_t top, int64_t left) {
    for (int64_t c = 0; c < to.channels; c += kWidth) {
      const float* at = from + c / kWidth * panel + t * kWidth;
      Vector tile[kTileElements];
#pragma GCC unroll 36
      for (int64_t p = 0; p < kTileElements; ++p) tile[p] = Load(at + p * stride);
      ApplyTransform<Output>(tile);
      to(tile, n, top, left, c);
    }
  });
}

// Transforms weights [O, C, 3, 3] to panels. Rows are input channels and columns output channels;
// the other way round with `rotated`, for the data gradient.
void TransformWeights(const ConvShape& s, const float* weight, bool rotated, float* to) {
  const int64_t rows = rotated ? s.o : s.c, columns = rotated ? s.c : s.o;
  const int64_t next_row = rotated ? s.c * kTaps : kTaps,
                next_column = rotated ? kTaps : s.c * kTaps;
#pragma omp parallel for schedule(static)
  for (int64_t column = 0; column < columns; column += kWidth)
    for (int64_t row = 0; row < rows; ++row) {
      Vector tile[kTileElements];
      for (int64_t i = 0; i < kWidth; ++i) {
        const float* filter = weight + row * next_row + (column + i) * next_column;
        for (int64_t y = 0; y < kFilter; ++y)
          for (int64_t x = 0; x < kFilter; ++x) {
            const int64_t tap = y * kFilter + x;
            tile[y * kIn + x][i] = filter[rotated ? kTaps - 1 - tap : tap];
          }
      }
      ApplyTransform<Filter>(tile);
      for (int64_t p = 0; p < kTileElements; ++p)
        Store(to + p * PaddedStride(rows, columns) + column * rows + row * kWidth, tile[p]);
    }
}

// The gradient of TransformWeights without `rotated`.
void WeightGradientFromTiles(const ConvShape& s, const float* from, float* weight) {
#pragma omp parallel for schedule(static)
  for (int64_t column = 0; column < s.o; column += kWidth)
    for (int64_t row = 0; row < s.c; ++row) {
      Vector tile[kTileElements];
      for (int64_t p = 0; p < kTileElements; ++p)
        tile[p] = Load(from + p * PaddedStride(s.c, s.o) + column * s.c + row * kWidth);
      ApplyTransform<FilterGradient>(tile);
      for (int64_t i = 0; i < kWidth; ++i)
        for (int64_t tap = 0; tap < kTaps; ++tap)
          weight[((column + i) * s.c + row) * kTaps + tap] =
              tile[tap / kFilter * kIn + tap % kFilter][i];
    }
}

// Computes c = a * b, or c += a * b, for kRows rows and `Panels` panels of c, over `k` rows of b.
// Panels of a are a_panel elements apart; transposed, a row of a belongs to a row of b.
template <int64_t Panels, bool Transposed>
void Block(int64_t k, const float* a, int64_t a_panel, const float* b, int64_t b_panel, float* c,
           int64_t c_panel, bool add) {
  Vector sum[kRows][Panels];
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int64_t q = 0; q < Panels; ++q)
      sum[r][q] = add ? Load(c + q * c_panel + r * kWidth) : Vector{};
  for (int64_t i0 = 0; i0 < k; i0 += kWidth, a += Transposed ? kWidth * kWidth : a_panel) {
    for (int64_t i = 0; i < std::min(kWidth, k - i0); ++i) {
      Vector right[Panels];
#pragma GCC unroll 2
      for (int64_t q = 0; q < Panels; ++q) right[q] = Load(b + q * b_panel + (i0 + i) * kWidth);
#pragma GCC unroll 8
      for (int64_t r = 0; r < kRows; ++r) {
        const float left = Transposed ? a[i * kWidth + r] : a[r * kWidth + i];
#pragma GCC unroll 2
        for (int64_t q = 0; q < Panels; ++q) sum[r][q] += left * right[q];
      }
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int64_t q = 0; q < Panels; ++q) Store(c + q * c_panel + r * kWidth, sum[r][q]);
}

// For each tile element computes c = a * b (transposed: a^T * b), or adds it to c. `rows` and
// `columns` are those of c; the sum runs over `k`.
template <bool Transposed>
void BatchedGemm(int64_t rows, int64_t k, int64_t columns, const float* a, const float* b, float* c,
                 bool add) {
  const int64_t panels = columns / kWidth, jobs = (panels + kPanels - 1) / kPanels;
#pragma omp parallel for schedule(static)
  for (int64_t job = 0; job < kTileElements * jobs; ++job) {
    const int64_t p = job / jobs, panel = job % jobs * kPanels;
    const auto block = panels - panel < kPanels ? Block<1, Transposed> : Block<kPanels, Transposed>;
    const float* left = a + p * PaddedStride(rows, k);
    const float* right = b + p * PaddedStride(k, columns) + panel * k * kWidth;
    float* to = c + p * PaddedStride(rows, columns) + panel * rows * kWidth;
    for (int64_t row = 0; row < rows; row += kRows)
      block(k, left + (Transposed ? row / kWidth * k * kWidth + row % kWidth : row * kWidth),
            rows * kWidth, right, k * kWidth, to + row * kWidth, rows * kWidth, add);
  }
}

// Calls fn(tiles) for all tiles of a batch in chunks that fill half of the L2 caches, but of at
// least 64 tiles: below that, reading the weights takes longer than the product.
template <typename Fn>
void ForChunks(const ConvShape& s, Fn fn) {
  static const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 1 << 18);
  Tiles tiles{RoundUp(s.oh, kOut) / kOut, RoundUp(s.ow, kOut) / kOut, 0, 0, 0};
  const int64_t all = s.n * tiles.down * tiles.across;
  const int64_t bytes = kTileElements * (s.c + s.o) * sizeof(float);
  const int64_t fit = cache / 2 * omp_get_max_threads() / bytes;
  for (; tiles.first < all; tiles.first += tiles.count) {
    tiles.count = std::min(std::max<int64_t>(64, fit / kRows * kRows), all - tiles.first);
    tiles.rows = RoundUp(tiles.count, kRows);
    fn(tiles);
  }
}

struct Buffers {
  Scratch inputs, weights, outputs;
};
Buffers& buffers() {
  static thread_local Buffers one;
  return one;
}

float* TileBuffer(Scratch& scratch, int64_t rows, int64_t columns) {
  return static_cast<float*>(
      scratch.Get(kTileElements * PaddedStride(rows, columns) * sizeof(float)));
}

// Computes y = x * weights, with transformed weights.
template <typename DType, typename To>
void Convolve(const ConvShape& s, const Activation<DType>& x, const float* weights, const To& y) {
  ForChunks(s, [&](const Tiles& tiles) {
    float* inputs = TileBuffer(buffers().inputs, tiles.rows, s.c);
    float* outputs = TileBuffer(buffers().outputs, tiles.rows, s.o);
    TransformInput<Input>(tiles, x, inputs);
    BatchedGemm<false>(tiles.rows, s.c, s.o, inputs, weights, outputs, false);
    TransformOutput(tiles, outputs, y);
  });
}

void ConvolveWhole(const ConvShape& s, const Activation<float>& x, const float* weights, float* y) {
  if (LargerThanCaches(y, s.n * s.oh * s.ow * s.o))
    Convolve(s, x, weights, WholeActivation<float, StoreNonTemporal>{y, s.oh, s.ow, s.o});
  else
    Convolve(s, x, weights, WholeActivation<float, Store>{y, s.oh, s.ow, s.o});
}

// A register of bfloat16 is half a cache line, too little for a store past the caches.
void ConvolveWhole(const ConvShape& s, const Activation<BFloat16>& x, const float* weights,
                   BFloat16* y) {
  Convolve(s, x, weights, WholeActivation<BFloat16, Store>{y, s.oh, s.ow, s.o});
}

template <typename DType>
void Forward(const ConvShape& s, const void* x, const float* weight, void* output,
             uint8_t* argmax_indices) {
  float* weights = TileBuffer(buffers().weights, s.c, s.o);
  TransformWeights(s, weight, false, weights);
  const Activation<DType> input{static_cast<const DType*>(x), nullptr, s.h, s.w, s.c, s.pad};
  auto* y = static_cast<DType*>(output);
  if (argmax_indices)
    Convolve(s, input, weights,
             PooledActivation<DType>{y, argmax_indices, s.oh / 2, s.ow / 2, s.o});
  else
    ConvolveWhole(s, input, weights, y);
}

template <typename DType>
void BackwardData(const ConvShape& s, const void* dy, const float* weight, void* dx,
                  const uint8_t* argmax_indices) {
  float* weights = TileBuffer(buffers().weights, s.o, s.c);
  TransformWeights(s, weight, true, weights);
  ConvShape back = s;
  back.c = s.o, back.h = s.oh, back.w = s.ow;
  back.o = s.c, back.oh = s.h, back.ow = s.w;
  const Activation<DType> gradient{static_cast<const DType*>(dy), argmax_indices, s.oh, s.ow, s.o,
                                   kFilter - 1 - s.pad};
  ConvolveWhole(back, gradient, weights, static_cast<DType*>(dx));
}

template <typename DType>
void BackwardWeights(const ConvShape& s, const void* x, const void* dy, float* dw,
                     const uint8_t* argmax_indices) {
  float* weights = TileBuffer(buffers().weights, s.c, s.o);
  const Activation<DType> input{static_cast<const DType*>(x), nullptr, s.h, s.w, s.c, s.pad};
  const Activation<DType> gradient{static_cast<const DType*>(dy), argmax_indices, s.oh, s.ow, s.o,
                                   0};
  ForChunks(s, [&](const Tiles& tiles) {
    float* inputs = TileBuffer(buffers().inputs, tiles.rows, s.c);
    float* outputs = TileBuffer(buffers().outputs, tiles.rows, s.o);
    TransformInput<Input>(tiles, input, inputs);
    TransformInput<OutputGradient>(tiles, gradient, outputs);
    BatchedGemm<true>(s.c, tiles.rows, s.o, inputs, outputs, weights, tiles.first > 0);
  });
  WeightGradientFromTiles(s, weights, dw);
}

}  // namespace
}  // namespace winograd

bool KnownToWinograd(const ConvShape& s) {
  using namespace winograd;
  const int64_t down = RoundUp(s.oh, kOut), across = RoundUp(s.ow, kOut);
  // Up to half of the computed pixels may lie outside.
  return s.kh == kFilter && s.kw == kFilter && s.stride == 1 && s.dilation == 1 && s.groups == 1 &&
         s.pad < kFilter && s.c % winograd::kWidth == 0 && s.o % winograd::kWidth == 0 &&
         2 * s.oh * s.ow >= down * across;
}

bool PoolsByWinograd(const ConvShape& s) {
  return KnownToWinograd(s) && s.pad == 1 && s.oh % 2 == 0 && s.ow % 2 == 0;
}

void WinogradForward(const ConvShape& s, const void* x, const float* weight, void* y,
                     uint8_t* argmax_indices) {
  using namespace winograd;
  (s.bfloat16 ? Forward<BFloat16> : Forward<float>)(s, x, weight, y, argmax_indices);
}

void WinogradBackwardData(const ConvShape& s, const void* dy, const float* weight, void* dx,
                          const uint8_t* argmax_indices) {
  using namespace winograd;
  (s.bfloat16 ? BackwardData<BFloat16> : BackwardData<float>)(s, dy, weight, dx, argmax_indices);
}

void WinogradBackwardWeights(const ConvShape& s, const void* x, const void* dy, float* dw,
                             const uint8_t* argmax_indices) {
  using namespace winograd;
  (s.bfloat16 ? BackwardWeights<BFloat16> : BackwardWeights<float>)(s, x, dy, dw, argmax_indices);
}
