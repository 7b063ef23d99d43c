// Memory that stays with the process and grows to the largest block asked for. Fresh pages cost
// more than the arithmetic on them: each is a fault into the kernel, which writes it with zeros.
#pragma once

#include <cstddef>
#include <memory>

#include "caching_allocator.h"

class Scratch {
 public:
  void* Get(size_t bytes) {
    if (!block_ || bytes > block_->bytes()) {
      block_.reset();  // first: both may not be to be had at once
      block_ = std::make_unique<Block>(bytes);
    }
    return block_->data();
  }

 private:
  std::unique_ptr<Block> block_;
};
