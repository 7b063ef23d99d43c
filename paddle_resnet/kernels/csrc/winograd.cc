// Winograd's minimal filtering, F(4x4, 3x3): Lavin and Gray 2015, arXiv:1509.09308.
//
// Where the speed comes from:
// - A tile of 4x4 outputs is made of 6x6 inputs and a window of 3x3. All three have a form of 36
//   positions in which the convolution is a product, position by position: 36 multiplications
//   where there were 16 * 9. Over all tiles and channels that is a matrix product per position.
// - The forms take sums and a pass over memory each, so that a tile's way there and back has to
//   stay in the cache: tiles are worked on some at a time.
// - The weight gradient is the transpose of the same computation; the data gradient is a
//   convolution of the output's gradient with the window turned around.
// - Where the output is max-pooled next, only the pooled map and its winners are written, and read
//   again by the gradients: a quarter of the numbers, on the layers that have the largest maps.
//
// The price is rounding, about 1e-5 of the largest output where a plain convolution has 1e-6, and an
// infinite pixel makes all outputs of its tiles NaN.
//
// Matrices lie in panels of as many columns as a register holds: [columns / 16][rows][16].
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

namespace {

using namespace winograd;

// The block of a product that stays in all registers.
#ifdef __AVX512F__
constexpr int64_t kRows = 8, kPanels = 2;
#else
constexpr int64_t kRows = 4, kPanels = 2;
#endif
constexpr int64_t kTaps = kWindow * kWindow;

// Whether StoreToMemory is better: the map is not in the caches any more when it is read again.
bool LargerThanCaches(const float* map, int64_t numbers) {
  static const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 1 << 23);
  return reinterpret_cast<uintptr_t>(map) % 64 == 0 &&
         2 * numbers * static_cast<int64_t>(sizeof(float)) > cache;
}

// From one position's matrix to the next: never a power of two, whose multiples all fall into one
// set of the cache and drive each other out.
int64_t Apart(int64_t rows, int64_t columns) { return rows * columns + kWidth; }

int64_t Up(int64_t number, int64_t to) { return (number + to - 1) / to * to; }

// Some of the tiles of a batch, in order.
struct Tiles {
  int64_t down, across;  // of an image
  int64_t first, count;
  int64_t rows;  // the count, rounded up for the matrix product
};

// Calls with(i, n, y, x) for all tiles, with the image and where in it the tile begins.
template <typename With>
void ForTiles(const Tiles& tiles, int64_t count, With with) {
#pragma omp parallel
  {
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < count; ++i) {
      const int64_t t = tiles.first + i;
      with(i, t / (tiles.down * tiles.across), t / tiles.across % tiles.down * kOut,
           t % tiles.across * kOut);
    }
    _mm_sfence();  // what went past the caches is there before other threads go on
  }
}

// Reads the pixels of each tile of a map, and writes their form as panels for each position.
template <typename Form, template <int64_t> class Source>
void ToPositions(const Tiles& tiles, const Map& map, float* to) {
  const int64_t panel = tiles.rows * kWidth, apart = Apart(tiles.rows, map.channels);
  const std::vector<float> zeros(map.channels);
  // The product takes some rows more than there are tiles: zeros.
  const Map nothing{nullptr, nullptr, 0, 0, map.channels, 0};
  ForTiles(tiles, tiles.rows, [&](int64_t t, int64_t n, int64_t top, int64_t left) {
    const Source<Form::kFrom> pixels(t < tiles.count ? map : nothing, n, top - map.pad,
                                     left - map.pad, zeros.data());
    for (int64_t c = 0; c < map.channels; c += kWidth) {
      Vector tile[kPositions];
      pixels.Get(c, tile);
      Transform<Form>(tile);
      float* at = to + c / kWidth * panel + t * kWidth;
#pragma GCC unroll 36
      for (int64_t p = 0; p < kPositions; ++p) Store(at + p * apart, tile[p]);
    }
  });
}

template <typename Form>
void ToPositions(const Tiles& tiles, const Map& map, float* to) {
  return map.winners ? ToPositions<Form, PooledPixels>(tiles, map, to)
                     : ToPositions<Form, Pixels>(tiles, map, to);
}

// The way back from positions to pixels.
template <typename To>
void FromPositions(const Tiles& tiles, const float* from, const To& to) {
  const int64_t panel = tiles.rows * kWidth, apart = Apart(tiles.rows, to.channels);
  ForTiles(tiles, tiles.count, [&](int64_t t, int64_t n, int64_t top, int64_t left) {
    for (int64_t c = 0; c < to.channels; c += kWidth) {
      const float* at = from + c / kWidth * panel + t * kWidth;
      Vector tile[kPositions];
#pragma GCC unroll 36
      for (int64_t p = 0; p < kPositions; ++p) tile[p] = Load(at + p * apart);
      Transform<Output>(tile);
      to(tile, n, top, left, c);
    }
  });
}

// Weights [O, C, 3, 3] as panels; rows are the input's channels and columns the output's, or,
// `turned`, for the data gradient, the other way round.
void WeightsToPositions(const ConvShape& s, const float* weight, bool turned, float* to) {
  const int64_t rows = turned ? s.o : s.c, columns = turned ? s.c : s.o;
  const int64_t next_row = turned ? s.c * kTaps : kTaps, next_column = turned ? kTaps : s.c * kTaps;
#pragma omp parallel for schedule(static)
  for (int64_t column = 0; column < columns; column += kWidth)
    for (int64_t row = 0; row < rows; ++row) {
      Vector tile[kPositions];
      for (int64_t i = 0; i < kWidth; ++i) {
        const float* window = weight + row * next_row + (column + i) * next_column;
        for (int64_t y = 0; y < kWindow; ++y)
          for (int64_t x = 0; x < kWindow; ++x) {
            const int64_t tap = y * kWindow + x;
            tile[y * kIn + x][i] = window[turned ? kTaps - 1 - tap : tap];
          }
      }
      Transform<Window>(tile);
      for (int64_t p = 0; p < kPositions; ++p)
        Store(to + p * Apart(rows, columns) + column * rows + row * kWidth, tile[p]);
    }
}

// The gradient of the same, not turned.
void WeightsFromPositions(const ConvShape& s, const float* from, float* weight) {
#pragma omp parallel for schedule(static)
  for (int64_t column = 0; column < s.o; column += kWidth)
    for (int64_t row = 0; row < s.c; ++row) {
      Vector tile[kPositions];
      for (int64_t p = 0; p < kPositions; ++p)
        tile[p] = Load(from + p * Apart(s.c, s.o) + column * s.c + row * kWidth);
      Transform<WindowGradient>(tile);
      for (int64_t i = 0; i < kWidth; ++i)
        for (int64_t tap = 0; tap < kTaps; ++tap)
          weight[((column + i) * s.c + row) * kTaps + tap] =
              tile[tap / kWindow * kIn + tap % kWindow][i];
    }
}

// c = a * b, or c += a * b, for kRows rows and `Panels` panels of c, over `k` rows of b. The panels
// of a lie a_panel apart; transposed, a row of it holds what is multiplied with a row of b.
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

// For each position c = a * b, or, transposed, c = a^T * b; or adds that to c. `rows` and `columns`
// are c's, `k` is what is summed over.
template <bool Transposed>
void Products(int64_t rows, int64_t k, int64_t columns, const float* a, const float* b, float* c,
              bool add) {
  const int64_t panels = columns / kWidth, jobs = (panels + kPanels - 1) / kPanels;
#pragma omp parallel for schedule(static)
  for (int64_t job = 0; job < kPositions * jobs; ++job) {
    const int64_t p = job / jobs, panel = job % jobs * kPanels;
    const auto block = panels - panel < kPanels ? Block<1, Transposed> : Block<kPanels, Transposed>;
    const float* left = a + p * Apart(rows, k);
    const float* right = b + p * Apart(k, columns) + panel * k * kWidth;
    float* to = c + p * Apart(rows, columns) + panel * rows * kWidth;
    for (int64_t row = 0; row < rows; row += kRows)
      block(k, left + (Transposed ? row / kWidth * k * kWidth + row % kWidth : row * kWidth),
            rows * kWidth, right, k * kWidth, to + row * kWidth, rows * kWidth, add);
  }
}

// Calls with(tiles) for all tiles of a batch, some at a time: as many as fill half of the L2 caches
// in both forms, but at least 64, or reading the weights would take longer than the product.
template <typename With>
void ForChunks(const ConvShape& s, With with) {
  static const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE), 1 << 18);
  Tiles tiles{Up(s.oh, kOut) / kOut, Up(s.ow, kOut) / kOut, 0, 0, 0};
  const int64_t all = s.n * tiles.down * tiles.across;
  const int64_t bytes = kPositions * (s.c + s.o) * sizeof(float);
  const int64_t fit = cache / 2 * omp_get_max_threads() / bytes;
  for (; tiles.first < all; tiles.first += tiles.count) {
    tiles.count = std::min(std::max<int64_t>(64, fit / kRows * kRows), all - tiles.first);
    tiles.rows = Up(tiles.count, kRows);
    with(tiles);
  }
}

struct Buffers {
  Scratch inputs, weights, outputs;
};
Buffers& buffers() {
  static thread_local Buffers one;
  return one;
}

float* Positions(Scratch& scratch, int64_t rows, int64_t columns) {
  return static_cast<float*>(scratch.Get(kPositions * Apart(rows, columns) * sizeof(float)));
}

// y = x * weights, where the weights have their form already.
template <typename To>
void Convolve(const ConvShape& s, const Map& x, const float* weights, const To& y) {
  ForChunks(s, [&](const Tiles& tiles) {
    float* inputs = Positions(buffers().inputs, tiles.rows, s.c);
    float* outputs = Positions(buffers().outputs, tiles.rows, s.o);
    ToPositions<Input>(tiles, x, inputs);
    Products<false>(tiles.rows, s.c, s.o, inputs, weights, outputs, false);
    FromPositions(tiles, outputs, y);
  });
}

void ConvolveWhole(const ConvShape& s, const Map& x, const float* weights, float* y) {
  if (LargerThanCaches(y, s.n * s.oh * s.ow * s.o))
    Convolve(s, x, weights, WholeMap<StoreToMemory>{y, s.oh, s.ow, s.o});
  else
    Convolve(s, x, weights, WholeMap<Store>{y, s.oh, s.ow, s.o});
}

}  // namespace

bool BetterByWinograd(const ConvShape& s) {
  const int64_t down = Up(s.oh, kOut), across = Up(s.ow, kOut);
  const bool known = s.kh == kWindow && s.kw == kWindow && s.stride == 1 && s.dilation == 1 &&
                     s.groups == 1 && s.pad < kWindow && s.c % kWidth == 0 && s.o % kWidth == 0;
  // Found by measuring ResNets' layers: with few channels the forms take longer than the products,
  // with few tiles that of the weights does. Half of what is computed may lie outside of the map.
  return known && s.c >= 32 && s.o >= 32 && s.n * down * across >= 32 * kOut * kOut &&
         2 * s.oh * s.ow >= down * across;
}

bool PoolsByWinograd(const ConvShape& s) {
  return BetterByWinograd(s) && s.pad == 1 && s.oh % 2 == 0 && s.ow % 2 == 0;
}

void WinogradForward(const ConvShape& s, const float* x, const float* weight, float* y,
                     uint8_t* winners) {
  float* weights = Positions(buffers().weights, s.c, s.o);
  WeightsToPositions(s, weight, false, weights);
  const Map input{x, nullptr, s.h, s.w, s.c, s.pad};
  if (winners)
    Convolve(s, input, weights, PooledMap{y, winners, s.oh / 2, s.ow / 2, s.o});
  else
    ConvolveWhole(s, input, weights, y);
}

void WinogradBackwardData(const ConvShape& s, const float* dy, const float* weight, float* dx,
                          const uint8_t* winners) {
  float* weights = Positions(buffers().weights, s.o, s.c);
  WeightsToPositions(s, weight, true, weights);
  ConvShape back = s;
  back.c = s.o, back.h = s.oh, back.w = s.ow;
  back.o = s.c, back.oh = s.h, back.ow = s.w;
  ConvolveWhole(back, {dy, winners, s.oh, s.ow, s.o, kWindow - 1 - s.pad}, weights, dx);
}

void WinogradBackwardWeights(const ConvShape& s, const float* x, const float* dy, float* dw,
                             const uint8_t* winners) {
  float* weights = Positions(buffers().weights, s.c, s.o);
  ForChunks(s, [&](const Tiles& tiles) {
    float* inputs = Positions(buffers().inputs, tiles.rows, s.c);
    float* outputs = Positions(buffers().outputs, tiles.rows, s.o);
    ToPositions<Input>(tiles, {x, nullptr, s.h, s.w, s.c, s.pad}, inputs);
    ToPositions<OutputGradient>(tiles, {dy, winners, s.oh, s.ow, s.o, 0}, outputs);
    Products<true>(s.c, tiles.rows, s.o, inputs, outputs, weights, tiles.first > 0);
  });
  WeightsFromPositions(s, weights, dw);
}
