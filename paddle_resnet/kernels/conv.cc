// The convolutions, by the oneDNN inside Paddle's own wheel, or by products.cc or winograd.cc.
//
// Where the speed comes from:
// - Maps are [N, H, W, C]: the channels of a pixel fill a vector register, nothing is re-laid.
// - Paddle's own CPU convolution unfolds the input (im2col) image by image; oneDNN generates code
//   for the very shape. Generating takes milliseconds, so primitives are kept, by shape.
// - In inference BN, sum and ReLU happen in the convolution's registers, before anything is written.
// - Weights go into the layout that the primitive likes best, anew at each call: a few MB in all,
//   where keeping them would need to know when an optimizer, an EMA or a user has changed them.
#include "conv.h"

#include <omp.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "onednn.h"
#include "products.h"
#include "winograd.h"

namespace {

using namespace onednn;

// Odd last batches and progressive sizes make new shapes; beyond this many the oldest ones' code
// is thrown away. A primitive takes about 50 KB.
constexpr size_t kMaxPrimitives = 1024;

void Check(int status, const char* what) {
  if (status != 0)
    throw std::runtime_error(std::string("oneDNN: ") + what + " failed, status " +
                             std::to_string(status));
}

struct Engine {
  dnnl_engine* engine;
  dnnl_stream* stream;

  Engine() {
    Check(dnnl_engine_create(&engine, kCpu, 0), "engine");
    Check(dnnl_stream_create(&stream, engine, kInOrder), "stream");
  }
};

// Never destroyed: at exit the library may be gone before us.
Engine& engine() {
  static Engine* one = new Engine;
  return *one;
}

struct DescDelete {
  void operator()(dnnl_memory_desc* desc) const { dnnl_memory_desc_destroy(desc); }
};
using Desc = std::unique_ptr<dnnl_memory_desc, DescDelete>;

Desc MapDesc(int64_t n, int64_t c, int64_t h, int64_t w) {
  const int64_t dims[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c};
  dnnl_memory_desc* desc;
  Check(dnnl_memory_desc_create_with_strides(&desc, 4, dims, kFloat32, strides), "map");
  return Desc(desc);
}

// Paddle's layout of the weights, or "any": what the primitive likes best.
Desc WeightDesc(const ConvShape& s, bool any) {
  const int64_t o = s.o / s.groups, i = s.c / s.groups;
  const int64_t dims[] = {s.groups, o, i, s.kh, s.kw};
  const int64_t strides[] = {o * i * s.kh * s.kw, i * s.kh * s.kw, s.kh * s.kw, s.kw, 1};
  const int skip = s.groups == 1;  // without groups oneDNN wants no dimension for them
  dnnl_memory_desc* desc;
  Check(any ? dnnl_memory_desc_create_with_tag(&desc, 5 - skip, dims + skip, kFloat32, kAnyLayout)
            : dnnl_memory_desc_create_with_strides(&desc, 5 - skip, dims + skip, kFloat32,
                                                   strides + skip),
        "weights");
  return Desc(desc);
}

Desc ChannelDesc(int64_t channels) {
  const int64_t dims[] = {1, channels, 1, 1}, strides[] = {channels, 1, channels, channels};
  dnnl_memory_desc* desc;
  Check(dnnl_memory_desc_create_with_strides(&desc, 4, dims, kFloat32, strides), "channels");
  return Desc(desc);
}

// How a primitive is to be made: its scratch memory comes from us; what it does to each output.
class Attributes {
 public:
  Attributes() {
    Check(dnnl_primitive_attr_create(&attr_), "attributes");
    Check(dnnl_primitive_attr_set_scratchpad_mode(attr_, kUserScratchpad), "scratchpad mode");
    Check(dnnl_post_ops_create(&operations_), "operations");
  }
  void Binary(int algorithm, const Desc& operand) {
    Check(dnnl_post_ops_append_binary(operations_, algorithm, operand.get()), "operation");
  }
  void Relu() { Check(dnnl_post_ops_append_eltwise(operations_, kRelu, 0, 0), "ReLU"); }
  const dnnl_primitive_attr* get() {
    Check(dnnl_primitive_attr_set_post_ops(attr_, operations_), "operations");
    return attr_;
  }
  ~Attributes() {
    dnnl_post_ops_destroy(operations_);
    dnnl_primitive_attr_destroy(attr_);
  }

 private:
  dnnl_primitive_attr* attr_;
  dnnl_post_ops* operations_;
};

class Memory {
 public:
  void Set(const dnnl_memory_desc* desc) {
    Check(dnnl_memory_create(&memory_, desc, engine().engine, nullptr), "memory");
  }
  dnnl_memory* At(const void* data) const {
    Check(dnnl_memory_set_data_handle(memory_, const_cast<void*>(data)), "memory handle");
    return memory_;
  }
  ~Memory() { dnnl_memory_destroy(memory_); }  // null is fine

 private:
  dnnl_memory* memory_ = nullptr;
};

class Primitive {
 public:
  void Set(const dnnl_primitive_desc* desc) {
    Check(dnnl_primitive_create(&primitive_, desc), "primitive");
    const auto* scratch = dnnl_primitive_desc_query_md(desc, kQueryScratchpad, 0);
    scratch_bytes_ = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (scratch_bytes_) scratch_.Set(scratch);
  }
  explicit operator bool() const { return primitive_; }
  void Run(std::vector<dnnl_exec_arg_t> args) const {
    static Scratch* scratch = new Scratch;
    if (scratch_bytes_) args.push_back({kScratchpad, scratch_.At(scratch->Get(scratch_bytes_))});
    Check(dnnl_primitive_execute(primitive_, engine().stream, args.size(), args.data()),
          "execution");
  }
  ~Primitive() { dnnl_primitive_destroy(primitive_); }

 private:
  dnnl_primitive* primitive_ = nullptr;
  size_t scratch_bytes_ = 0;
  Memory scratch_;
};

// The last four are one thing, with and without residual and ReLU.
enum Kind {
  kForward,
  kData,
  kWeightsGradient,
  kInference,
  kInferenceRelu,
  kInferenceAdd,
  kInferenceAddRelu
};

// One convolution in one direction, for one shape.
class Conv {
 public:
  Conv(const ConvShape& s, Kind kind) : kind_(kind) {
    const Desc x = MapDesc(s.n, s.c, s.h, s.w), y = MapDesc(s.n, s.o, s.oh, s.ow);
    const Desc any = WeightDesc(s, true), plain = WeightDesc(s, false);
    const int64_t strides[] = {s.stride, s.stride};
    const int64_t dilates[] = {s.dilation - 1, s.dilation - 1};
    const int64_t pad[] = {s.pad, s.pad};
    const auto& e = engine();
    Attributes attributes;
    if (kind >= kInference) {
      const Desc channels = ChannelDesc(s.o);
      scale_.Set(channels.get());
      shift_.Set(channels.get());
      residual_.Set(y.get());
      attributes.Binary(kMultiply, channels);
      attributes.Binary(kAdd, channels);
      if (kind >= kInferenceAdd) attributes.Binary(kAdd, y);
      if (kind == kInferenceRelu || kind == kInferenceAddRelu) attributes.Relu();
    }
    dnnl_primitive_desc *forward, *desc;
    Check(dnnl_convolution_forward_primitive_desc_create(
              &forward, e.engine, kind >= kInference ? kForwardInference : kForwardTraining,
              kDirect, x.get(), any.get(), nullptr, y.get(), strides, dilates, pad, pad,
              attributes.get()),
          "forward convolution");
    if (kind == kData) {
      Check(dnnl_convolution_backward_data_primitive_desc_create(
                &desc, e.engine, kDirect, x.get(), any.get(), y.get(), strides, dilates, pad, pad,
                forward, attributes.get()),
            "backward convolution");
    } else if (kind == kWeightsGradient) {
      Check(dnnl_convolution_backward_weights_primitive_desc_create(
                &desc, e.engine, kDirect, x.get(), any.get(), nullptr, y.get(), strides, dilates, pad,
                pad, forward, attributes.get()),
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
    if (!dnnl_memory_desc_equal(best, plain.get())) {
      best_bytes_ = dnnl_memory_desc_get_size(best);
      const bool back = kind == kWeightsGradient;
      dnnl_primitive_desc* reorder;
      Attributes plainly;
      Check(dnnl_reorder_primitive_desc_create(&reorder, back ? best : plain.get(), e.engine,
                                               back ? plain.get() : best, e.engine,
                                               plainly.get()),
            "reorder");
      reorder_.Set(reorder);
      dnnl_primitive_desc_destroy(reorder);
    }
    if (desc != forward) dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_desc_destroy(forward);
  }

  // One of the three pointers is written: y, dx or dw. `after` belongs to inference.
  void Run(const float* x, const float* weight, const float* y, const Epilogue& after) const {
    static Scratch* reordered = new Scratch;
    const float* best = reorder_ ? reordered->Get(best_bytes_) : weight;
    if (reorder_ && kind_ != kWeightsGradient) Reorder(plain_.At(weight), best_.At(best));
    std::vector<dnnl_exec_arg_t> args = {
        {kind_ == kData ? kDiffSrc : kSrc, x_.At(x)},
        {kind_ == kWeightsGradient ? kDiffWeights : kWeights, best_.At(best)},
        {kind_ == kData || kind_ == kWeightsGradient ? kDiffDst : kDst, y_.At(y)}};
    if (kind_ >= kInference) {
      args.push_back({Operand(0), scale_.At(after.scale)});
      args.push_back({Operand(1), shift_.At(after.shift)});
    }
    if (kind_ >= kInferenceAdd) args.push_back({Operand(2), residual_.At(after.residual)});
    conv_.Run(std::move(args));
    if (reorder_ && kind_ == kWeightsGradient) Reorder(best_.At(best), plain_.At(weight));
  }

 private:
  void Reorder(dnnl_memory* from, dnnl_memory* to) const {
    reorder_.Run({{kSrc, from}, {kDst, to}});
  }

  Kind kind_;
  Primitive conv_, reorder_;
  Memory x_, y_, plain_, best_, scale_, shift_, residual_;
  size_t best_bytes_ = 0;
};

void Run(Kind kind, const ConvShape& s, const float* x, const float* weight, const float* y,
         const Epilogue& after = {}) {
  // A primitive is made for a number of threads.
  using Key = std::tuple<decltype(s.key()), Kind, int>;
  struct Entry {
    std::unique_ptr<Conv> conv;
    uint64_t last_used;
  };
  static auto& mutex = *new std::mutex;
  static auto& cache = *new std::map<Key, Entry>;
  static uint64_t clock = 0;

  std::lock_guard<std::mutex> lock(mutex);  // buffers and handles are shared
  const Key key{s.key(), kind, omp_get_max_threads()};
  auto found = cache.find(key);
  if (found == cache.end()) {
    if (cache.size() >= kMaxPrimitives) {
      auto oldest = cache.begin();
      for (auto it = cache.begin(); it != cache.end(); ++it)
        if (it->second.last_used < oldest->second.last_used) oldest = it;
      cache.erase(oldest);
    }
    found = cache.emplace(key, Entry{std::make_unique<Conv>(s, kind), 0}).first;
  }
  found->second.last_used = ++clock;
  found->second.conv->Run(x, weight, y, after);
}

}  // namespace

float* Scratch::Get(size_t bytes) {
  if (bytes > size_) {
    std::free(data_);
    size_ = (bytes + 63) / 64 * 64;
    data_ = std::aligned_alloc(64, size_);
    if (!data_) {
      size_ = 0;
      throw std::bad_alloc();
    }
  }
  return static_cast<float*>(data_);
}

Scratch::~Scratch() { std::free(data_); }

void ConvForward(const ConvShape& s, const float* x, const float* weight, float* y) {
  if (BetterByWinograd(s)) return WinogradForward(s, x, weight, y);
  if (BetterAsProduct(s)) return ProductForward(s, x, weight, y);
  Run(kForward, s, x, weight, y);
}

void ConvInference(const ConvShape& s, const float* x, const float* weight, const Epilogue& after,
                   float* y) {
  Run(Kind(kInference + 2 * (after.residual != nullptr) + after.relu), s, x, weight, y, after);
}

void ConvBackwardData(const ConvShape& s, const float* dy, const float* weight, float* dx) {
  if (BetterByWinograd(s)) return WinogradBackwardData(s, dy, weight, dx);
  if (BetterAsProduct(s)) return ProductBackwardData(s, dy, weight, dx);
  Run(kData, s, dx, weight, dy);
}

void ConvBackwardWeights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  if (BetterByWinograd(s)) return WinogradBackwardWeights(s, x, dy, dw);
  if (BetterAsProduct(s)) return ProductBackwardWeights(s, x, dy, dw);
  Run(kWeightsGradient, s, x, dw, dy);
}
