#include "wasm/large_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#ifndef MADV_COLLAPSE  // Linux 6.1
#define MADV_COLLAPSE 25
#endif

namespace calf::wasm {
namespace {

constexpr uint64_t kHostPage = 4096;

// Are all small pages of [begin, begin + size) in memory?
bool is_present(uint8_t* begin, uint64_t size_bytes) {
  unsigned char present[kLargePageBytes / kHostPage];
  if (mincore(begin, size_bytes, present) != 0) return false;
  return std::all_of(present, present + size_bytes / kHostPage,
                     [](unsigned char page) { return (page & 1) != 0; });
}

// Buffers come into use one after the other: most pieces that are not whole lack their last page,
// and to ask for all pages takes the system long.
bool is_whole(uint8_t* piece) {
  return is_present(piece + kLargePageBytes - kHostPage, kHostPage) &&
         is_present(piece, kLargePageBytes);
}

}  // namespace

LargePages::~LargePages() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LargePages::look(int64_t now_ns, const LinearMemory& memory) {
  if (now_ns < due_ns_) return;
  const bool is_new = std::exchange(due_ns_, now_ns + kLookEveryNs) == 0;
  if (is_new) return;  // most clusters that live short have no whole piece
  watch(memory);
  look_at_pieces();
}

size_t LargePages::made() const {
  const std::lock_guard lock(mutex_);
  return made_;
}

// The largest region: PostgreSQL's buffers are in it. After a crash it is a new one.
void LargePages::watch(const LinearMemory& memory) {
  const auto& regions = memory.shared_regions();
  const auto largest = std::ranges::max_element(regions, {}, &SharedRegion::size_bytes);
  if (largest == regions.end()) return;
  const bool is_known =
      !region_.owner_before(largest->owner) && !largest->owner.owner_before(region_);
  if (is_known) return;
  region_ = largest->owner;
  uint8_t* begin = memory.base() + largest->address;
  const uint64_t skipped = -reinterpret_cast<uintptr_t>(begin) % kLargePageBytes;
  first_piece_ = begin + skipped;
  const uint64_t size_bytes = largest->size_bytes;
  asked_.assign(size_bytes < skipped ? 0 : (size_bytes - skipped) / kLargePageBytes, false);
}

void LargePages::look_at_pieces() {
  std::vector<uint8_t*> found;
  for (size_t i = 0; i < asked_.size(); ++i) {
    uint8_t* piece = first_piece_ + i * kLargePageBytes;
    if (asked_[i] || !is_whole(piece)) continue;
    asked_[i] = true;
    found.push_back(piece);
  }
  if (found.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    whole_.insert(whole_.end(), found.begin(), found.end());
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

void LargePages::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !whole_.empty(); });
    if (stopping_) return;
    uint8_t* piece = whole_.back();
    whole_.pop_back();
    lock.unlock();
    // Changes no content, so it does not matter if the memory is another's by now. Refused for a
    // piece of several mappings, too: frozen pages are some.
    const bool made = madvise(piece, kLargePageBytes, MADV_COLLAPSE) == 0;
    lock.lock();
    made_ += made ? 1 : 0;
  }
}

}  // namespace calf::wasm
