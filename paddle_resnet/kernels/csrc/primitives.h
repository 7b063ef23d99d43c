// oneDNN's objects as C++ classes: destructors free them, errors are exceptions.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "onednn.h"
#include "scratch.h"

namespace onednn {

inline void Check(int status, const char* what) {
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

// Never destroyed: at exit the library may be unloaded first.
inline Engine& engine() {
  static Engine* one = new Engine;
  return *one;
}

struct DescDelete {
  void operator()(dnnl_memory_desc* desc) const { dnnl_memory_desc_destroy(desc); }
};
using Desc = std::unique_ptr<dnnl_memory_desc, DescDelete>;

inline Desc Strided(const std::vector<int64_t>& dims, const std::vector<int64_t>& strides,
                    int dtype) {
  dnnl_memory_desc* desc;
  Check(
      dnnl_memory_desc_create_with_strides(&desc, dims.size(), dims.data(), dtype, strides.data()),
      "layout");
  return Desc(desc);
}

// The layout that the primitive prefers.
inline Desc AnyLayout(const std::vector<int64_t>& dims, int dtype) {
  dnnl_memory_desc* desc;
  Check(dnnl_memory_desc_create_with_tag(&desc, dims.size(), dims.data(), dtype, kAnyLayout),
        "layout");
  return Desc(desc);
}

// Attributes of a primitive: a scratchpad of ours, and post-operations on each output.
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
  void Eltwise(int algorithm, float alpha) {
    Check(dnnl_post_ops_append_eltwise(operations_, algorithm, alpha, 0), "activation function");
  }
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
  ~Memory() { dnnl_memory_destroy(memory_); }  // null is allowed

 private:
  dnnl_memory* memory_ = nullptr;
};

class Primitive {
 public:
  void Set(const dnnl_primitive_desc* desc) {
    const char* name = "";
    Check(dnnl_primitive_desc_query(desc, kQueryImplementation, 0, &name), "implementation");
    is_reference_ = std::string(name).rfind("ref", 0) == 0;
    Check(dnnl_primitive_create(&primitive_, desc), "primitive");
    const auto* scratch = dnnl_primitive_desc_query_md(desc, kQueryScratchpad, 0);
    scratch_bytes_ = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    if (scratch_bytes_) scratch_.Set(scratch);
  }
  explicit operator bool() const { return primitive_; }
  // Whether it is oneDNN's reference code, which is too slow to use.
  bool is_reference() const { return is_reference_; }
  void Run(std::vector<dnnl_exec_arg_t> args) const {
    static Scratch* scratch = new Scratch;
    if (scratch_bytes_) args.push_back({kScratchpad, scratch_.At(scratch->Get(scratch_bytes_))});
    Check(dnnl_primitive_execute(primitive_, engine().stream, args.size(), args.data()),
          "execution");
  }
  ~Primitive() { dnnl_primitive_destroy(primitive_); }

 private:
  dnnl_primitive* primitive_ = nullptr;
  bool is_reference_ = false;
  size_t scratch_bytes_ = 0;
  Memory scratch_;
};

}  // namespace onednn
