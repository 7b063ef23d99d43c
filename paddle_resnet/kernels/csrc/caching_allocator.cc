// Caching allocator for large tensors.
//
// Freed blocks are kept in a list by size, because each step allocates the sizes of the step
// before: a fresh page costs a page fault and is zeroed by the kernel, which takes longer than the
// arithmetic on it. Reserved memory stays below kSlack x the peak allocated: blocks of other sizes
// are unmapped first. (A heap that keeps what is freed puts small blocks into the holes of large
// ones and grows beyond that.) Scratch buffers (scratch.h) are never freed.
//
// Blocks of 2 MiB and more use huge pages where the system has them: one fault in place of 512, and
// fewer misses of the address translation cache.
#include "caching_allocator.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <list>
#include <mutex>
#include <new>

namespace {

constexpr size_t kPage = 4096, kHugePage = 2 << 20;

// The sizes of a network's tensors differ, so some free blocks always wait for their turn. With no
// slack, each step would unmap some and take others from the system.
constexpr double kSlack = 1.2;

size_t RoundToPages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

void* MapPages(size_t bytes) {
  // Alignment to a huge page takes up to one page more; what lies outside is unmapped.
  const size_t more = bytes < kHugePage ? 0 : kHugePage;
  void* got =
      mmap(nullptr, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  if (!more) return got;
  char* block = static_cast<char*>(got);
  const size_t before = -reinterpret_cast<uintptr_t>(block) % kHugePage;
  if (before) munmap(block, before);
  block += before;
  if (before < more) munmap(block + bytes, more - before);
  madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

struct FreeBlock {
  void* block;
  size_t bytes;
};

struct CachingAllocator {
  std::mutex mutex;
  std::list<FreeBlock> free;                               // the most recently freed one first
  size_t reserved = 0, allocated = 0, peak_allocated = 0;  // bytes
  int64_t mapped = 0;                                      // number of blocks mapped so far

  void* Allocate(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    void* block = nullptr;
    const auto same = std::find_if(free.begin(), free.end(),
                                   [=](const FreeBlock& one) { return one.bytes == bytes; });
    if (same != free.end()) {
      block = same->block;
      free.erase(same);
    } else {
      Shrink(static_cast<size_t>(kSlack * std::max(peak_allocated, allocated + bytes)) - bytes);
      block = MapPages(bytes);
      if (!block) {
        Shrink(0);
        block = MapPages(bytes);
      }
      if (!block) throw std::bad_alloc();
      reserved += bytes;
      ++mapped;
    }
    allocated += bytes;
    peak_allocated = std::max(peak_allocated, allocated);
    return block;
  }

  void Deallocate(void* block, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    allocated -= bytes;
    try {
      free.push_front({block, bytes});
    } catch (const std::bad_alloc&) {  // thrown where a tensor is freed, nothing could catch it
      munmap(block, bytes);
      reserved -= bytes;
    }
  }

  // Unmaps all free blocks.
  void Release() {
    std::lock_guard<std::mutex> lock(mutex);
    Shrink(0);
    peak_allocated = allocated;
  }

 private:
  // Unmaps free blocks, the oldest first, until at most `most` bytes are reserved.
  void Shrink(size_t most) {
    while (reserved > most && !free.empty()) {
      munmap(free.back().block, free.back().bytes);
      reserved -= free.back().bytes;
      free.pop_back();
    }
  }
};

// Never destroyed: tensors may be freed at the very end of the process.
CachingAllocator& allocator() {
  static CachingAllocator* one = [] {
    // A fork while another thread holds the mutex would leave it locked in the child.
    pthread_atfork([] { allocator().mutex.lock(); }, [] { allocator().mutex.unlock(); },
                   [] { allocator().mutex.unlock(); });
    return new CachingAllocator;
  }();
  return *one;
}

}  // namespace

void* Allocate(size_t bytes) { return allocator().Allocate(RoundToPages(bytes)); }

void Deallocate(void* block, size_t bytes) { allocator().Deallocate(block, RoundToPages(bytes)); }

void ReleaseFreeBlocks() { allocator().Release(); }

// Writes the bytes reserved, the bytes allocated, their peak, and the number of blocks mapped so
// far.
extern "C" void paddle_resnet_blocks(int64_t* four) {
  CachingAllocator& all = allocator();
  std::lock_guard<std::mutex> lock(all.mutex);
  four[0] = all.reserved, four[1] = all.allocated, four[2] = all.peak_allocated,
  four[3] = all.mapped;
}
