// Tensors of undefined content, the large ones in blocks of our own.
#pragma once

#include <cstdint>
#include <exception>
#include <new>
#include <vector>

#include "paddle/extension.h"

// Throws std::bad_alloc where a block is not to be had.
paddle::Tensor EmptyTensor(const std::vector<int64_t>& shape, paddle::DataType);

paddle::Tensor ZerosLike(const paddle::Tensor&);

inline bool IsBFloat16(const paddle::Tensor& x) {
  return x.dtype() == paddle::DataType::BFLOAT16;
}

// The numbers of a tensor, as they lie in memory.
template <typename Number>
Number* In(paddle::Tensor& x) {
  return static_cast<Number*>(x.data());
}
template <typename Number>
const Number* In(const paddle::Tensor& x) {
  return static_cast<const Number*>(x.data());
}

// Paddle ends the process at any exception but its own.
template <typename Work>
auto Guarded(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    PD_THROW("paddle_resnet's CPU operator: out of memory");
  } catch (const std::exception& error) {
    PD_THROW("paddle_resnet's CPU operator: ", error.what());
  }
}
