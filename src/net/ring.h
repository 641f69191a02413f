// A bounded ring of bytes between one writing and one reading thread, without locks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace calf::net {

// push() on the writer's thread, pop() on the reader's; the counters may be looked at from both.
class Ring {
 public:
  explicit Ring(std::size_t capacity) : size_(capacity), bytes_(new std::byte[capacity]) {}

  // Takes as many of `bytes` as there is room for.
  std::size_t push(std::span<const std::byte> bytes) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    const std::size_t room = size_ - (head - tail_.load(std::memory_order_acquire));
    const std::size_t n = std::min(room, bytes.size());
    const std::size_t at = head & (size_ - 1);
    const std::size_t first = std::min(n, size_ - at);
    if (n > 0) std::memcpy(&bytes_[at], bytes.data(), first);
    if (n > first) std::memcpy(&bytes_[0], bytes.data() + first, n - first);
    head_.store(head + n, std::memory_order_release);
    return n;
  }

  std::size_t pop(std::span<std::byte> buffer) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t filled = head_.load(std::memory_order_acquire) - tail;
    const std::size_t n = std::min(filled, buffer.size());
    const std::size_t at = tail & (size_ - 1);
    const std::size_t first = std::min(n, size_ - at);
    if (n > 0) std::memcpy(buffer.data(), &bytes_[at], first);
    if (n > first) std::memcpy(buffer.data() + first, &bytes_[0], n - first);
    tail_.store(tail + n, std::memory_order_release);
    return n;
  }

  [[nodiscard]] bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool full() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_acquire) == size_;
  }

 private:
  const std::size_t size_;  // a power of two
  const std::unique_ptr<std::byte[]> bytes_;
  alignas(64) std::atomic<std::size_t> head_{0};  // bytes ever written
  alignas(64) std::atomic<std::size_t> tail_{0};  // bytes ever read
};

}  // namespace calf::net
