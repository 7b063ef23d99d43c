// The weight gradient of a bfloat16 convolution as one matrix product.
//
// oneDNN's own primitive for it is slow on small activations: half of the time of all convolutions
// of ResNet-50 (CIFAR stem, batch 64) in bfloat16. One product dW = dY^T X over all pixels, with dY
// transposed by its strides alone, took 3.6 ms in place of 15.5 for the 1x1 convolutions of the
// last stage, and 9 to 10 ms in place of 22 to 53 for 3x3 kernels at 8x8 and 4x4 (with im2col).
// Measured on a prototype: oneDNN 3.6, 2 cores of a Sapphire Rapids CPU with AMX.
#include "weight_gradient_gemm.h"

#include <cstring>
#include <stdexcept>

#include "im2col.h"

using namespace onednn;

namespace {

// Returns the input as [output pixels, taps * channels]. The channels of a tap are innermost,
// unlike in Paddle's weights, so that whole pixels are copied; the small result is reordered
// instead.
const BFloat16* Im2col(const ConvShape& s, const BFloat16* x) {
  if (!NeedsIm2col(s)) return x;
  static Scratch scratch;  // used under the mutex of conv.cc
  auto* columns = static_cast<BFloat16*>(scratch.Get(Im2colBytes<BFloat16>(s)));
  const size_t bytes = s.c * sizeof(BFloat16);
  ForTaps(s, x, [=](int64_t window, int64_t tap, const BFloat16* pixel) {
    BFloat16* to = columns + window * Inputs(s) + tap * s.c;
    pixel ? std::memcpy(to, pixel, bytes) : std::memset(to, 0, bytes);
  });
  return columns;
}

}  // namespace

bool WeightGradientGemm::Knows(const ConvShape& s) {
  return s.bfloat16 && s.groups == 1 &&
         (!NeedsIm2col(s) || Im2colBytes<BFloat16>(s) <= kMostIm2colBytes);
}

WeightGradientGemm::WeightGradientGemm(const ConvShape& s) : shape_(s) {
  const int64_t pixels = Pixels(s), taps = Taps(s), inputs = Inputs(s);
  const Desc dy = Strided({s.o, pixels}, {1, s.o}, kBFloat16);
  const Desc x = Strided({pixels, inputs}, {inputs, 1}, kBFloat16);
  const Desc result = Strided({s.o, inputs}, {inputs, 1}, kFloat32);
  Attributes attributes;
  dnnl_primitive_desc* desc;
  Check(dnnl_matmul_primitive_desc_create(&desc, engine().engine, dy.get(), x.get(), nullptr,
                                          result.get(), attributes.get()),
        "matrix product");
  gemm_.Set(desc);
  dnnl_primitive_desc_destroy(desc);
  if (gemm_.is_reference()) throw std::runtime_error("no fast matrix product");
  dy_.Set(dy.get());
  x_.Set(x.get());
  result_.Set(result.get());
  if (taps == 1) return;
  const Desc by_tap = Strided({s.o, taps, s.c}, {inputs, s.c, 1}, kFloat32);
  const Desc by_channel = Strided({s.o, taps, s.c}, {inputs, 1, taps}, kFloat32);
  Attributes plainly;
  Check(dnnl_reorder_primitive_desc_create(&desc, by_tap.get(), engine().engine, by_channel.get(),
                                           engine().engine, plainly.get()),
        "reorder");
  reorder_.Set(desc);
  dnnl_primitive_desc_destroy(desc);
  by_tap_.Set(by_tap.get());
  dw_.Set(by_channel.get());
}

void WeightGradientGemm::Run(const BFloat16* x, const BFloat16* dy, float* dw) const {
  static Scratch scratch;
  const bool in_order = Taps(shape_) == 1;
  void* result = in_order ? dw : scratch.Get(shape_.o * Inputs(shape_) * sizeof(float));
  gemm_.Run({{kSrc, dy_.At(dy)}, {kWeights, x_.At(Im2col(shape_, x))}, {kDst, result_.At(result)}});
  if (!in_order) reorder_.Run({{kSrc, by_tap_.At(result)}, {kDst, dw_.At(dw)}});
}
