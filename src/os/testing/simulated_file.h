// One file or directory of a simulated disk: what programs see now, what is on the disk for
// certain, and the changes between the two. Not here: names, descriptors, faults
// (simulated_disk.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "os/files.h"

namespace calf::os::testing {

using Dice = std::mt19937_64;

// The bytes of a file. A copy is cheap: chunks are shared until one side writes.
class Bytes {
 public:
  [[nodiscard]] uint64_t size() const { return size_; }
  // Bytes read: fewer only at the end.
  size_t read(std::span<std::byte> out, uint64_t offset) const;
  void write(std::span<const std::byte> in, uint64_t offset);
  void resize(uint64_t size);

 private:
  static constexpr size_t kChunk = 8192;
  using Chunk = std::array<std::byte, kChunk>;

  std::vector<std::shared_ptr<Chunk>> chunks_;  // shared by copies; null is zeros
  uint64_t size_ = 0;
};

// A change of a file's contents that no sync has covered yet.
struct UnsyncedChange {
  uint64_t offset = 0;
  std::vector<std::byte> bytes;  // a write; empty: the file was resized to `offset`
};

struct SimulatedFile;
using FilePointer = std::shared_ptr<SimulatedFile>;  // shared: names, descriptors, pending changes

struct SimulatedFile {
  uint64_t inode = 0;
  mode_t mode = 0;  // with the kind of file
  uint32_t links = 0;
  timespec modified{};

  Bytes contents;
  Bytes durable_contents;
  std::vector<UnsyncedChange> unsynced;
  bool has_lost_changes = false;  // a sync has failed: durable_contents will never catch up

  struct Entry {
    FilePointer file;
    uint64_t cookie = 0;  // grows with every insertion
  };
  std::map<std::string, Entry> entries;
  std::map<std::string, FilePointer> durable_entries;
  SimulatedFile* parent = nullptr;  // of a directory; null for the root and for removed ones
  uint64_t next_cookie = 3;         // those below stand for "." and ".."

  [[nodiscard]] bool is_directory() const { return S_ISDIR(mode); }
  void write(std::span<const std::byte> in, uint64_t offset);
  void resize(uint64_t size);
  void sync_contents();
  // As Linux does: the changes stay visible, but no later sync will write them.
  void fail_to_sync_contents();
  // What a power cut leaves of the contents: each unsynced change whole, not at all, or some of its
  // sectors.
  [[nodiscard]] Bytes contents_after_cut(Dice& dice) const;
};

}  // namespace calf::os::testing
