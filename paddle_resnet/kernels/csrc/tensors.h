// Paddle tensors, the large ones in memory of the caching allocator. Only this file includes
// Paddle.
#pragma once

#include <cstdint>
#include <exception>
#include <new>
#include <vector>

#include "paddle/extension.h"

// Returns an uninitialized tensor. Throws std::bad_alloc.
paddle::Tensor EmptyTensor(const std::vector<int64_t>& shape, paddle::DataType);

paddle::Tensor ZerosLike(const paddle::Tensor&);

inline bool IsBFloat16(const paddle::Tensor& x) { return x.dtype() == paddle::DataType::BFLOAT16; }

// Returns the elements of a tensor.
template <typename DType>
DType* Data(paddle::Tensor& x) {
  return static_cast<DType*>(x.data());
}
template <typename DType>
const DType* Data(const paddle::Tensor& x) {
  return static_cast<const DType*>(x.data());
}

// Calls fn and turns exceptions into Paddle's: any other would end the process.
template <typename Fn>
auto Guarded(Fn fn) -> decltype(fn()) {
  try {
    return fn();
  } catch (const std::bad_alloc&) {
    PD_THROW("paddle_resnet's CPU operator: out of memory");
  } catch (const std::exception& error) {
    PD_THROW("paddle_resnet's CPU operator: ", error.what());
  }
}
