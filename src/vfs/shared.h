// Shared<T>: an intrusive, reference-counted pointer for copy-on-write data. Unlike shared_ptr it
// can say for certain that nobody else holds the object, so that the holder may change it in place.
// Clones of a file system may live on other threads: the count is atomic, the data is only ever
// written while unique().
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace calf::vfs {

// T has a member `std::atomic<uint32_t> references{1}` and a static `void destroy(T*)`.
template <typename T>
class Shared {
 public:
  Shared() = default;
  // Takes over the reference that a new object starts with.
  explicit Shared(T* object) : object_(object) {}
  Shared(const Shared& other) : object_(other.object_) {
    if (object_ != nullptr) object_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Shared(Shared&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Shared() {
    // Release our reads and writes to whoever turns out to be the last; acquire theirs if it is us.
    if (object_ != nullptr && object_->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      T::destroy(object_);
  }

  [[nodiscard]] T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

  // True when this is the only reference: the object may be written. Acquire pairs with another
  // holder's release.
  [[nodiscard]] bool unique() const {
    return object_->references.load(std::memory_order_acquire) == 1;
  }

 private:
  T* object_ = nullptr;
};

}  // namespace calf::vfs
