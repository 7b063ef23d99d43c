// The part of oneDNN's C interface that the operator calls, declared by hand.
//
// Paddle's wheels contain the library (libdnnl.so.3) but not its headers. The C interface and the
// constants below are the same in every 3.x release (Paddle 2.6.2 has 3.2, 3.3.1 has 3.6). So no
// package of headers is needed, and no second oneDNN is loaded.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
struct dnnl_engine;
struct dnnl_stream;
struct dnnl_memory;
struct dnnl_memory_desc;
struct dnnl_primitive;
struct dnnl_primitive_desc;
struct dnnl_primitive_attr;
struct dnnl_post_ops;

struct dnnl_version_t {
  int major, minor, patch;  // more fields follow
};
struct dnnl_exec_arg_t {
  int arg;
  dnnl_memory* memory;
};

const dnnl_version_t* dnnl_version();
int dnnl_engine_create(dnnl_engine**, int kind, size_t index);
int dnnl_stream_create(dnnl_stream**, dnnl_engine*, unsigned flags);
int dnnl_memory_desc_create_with_strides(dnnl_memory_desc**, int ndims, const int64_t* dims,
                                         int data_type, const int64_t* strides);
int dnnl_memory_desc_create_with_tag(dnnl_memory_desc**, int ndims, const int64_t* dims,
                                     int data_type, int tag);
int dnnl_memory_desc_destroy(dnnl_memory_desc*);
int dnnl_memory_desc_equal(const dnnl_memory_desc*, const dnnl_memory_desc*);
size_t dnnl_memory_desc_get_size(const dnnl_memory_desc*);
int dnnl_memory_create(dnnl_memory**, const dnnl_memory_desc*, dnnl_engine*, void* handle);
int dnnl_memory_set_data_handle(dnnl_memory*, void* handle);
int dnnl_memory_destroy(dnnl_memory*);
int dnnl_primitive_attr_create(dnnl_primitive_attr**);
int dnnl_primitive_attr_set_scratchpad_mode(dnnl_primitive_attr*, int mode);
int dnnl_primitive_attr_set_post_ops(dnnl_primitive_attr*, const dnnl_post_ops*);
int dnnl_primitive_attr_destroy(dnnl_primitive_attr*);
int dnnl_post_ops_create(dnnl_post_ops**);
int dnnl_post_ops_append_binary(dnnl_post_ops*, int algorithm, const dnnl_memory_desc* operand);
int dnnl_post_ops_append_eltwise(dnnl_post_ops*, int algorithm, float alpha, float beta);
int dnnl_post_ops_destroy(dnnl_post_ops*);
int dnnl_convolution_forward_primitive_desc_create(
    dnnl_primitive_desc**, dnnl_engine*, int prop_kind, int algorithm, const dnnl_memory_desc* src,
    const dnnl_memory_desc* weights, const dnnl_memory_desc* bias, const dnnl_memory_desc* dst,
    const int64_t* strides, const int64_t* dilates, const int64_t* padding_before,
    const int64_t* padding_after, const dnnl_primitive_attr*);
int dnnl_convolution_backward_data_primitive_desc_create(
    dnnl_primitive_desc**, dnnl_engine*, int algorithm, const dnnl_memory_desc* diff_src,
    const dnnl_memory_desc* weights, const dnnl_memory_desc* diff_dst, const int64_t* strides,
    const int64_t* dilates, const int64_t* padding_before, const int64_t* padding_after,
    const dnnl_primitive_desc* forward, const dnnl_primitive_attr*);
int dnnl_convolution_backward_weights_primitive_desc_create(
    dnnl_primitive_desc**, dnnl_engine*, int algorithm, const dnnl_memory_desc* src,
    const dnnl_memory_desc* diff_weights, const dnnl_memory_desc* diff_bias,
    const dnnl_memory_desc* diff_dst, const int64_t* strides, const int64_t* dilates,
    const int64_t* padding_before, const int64_t* padding_after, const dnnl_primitive_desc* forward,
    const dnnl_primitive_attr*);
int dnnl_matmul_primitive_desc_create(dnnl_primitive_desc**, dnnl_engine*,
                                      const dnnl_memory_desc* a, const dnnl_memory_desc* b,
                                      const dnnl_memory_desc* bias, const dnnl_memory_desc* c,
                                      const dnnl_primitive_attr*);
int dnnl_reorder_primitive_desc_create(dnnl_primitive_desc**, const dnnl_memory_desc* src,
                                       dnnl_engine*, const dnnl_memory_desc* dst, dnnl_engine*,
                                       const dnnl_primitive_attr*);
const dnnl_memory_desc* dnnl_primitive_desc_query_md(const dnnl_primitive_desc*, int what,
                                                     int index);
int dnnl_primitive_desc_query(const dnnl_primitive_desc*, int what, int index, void* result);
int dnnl_primitive_desc_destroy(dnnl_primitive_desc*);
int dnnl_primitive_create(dnnl_primitive**, const dnnl_primitive_desc*);
int dnnl_primitive_execute(const dnnl_primitive*, dnnl_stream*, int nargs, const dnnl_exec_arg_t*);
int dnnl_primitive_destroy(dnnl_primitive*);
int dnnl_sgemm(char transpose_a, char transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
               const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c,
               int64_t ldc);
}

namespace onednn {
constexpr int kCpu = 1;
constexpr unsigned kInOrder = 1;
constexpr int kBFloat16 = 2, kFloat32 = 3;
constexpr int kAnyLayout = 1;
constexpr int kUserScratchpad = 1;
constexpr int kForwardTraining = 64, kForwardInference = 96;
constexpr int kDirect = 1, kRelu = 0x20, kSwish = 0x2c, kGeluErf = 0x31, kAdd = 0x1fff0;
constexpr int kQueryImplementation = 8;
constexpr int kQueryWeights = 131, kQueryDiffWeights = 132, kQueryScratchpad = 136;
constexpr int kSrc = 1, kDst = 17, kWeights = 33, kBias = 41, kScratchpad = 80;
constexpr int kDiffSrc = 129, kDiffDst = 145, kDiffWeights = 161;
// The second operand of the i-th post-operation.
constexpr int Operand(int i) { return 32768 * (i + 1) | 2; }
}  // namespace onednn
