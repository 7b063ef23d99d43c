// Memory that stays with the process and grows to the largest block asked for. Fresh pages cost
// more than the arithmetic on them: each is a fault into the kernel, which writes it with zeros.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

class Scratch {
 public:
  void* Get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + 63) / 64 * 64;
      data_ = std::aligned_alloc(64, size_);
      if (!data_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
    return data_;
  }
  ~Scratch() { std::free(data_); }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};
