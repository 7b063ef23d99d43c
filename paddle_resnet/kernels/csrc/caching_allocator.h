// Large blocks of memory that come back at every step.
#pragma once

#include <cstddef>
#include <utility>

// Returns memory of undefined content, at a multiple of 64 bytes. Throws std::bad_alloc.
void* TakeBlock(size_t bytes);
// Gives a block back, with the size it was asked for.
void ReturnBlock(void* block, size_t bytes);
// Gives all blocks that nobody uses back to the system.
void ReleaseBlocks();

// A block for as long as it lives.
class Block {
 public:
  explicit Block(size_t bytes) : data_(TakeBlock(bytes)), bytes_(bytes) {}
  Block(const Block&) = delete;
  ~Block() {
    if (data_) ReturnBlock(data_, bytes_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Leaves the block to someone else, who returns it.
  void* Release() { return std::exchange(data_, nullptr); }

 private:
  void* data_;
  size_t bytes_;
};
