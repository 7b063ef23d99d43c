// The weight gradient of a convolution of bfloat16 maps as one matrix product.
//
// oneDNN's own primitive for it is slow where maps are small, and takes half of the time of all
// convolutions of ResNet-50 (CIFAR stem, batch 64) in bfloat16. As one product, dW = dY^T X over all
// pixels, dY transposed by its strides alone, the 1x1 windows of the last stage took 3.6 ms in place
// of 15.5, and 3x3 windows on maps of 8x8 and 4x4, unfolded first, 9 to 10 ms in place of 22 to 53.
// All that was measured in a prototype, with oneDNN 3.6 on 2 cores of a CPU with AMX (Sapphire
// Rapids), for ResNet-50's deep stages: hence the limits in Better().
#include "weight_gradient_gemm.h"

#include <cstring>
#include <exception>
#include <utility>

#include "windows.h"

using namespace onednn;

namespace {

bool Better(const ConvShape& s) {
  const bool window = Taps(s) == 1 || (s.kh == 3 && s.kw == 3 && s.oh <= 8 && s.ow <= 8);
  return s.bfloat16 && s.groups == 1 && window && s.o * s.c >= 1 << 16;
}

// The input as [pixels of the output, taps * channels]. Unlike in Paddle's weights the channels of a
// tap lie side by side, so that whole pixels are copied; the small result is put in order instead.
const BFloat16* Unfold(const ConvShape& s, const BFloat16* x) {
  if (!Unfolded(s)) return x;
  static Scratch scratch;  // used by one thread at a time, as all of oneDNN is here
  auto* windows = static_cast<BFloat16*>(scratch.Get(Pixels(s) * Inputs(s) * sizeof(BFloat16)));
  const size_t bytes = s.c * sizeof(BFloat16);
  ForTaps(s, x, [=](int64_t window, int64_t tap, const BFloat16* pixel) {
    BFloat16* to = windows + window * Inputs(s) + tap * s.c;
    pixel ? std::memcpy(to, pixel, bytes) : std::memset(to, 0, bytes);
  });
  return windows;
}

}  // namespace

std::unique_ptr<WeightProduct> WeightProduct::For(const ConvShape& s) {
  if (!Better(s)) return nullptr;
  try {
    std::unique_ptr<WeightProduct> made(new WeightProduct(s));
    return made->product_.is_reference() ? nullptr : std::move(made);
  } catch (const std::exception&) {
    return nullptr;
  }
}

WeightProduct::WeightProduct(const ConvShape& s) : shape_(s) {
  const int64_t pixels = Pixels(s), taps = Taps(s), inputs = Inputs(s);
  const Desc dy = Strided({s.o, pixels}, {1, s.o}, kBFloat16);
  const Desc x = Strided({pixels, inputs}, {inputs, 1}, kBFloat16);
  const Desc result = Strided({s.o, inputs}, {inputs, 1}, kFloat32);
  Attributes attributes;
  dnnl_primitive_desc* desc;
  Check(dnnl_matmul_primitive_desc_create(&desc, engine().engine, dy.get(), x.get(), nullptr,
                                          result.get(), attributes.get()),
        "matrix product");
  product_.Set(desc);
  dnnl_primitive_desc_destroy(desc);
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

void WeightProduct::Run(const BFloat16* x, const BFloat16* dy, float* dw) const {
  static Scratch scratch;
  const bool in_order = Taps(shape_) == 1;
  void* result = in_order ? dw : scratch.Get(shape_.o * Inputs(shape_) * sizeof(float));
  product_.Run({{kSrc, dy_.At(dy)}, {kWeights, x_.At(Unfold(shape_, x))}, {kDst, result_.At(result)}});
  if (!in_order) reorder_.Run({{kSrc, by_tap_.At(result)}, {kDst, dw_.At(dw)}});
}
