// The peak speed of bfloat16 arithmetic: a large matrix product, which Paddle has not on a CPU.
#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <vector>

#include "dtypes.h"
#include "primitives.h"

using namespace onednn;

// Returns the seconds of the fastest of `rounds` products of two square matrices; 0 where oneDNN
// has none for this CPU.
extern "C" double paddle_resnet_bfloat16_product(int64_t size, int64_t rounds) try {
  const Desc matrix = Strided({size, size}, {size, 1}, kBFloat16);
  const Desc result = Strided({size, size}, {size, 1}, kFloat32);
  Attributes attributes;
  dnnl_primitive_desc* desc;
  Check(dnnl_matmul_primitive_desc_create(&desc, engine().engine, matrix.get(), matrix.get(),
                                          nullptr, result.get(), attributes.get()),
        "matrix product");
  Primitive product;
  product.Set(desc);
  dnnl_primitive_desc_destroy(desc);
  Memory a, b, c;
  a.Set(matrix.get());
  b.Set(matrix.get());
  c.Set(result.get());
  std::vector<BFloat16> ones(size * size, BFloat16{0x3f80});
  std::vector<float> sums(size * size);
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < rounds; ++i) {
    const auto began = Clock::now();
    product.Run(
        {{kSrc, a.At(ones.data())}, {kWeights, b.At(ones.data())}, {kDst, c.At(sums.data())}});
    best = std::min(best, std::chrono::duration<double>(Clock::now() - began).count());
  }
  return best;
} catch (const std::exception&) {
  return 0;
}
