// Paddle tensors in blocks of the caching allocator.
#include "tensors.h"

#include <cstring>

#include "caching_allocator.h"
#include "paddle/phi/core/dense_tensor.h"

namespace {

// Bytes from which a tensor lies in a block. Smaller ones stay on the heap, which is fast for them.
constexpr size_t kLarge = 1 << 20;

// The tensor's memory is a protected member; before Paddle 3 the wheel exports no function for it.
struct Access : phi::DenseTensor {
  static constexpr auto holder() { return &Access::holder_; }
};

paddle::Tensor InBlock(const std::vector<int64_t>& shape, paddle::DataType dtype, size_t bytes) {
  Block block(bytes);
  // from_blob makes the tensor, because sizeof(DenseTensor) depends on how Paddle was built. Then
  // its allocation is replaced: the deleter gets the block and its size, without the lock and table
  // that from_blob uses for a deleter of its own.
  paddle::Tensor tensor =
      paddle::from_blob(block.data(), shape, dtype, paddle::DataLayout::NCHW, paddle::CPUPlace());
  auto& dense = static_cast<phi::DenseTensor&>(*tensor.impl());
  *(dense.*Access::holder()) = phi::Allocation(
      block.data(), bytes, [](phi::Allocation* one) { Deallocate(one->ptr(), one->size()); },
      paddle::CPUPlace());
  block.Release();
  return tensor;
}

}  // namespace

paddle::Tensor EmptyTensor(const std::vector<int64_t>& shape, paddle::DataType dtype) {
  size_t bytes = phi::SizeOf(dtype);
  for (const int64_t side : shape) bytes *= side;
  return bytes < kLarge ? paddle::empty(shape, dtype, paddle::CPUPlace())
                        : InBlock(shape, dtype, bytes);
}

paddle::Tensor ZerosLike(const paddle::Tensor& x) {
  paddle::Tensor zeros = EmptyTensor(x.shape(), x.dtype());
  std::memset(zeros.data(), 0, x.numel() * phi::SizeOf(x.dtype()));
  return zeros;
}
