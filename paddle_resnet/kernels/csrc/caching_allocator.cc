// Fresh pages cost more than the arithmetic on them: each is a fault into the kernel, which writes
// it with zeros. So blocks are kept when they are given back, by size: a step asks for the sizes of
// the step before. A heap that keeps what is freed does the same, but puts small blocks into the
// holes of large ones, and grows beyond what is in use at once. Here blocks of other sizes go back
// to the system before the process would hold more than kSlack times what was once in use at once. Scratch (scratch.h)
// counts as in use for good.
//
// Blocks are made of huge pages of 2 MiB where the system has them: one fault instead of 512, and
// the loops over many maps at once find their pages' addresses in the processor's own table.
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

// Sizes differ along a network, so that some blocks always wait for their turn: with none to spare,
// each step would map blocks anew.
constexpr double kSlack = 1.2;

size_t Rounded(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

void* FromSystem(size_t bytes) {
  // To begin at a huge page takes up to one more, of which the parts outside are given back.
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

struct Free {
  void* block;
  size_t bytes;
};

struct Blocks {
  std::mutex mutex;
  std::list<Free> free;  // the one given back last first
  size_t held = 0, used = 0, most_used = 0;  // bytes
  int64_t mapped = 0;  // blocks ever taken from the system

  void* Take(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    void* block = nullptr;
    const auto same = std::find_if(free.begin(), free.end(),
                                   [=](const Free& one) { return one.bytes == bytes; });
    if (same != free.end()) {
      block = same->block;
      free.erase(same);
    } else {
      Shrink(static_cast<size_t>(kSlack * std::max(most_used, used + bytes)) - bytes);
      block = FromSystem(bytes);
      if (!block) {
        Shrink(0);
        block = FromSystem(bytes);
      }
      if (!block) throw std::bad_alloc();
      held += bytes;
      ++mapped;
    }
    used += bytes;
    most_used = std::max(most_used, used);
    return block;
  }

  void Return(void* block, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    used -= bytes;
    try {
      free.push_front({block, bytes});
    } catch (const std::bad_alloc&) {  // nobody could catch it where a tensor is freed
      munmap(block, bytes);
      held -= bytes;
    }
  }

  // Gives all free blocks back to the system.
  void Release() {
    std::lock_guard<std::mutex> lock(mutex);
    Shrink(0);
    most_used = used;
  }

 private:
  // Gives free blocks back to the system, the oldest first, until no more than `most` is held.
  void Shrink(size_t most) {
    while (held > most && !free.empty()) {
      munmap(free.back().block, free.back().bytes);
      held -= free.back().bytes;
      free.pop_back();
    }
  }
};

// Never destroyed: tensors may be freed at the very end of the process.
Blocks& blocks() {
  static Blocks* one = [] {
    // A process that is split off while another thread is in here must not wait for that thread.
    pthread_atfork([] { blocks().mutex.lock(); }, [] { blocks().mutex.unlock(); },
                   [] { blocks().mutex.unlock(); });
    return new Blocks;
  }();
  return *one;
}

}  // namespace

void* TakeBlock(size_t bytes) { return blocks().Take(Rounded(bytes)); }

void ReturnBlock(void* block, size_t bytes) { blocks().Return(block, Rounded(bytes)); }

void ReleaseBlocks() { blocks().Release(); }

// Writes the bytes held, those in use, the most that ever were, and how many blocks were taken from
// the system.
extern "C" void paddle_resnet_blocks(int64_t* four) {
  Blocks& all = blocks();
  std::lock_guard<std::mutex> lock(all.mutex);
  four[0] = all.held, four[1] = all.used, four[2] = all.most_used, four[3] = all.mapped;
}
