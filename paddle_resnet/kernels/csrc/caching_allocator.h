// Caching allocator for the large tensors that each step allocates again.
#pragma once

#include <cstddef>
#include <utility>

// Returns uninitialized memory, aligned to 64 bytes. Throws std::bad_alloc.
void* Allocate(size_t bytes);
// Frees a block; `bytes` as it was allocated with.
void Deallocate(void* block, size_t bytes);
// Unmaps all free blocks.
void ReleaseFreeBlocks();

// Owns a block.
class Block {
 public:
  explicit Block(size_t bytes) : data_(Allocate(bytes)), bytes_(bytes) {}
  Block(const Block&) = delete;
  ~Block() {
    if (data_) Deallocate(data_, bytes_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Gives the ownership up; the caller deallocates the block.
  void* Release() { return std::exchange(data_, nullptr); }

 private:
  void* data_;
  size_t bytes_;
};
