// Words in the guest's memory: every address is taken modulo 4 GiB, so that a wild one stays inside
// the reservation of linear memory, where it faults and becomes a trap. Not here: text, which is
// passed as spans (see conversion.h).
#pragma once

#include <cstring>

#include "wasm/abi/calf_abi.h"

namespace calf::supplies {

// A view of one process's linear memory; owns nothing. Cluster thread.
struct LinearMemory {
  u8* base = nullptr;  // linear address 0

  [[nodiscard]] u8 load_u8(u32 address) const { return base[address]; }
  [[nodiscard]] u16 load_u16(u32 address) const { return load<u16>(address); }
  [[nodiscard]] u32 load_u32(u32 address) const { return load<u32>(address); }
  void store_u32(u32 address, u32 value) const {
    std::memcpy(base + address, &value, sizeof value);
  }

 private:
  template <typename T>
  [[nodiscard]] T load(u32 address) const {
    T value;
    std::memcpy(&value, base + address, sizeof value);
    return value;
  }
};

}  // namespace calf::supplies
