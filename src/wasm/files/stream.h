// Files that are a way and not a place: pipes, the standard streams, what the host installs.
#pragma once

#include <optional>

#include "vfs/file_system.h"

namespace calf::wasm {

// What poll says of a file: pipes know, everything else is always ready.
struct Readiness {
  bool readable = true;
  bool writable = true;
  bool hung_up = false;
};

// Which pipe an end belongs to.
struct PipeSide {
  const void* pipe = nullptr;  // its identity only
  bool writer = false;
};

// Base of files that only pass bytes on: no size, no place, no name. Nothing is read or written
// unless a class says otherwise.
class Stream : public vfs::File {
 public:
  os::Expected<size_t> preadv(std::span<const iovec>, uint64_t) override { return 0; }
  os::Expected<size_t> append(std::span<const iovec> buffers) override {
    return pwritev(buffers, 0);
  }
  [[nodiscard]] os::Expected<vfs::Stat> stat() override {
    return vfs::Stat{.kind = kind(), .permissions = 0600, .inode = 1};
  }
  os::Expected<void> truncate(uint64_t) override { return os::fail(os::Errno::kInvalid); }
  os::Expected<void> allocate(uint64_t, uint64_t) override {
    return os::fail(os::Errno::kSeekPipe);
  }
  os::Expected<void> chmod(uint32_t) override { return {}; }
  os::Expected<void> set_times(vfs::TimeChange, vfs::TimeChange) override { return {}; }
  os::Expected<void> sync(SyncKind) override { return os::fail(os::Errno::kInvalid); }
  os::Expected<vfs::SharedMapping> map_shared(uint64_t, uint64_t) override {
    return os::fail(os::Errno::kNoDevice);
  }
  os::Expected<void> read_directory(uint64_t, const EntryVisitor&) override {
    return os::fail(os::Errno::kNotDirectory);
  }

  [[nodiscard]] virtual Readiness readiness() const { return {}; }
  [[nodiscard]] virtual std::optional<PipeSide> pipe_side() const { return std::nullopt; }
};

}  // namespace calf::wasm
