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

namespace {

// A register, and the block of a product that stays in all of them.
#ifdef __AVX512F__
constexpr int64_t kWidth = 16, kRows = 8, kPanels = 2;
#else
constexpr int64_t kWidth = 8, kRows = 4, kPanels = 2;
#endif
typedef float Vector __attribute__((vector_size(kWidth * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(kWidth)));

constexpr int64_t kOut = 4, kWindow = 3, kIn = kOut + kWindow - 1;
constexpr int64_t kPositions = kIn * kIn, kTaps = kWindow * kWindow;

Vector Load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
void Store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

// Past the caches: a plain store reads the line from memory first, only to overwrite it. `to` must
// be a multiple of the line.
void StoreToMemory(float* to, Vector value) {
#ifdef __AVX512F__
  _mm512_stream_ps(to, (__m512)value);
#else
  Store(to, value);
#endif
}

// Whether that is better: the map is not in the caches any more when it is read again.
bool LargerThanCaches(const float* map, int64_t numbers) {
  static const int64_t cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 1 << 23);
  return reinterpret_cast<uintptr_t>(map) % 64 == 0 &&
         2 * numbers * static_cast<int64_t>(sizeof(float)) > cache;
}

// What each form does to one line of a tile, of registers that lie `step` apart: the products with
// the paper's matrices B^T, G and A^T, and with the transposes of the last two for the gradient.
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
struct Window {
  static constexpr int64_t kFrom = kWindow, kTo = kIn;
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
struct WindowGradient {
  static constexpr int64_t kFrom = kIn, kTo = kWindow;
  static void Line(const Vector* u, int64_t step, Vector* g) {
    const Vector u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step];
    const Vector a = (u1 + u2) / -6, b = (u2 - u1) / 6, e = u3 + u4, f = u3 - u4;
    g[0] = u[0] / 4 + a + e / 24;
    g[1 * step] = b + f / 12;
    g[2 * step] = a + e / 6 + u[5 * step];
  }
};

// The columns of a tile, then its rows; both in place, in a square of kIn * kIn registers.
template <typename Form>
inline void Transform(Vector* tile) {
#pragma GCC unroll 6
  for (int64_t i = 0; i < Form::kFrom; ++i) Form::Line(tile + i, kIn, tile + i);
#pragma GCC unroll 6
  for (int64_t i = 0; i < Form::kTo; ++i) Form::Line(tile + i * kIn, 1, tile + i * kIn);
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
