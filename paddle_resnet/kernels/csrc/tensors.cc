// How a tensor of Paddle's comes to lie in a block of ours.
#include "tensors.h"

#include <cstring>

#include "caching_allocator.h"
#include "paddle/phi/core/dense_tensor.h"

namespace {

// Bytes from which a tensor has a block. Small ones are what the heap is good at, and a block takes a
// huge page where it can.
constexpr size_t kLarge = 1 << 20;

// The memory behind a tensor is a protected member, and before Paddle 3 the wheel has no way to it.
struct Access : phi::DenseTensor {
  static constexpr auto holder() { return &Access::holder_; }
};

paddle::Tensor InBlock(const std::vector<int64_t>& shape, paddle::DataType numbers, size_t bytes) {
  Block block(bytes);
  // Made by Paddle, since how large a tensor's description is depends on how Paddle was built. Then
  // its owner is put in: what frees it is told the block and its size, without the table of all
  // memory that Paddle keeps for a deleter given to from_blob.
  paddle::Tensor tensor = paddle::from_blob(block.data(), shape, numbers,
                                            paddle::DataLayout::NCHW, paddle::CPUPlace());
  auto& dense = static_cast<phi::DenseTensor&>(*tensor.impl());
  *(dense.*Access::holder()) = phi::Allocation(
      block.data(), bytes, [](phi::Allocation* one) { ReturnBlock(one->ptr(), one->size()); },
      paddle::CPUPlace());
  block.Release();
  return tensor;
}

}  // namespace

paddle::Tensor EmptyTensor(const std::vector<int64_t>& shape, paddle::DataType numbers) {
  size_t bytes = phi::SizeOf(numbers);
  for (const int64_t side : shape) bytes *= side;
  return bytes < kLarge ? paddle::empty(shape, numbers, paddle::CPUPlace())
                        : InBlock(shape, numbers, bytes);
}

paddle::Tensor ZerosLike(const paddle::Tensor& x) {
  paddle::Tensor zeros = EmptyTensor(x.shape(), x.dtype());
  std::memset(zeros.data(), 0, x.numel() * phi::SizeOf(x.dtype()));
  return zeros;
}
