// Memory that stays with the process and grows to the largest block asked for. Fresh pages cost
// more than the arithmetic on them: each is a fault into the kernel, which writes it with zeros.
#pragma once

#include <cstddef>
#include <optional>

#include "caching_allocator.h"

class Scratch {
 public:
  void* Get(size_t bytes) {
    if (!block_ || bytes > block_->bytes()) {
      block_.reset();
      block_.emplace(bytes);
    }
    return block_->data();
  }

 private:
  std::optional<Block> block_;
};
