// A buffer that grows to the largest size requested and is never freed: fresh pages cost a page
// fault each and are zeroed by the kernel, which takes longer than the arithmetic on them.
#pragma once

#include <cstddef>
#include <memory>

#include "caching_allocator.h"

class Scratch {
 public:
  void* Get(size_t bytes) {
    if (!block_ || bytes > block_->bytes()) {
      block_.reset();  // first: there may not be memory for both
      block_ = std::make_unique<Block>(bytes);
    }
    return block_->data();
  }

 private:
  std::unique_ptr<Block> block_;
};
