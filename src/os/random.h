// Random bytes of the operating system, behind a class so that a simulation can seed them. Any
// thread.
#pragma once

#include <cstddef>
#include <span>

namespace calf::os {

// Fills `bytes` from the kernel's generator (getrandom). Good for keys. Aborts if the kernel cannot
// give any, which does not happen after boot.
void random_bytes(std::span<std::byte> bytes);

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> bytes) = 0;
};

class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> bytes) override { random_bytes(bytes); }
};

}  // namespace calf::os
