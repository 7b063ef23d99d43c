// Convolutions: oneDNN's, and the algorithms that are candidates beside it: Winograd's
// (winograd.cc) and matrix products (im2col_gemm.cc, weight_gradient_gemm.cc).
//
// The oneDNN is the one inside Paddle's own wheel. Where the speed comes from:
// - Activations are [N, H, W, C]: the channels of a pixel fill a vector register, nothing is
//   reordered.
// - Paddle's own CPU convolution runs im2col image by image; oneDNN generates code for the very
//   shape. Generating takes milliseconds, so primitives are cached by shape.
// - In inference BN is folded into weights and bias (prepared_weights.h); sum and activation
//   function are post-operations on the convolution's registers.
// - In training weights are reordered to the layout that the primitive prefers, at each call: a few
//   MB in all. For bfloat16 activations the reorder casts the weights to bfloat16; their gradient is
//   float32.
#include "conv.h"

#include <omp.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "algorithm_choice.h"
#include "batch_norm.h"
#include "im2col_gemm.h"
#include "prepared_weights.h"
#include "primitives.h"
#include "profile.h"
#include "weight_gradient_gemm.h"
#include "winograd.h"

namespace {

using namespace onednn;

// Odd last batches and progressive resizing make new shapes. Beyond this number the least recently
// used primitive is dropped. One takes about 50 KB.
constexpr size_t kMaxPrimitives = 1024;

int DataTypeOf(const ConvShape& s) { return s.bfloat16 ? kBFloat16 : kFloat32; }

Desc ActivationDesc(const ConvShape& s, int64_t c, int64_t h, int64_t w) {
  return Strided({s.n, c, h, w}, {h * w * c, 1, w * c, c}, DataTypeOf(s));
}

// Without groups oneDNN expects no dimension for them.
std::vector<int64_t> Grouped(const ConvShape& s, std::vector<int64_t> of_each_dimension) {
  if (s.groups == 1) of_each_dimension.erase(of_each_dimension.begin());
  return of_each_dimension;
}

std::vector<int64_t> WeightDims(const ConvShape& s) {
  return Grouped(s, {s.groups, s.o / s.groups, s.c / s.groups, s.kh, s.kw});
}

// Paddle's layout of the weights.
Desc WeightDesc(const ConvShape& s) {
  const int64_t o = s.o / s.groups, i = s.c / s.groups, taps = s.kh * s.kw;
  return Strided(WeightDims(s), Grouped(s, {o * i * taps, i * taps, taps, s.kw, 1}), kFloat32);
}

// kWeightsGemm is the weight gradient as a matrix product. kInference and more is inference, by
// InferenceKind: for each activation function without and with a residual.
enum Kind : int { kForward, kData, kWeightsGradient, kWeightsGemm, kInference };

Kind InferenceKind(Act act, bool residual) { return Kind(kInference + 2 * int(act) + residual); }
bool HasResidual(Kind kind) { return kind >= kInference && (kind - kInference) % 2; }
Act ActOf(Kind kind) { return kind < kInference ? Act::kNone : Act((kind - kInference) / 2); }

// One convolution, or one of its gradients, for one shape.
class Conv {
 public:
  Conv(const ConvShape& s, Kind kind) : kind_(kind) {
    if (kind == kWeightsGemm) {
      gemm_ = std::make_unique<WeightGradientGemm>(s);
      return;
    }
    const Desc x = ActivationDesc(s, s.c, s.h, s.w), y = ActivationDesc(s, s.o, s.oh, s.ow);
    const Desc any = AnyLayout(WeightDims(s), DataTypeOf(s)), plain = WeightDesc(s);
    const Desc bias = Strided({s.o}, {1}, kFloat32);
    const Desc any_gradient = AnyLayout(WeightDims(s), kFloat32);
    const int64_t strides[] = {s.stride, s.stride};
    const int64_t dilates[] = {s.dilation - 1, s.dilation - 1};
    const int64_t pad[] = {s.pad, s.pad};
    const auto& e = engine();
    Attributes attributes;
    if (kind >= kInference) {
      bias_.Set(bias.get());
      residual_.Set(y.get());
      channels_ = s.o;
      count_ = s.o * s.c / s.groups * s.kh * s.kw;
      if (HasResidual(kind)) attributes.Binary(kAdd, y);
      if (ActOf(kind) == Act::kRelu) attributes.Eltwise(kRelu, 0);
      if (ActOf(kind) == Act::kGelu) attributes.Eltwise(kGeluErf, 0);
      if (ActOf(kind) == Act::kSilu) attributes.Eltwise(kSwish, 1);
    }
    dnnl_primitive_desc *forward, *desc;
    Check(
        dnnl_convolution_forward_primitive_desc_create(
            &forward, e.engine, kind >= kInference ? kForwardInference : kForwardTraining, kDirect,
            x.get(), any.get(), kind >= kInference ? bias.get() : nullptr, y.get(), strides, dilates,
            pad, pad, attributes.get()),
        "forward convolution");
    if (kind == kData) {
      Check(dnnl_convolution_backward_data_primitive_desc_create(
                &desc, e.engine, kDirect, x.get(), any.get(), y.get(), strides, dilates, pad, pad,
                forward, attributes.get()),
            "backward convolution");
    } else if (kind == kWeightsGradient) {
      Check(dnnl_convolution_backward_weights_primitive_desc_create(
                &desc, e.engine, kDirect, x.get(), any_gradient.get(), nullptr, y.get(), strides,
                dilates, pad, pad, forward, attributes.get()),
            "weight gradient");
    } else {
      desc = forward;
    }
    conv_.Set(desc);
    x_.Set(x.get());
    y_.Set(y.get());
    plain_.Set(plain.get());
    const auto* best = dnnl_primitive_desc_query_md(
        desc, kind == kWeightsGradient ? kQueryDiffWeights : kQueryWeights, 0);
    best_.Set(best);
    best_bytes_ = dnnl_memory_desc_get_size(best);
    if (!dnnl_memory_desc_equal(best, plain.get())) {
      const bool back = kind == kWeightsGradient;
      dnnl_primitive_desc* reorder;
      Attributes plainly;
      Check(dnnl_reorder_primitive_desc_create(&reorder, back ? best : plain.get(), e.engine,
                                               back ? plain.get() : best, e.engine, plainly.get()),
            "reorder");
      reorder_.Set(reorder);
      dnnl_primitive_desc_destroy(reorder);
    }
    if (desc != forward) dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_desc_destroy(forward);
  }

  bool is_fast() const { return !conv_.is_reference(); }

  // Writes one of the three: y, dx or dw. `after` is for inference only.
  void Run(const void* x, const float* weight, const void* y, const Epilogue& after) const {
    if (gemm_) {
      return gemm_->Run(static_cast<const BFloat16*>(x), static_cast<const BFloat16*>(y),
                        const_cast<float*>(weight));
    }
    static Scratch* reordered = new Scratch;
    const void* best = weight;
    if (kind_ >= kInference) {
      best = PreparedWeights(this, weight, count_, after.scale, channels_, best_bytes_,
                             [&](void* to) { Fold(weight, after.scale, to); });
    } else if (reorder_) {
      best = reordered->Get(best_bytes_);
      if (kind_ != kWeightsGradient) Reorder(plain_.At(weight), best_.At(best));
    }
    std::vector<dnnl_exec_arg_t> args = {
        {kind_ == kData ? kDiffSrc : kSrc, x_.At(x)},
        {kind_ == kWeightsGradient ? kDiffWeights : kWeights, best_.At(best)},
        {kind_ == kData || kind_ == kWeightsGradient ? kDiffDst : kDst, y_.At(y)}};
    if (kind_ >= kInference) args.push_back({kBias, bias_.At(after.shift)});
    if (HasResidual(kind_)) args.push_back({Operand(0), residual_.At(after.residual)});
    conv_.Run(std::move(args));
    if (reorder_ && kind_ == kWeightsGradient) Reorder(best_.At(best), plain_.At(weight));
  }

 private:
  // Writes the weights times the scale of their output channel in the primitive's layout.
  void Fold(const float* weight, const float* scale, void* to) const {
    static Scratch* scaled = new Scratch;
    auto* product = static_cast<float*>(reorder_ ? scaled->Get(count_ * sizeof(float)) : to);
    const int64_t each = count_ / channels_;
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < channels_; ++o)
      for (int64_t i = 0; i < each; ++i) product[o * each + i] = weight[o * each + i] * scale[o];
    if (reorder_) Reorder(plain_.At(product), best_.At(to));
  }

  void Reorder(dnnl_memory* from, dnnl_memory* to) const {
    reorder_.Run({{kSrc, from}, {kDst, to}});
  }

  Kind kind_;
  std::unique_ptr<WeightGradientGemm> gemm_;
  Primitive conv_, reorder_;
  Memory x_, y_, plain_, best_, bias_, residual_;
  size_t best_bytes_ = 0;
  int64_t channels_ = 0, count_ = 0;  // of the weights, in inference
};

struct Cache {
  // The last is the number of threads: a primitive is made for it.
  using Key = std::tuple<decltype(ConvShape().key()), Kind, int>;
  struct Entry {
    std::unique_ptr<Conv> conv;
    uint64_t last_used;
  };
  std::mutex mutex;
  std::map<Key, Entry> entries;
  uint64_t clock = 0;
};

// Never destroyed: a thread may compute at the very end of the process.
Cache& cache() {
  static auto& one = *new Cache;
  return one;
}

void Run(Kind kind, const ConvShape& s, const void* x, const float* weight, const void* y,
         const Epilogue& after = {}) {
  Cache& cached = cache();
  auto& [mutex, entries, clock] = cached;
  std::lock_guard<std::mutex> lock(mutex);  // buffers and handles are shared
  const Cache::Key key{s.key(), kind, omp_get_max_threads()};
  auto found = entries.find(key);
  if (found == entries.end()) {
    if (entries.size() >= kMaxPrimitives) {
      auto oldest = entries.begin();
      for (auto it = entries.begin(); it != entries.end(); ++it)
        if (it->second.last_used < oldest->second.last_used) oldest = it;
      entries.erase(oldest);
      ForgetPrepared(nullptr);  // a new primitive may get the address of this one
    }
    found = entries.emplace(key, Cache::Entry{std::make_unique<Conv>(s, kind), 0}).first;
  }
  found->second.last_used = ++clock;
  found->second.conv->Run(x, weight, y, after);
}

const float* Floats(const void* x) { return static_cast<const float*>(x); }
float* Floats(void* x) { return static_cast<float*>(x); }

// Computes y = act(y * scale + shift + residual).
template <typename DType>
void Finish(const ConvShape& s, const Epilogue& after, void* y) {
  const std::vector<float> zeros(s.o);
  auto* output = static_cast<DType*>(y);
  Normalize({s.n * s.oh * s.ow, s.o}, output, {zeros.data(), after.scale, after.shift},
            static_cast<const DType*>(after.residual), after.act, output);
}

}  // namespace

std::vector<Algorithm> Candidates(const ConvShape& s, Direction direction) {
  if (direction == Direction::kPooled) {
    if (PoolsByWinograd(s)) return {Algorithm::kDirect, Algorithm::kWinograd};
    return {Algorithm::kDirect};
  }
  std::vector<Algorithm> found = {Algorithm::kDirect};
  if (KnownToWinograd(s)) found.push_back(Algorithm::kWinograd);
  const bool gemm = s.bfloat16 ? direction == Direction::kWeights && WeightGradientGemm::Knows(s)
                               : KnownToGemm(s);
  if (gemm) found.push_back(Algorithm::kGemm);
  return found;
}

void ConvForward(const ConvShape& s, const void* x, const float* weight, void* y) {
  RunChosen(s, Direction::kForward, [&](Algorithm algorithm) {
    if (algorithm == Algorithm::kWinograd) return WinogradForward(s, x, weight, y);
    if (algorithm == Algorithm::kGemm) return GemmForward(s, Floats(x), weight, Floats(y));
    Run(kForward, s, x, weight, y);
  });
}

void ConvInference(const ConvShape& s, const void* x, const float* weight, const Epilogue& after,
                   void* y) {
  RunChosen(s, Direction::kInference, [&](Algorithm algorithm) {
    if (algorithm == Algorithm::kDirect) {
      return Run(InferenceKind(after.act, after.residual), s, x, weight, y, after);
    }
    if (algorithm == Algorithm::kWinograd)
      WinogradForward(s, x, weight, y);
    else
      GemmForward(s, Floats(x), weight, Floats(y));
    (s.bfloat16 ? Finish<BFloat16> : Finish<float>)(s, after, y);
  });
}

void ConvBackwardData(const ConvShape& s, const void* dy, const float* weight, void* dx,
                      const uint8_t* argmax_indices) {
  if (argmax_indices) {
    last_algorithm = NameOf(Algorithm::kWinograd);
    return WinogradBackwardData(s, dy, weight, dx, argmax_indices);
  }
  RunChosen(s, Direction::kData, [&](Algorithm algorithm) {
    if (algorithm == Algorithm::kWinograd) return WinogradBackwardData(s, dy, weight, dx);
    if (algorithm == Algorithm::kGemm) return GemmBackwardData(s, Floats(dy), weight, Floats(dx));
    Run(kData, s, dx, weight, dy);
  });
}

void ConvBackwardWeights(const ConvShape& s, const void* x, const void* dy, float* dw,
                         const uint8_t* argmax_indices) {
  if (argmax_indices) {
    last_algorithm = NameOf(Algorithm::kWinograd);
    return WinogradBackwardWeights(s, x, dy, dw, argmax_indices);
  }
  RunChosen(s, Direction::kWeights, [&](Algorithm algorithm) {
    if (algorithm == Algorithm::kWinograd) return WinogradBackwardWeights(s, x, dy, dw);
    if (algorithm == Algorithm::kGemm && !s.bfloat16)
      return GemmBackwardWeights(s, Floats(x), Floats(dy), dw);
    Run(algorithm == Algorithm::kGemm ? kWeightsGemm : kWeightsGradient, s, x, dw, dy);
  });
}

void ForgetFolded(const float* weight) {
  std::lock_guard<std::mutex> lock(cache().mutex);
  ForgetPrepared(weight);
}

bool CanConvolveBFloat16() {
  // oneDNN needs AVX-512 for bfloat16, with or without its bfloat16 instructions, so this tries it.
  // One shape stands for all: if it has optimized code, so has every shape of our networks, in
  // every direction (oneDNN 3.2 and 3.6). Exceptions are padding of about the whole kernel and
  // dilated kernels of 7x7 and more.
  static const bool can = [] {
    try {
      const ConvShape s{1, 16, 4, 4, 16, 3, 3, 4, 4, 1, 1, 1, 1, true};
      bool fast = true;
      for (const Kind kind : {kForward, kData, kWeightsGradient}) fast &= Conv(s, kind).is_fast();
      return fast;
    } catch (const std::exception&) {
      return false;
    }
  }();
  return can;
}

void ReleaseConvolutions() {
  Cache& all = cache();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.entries.clear();
  ForgetPrepared(nullptr);
}
