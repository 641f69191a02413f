// A booted postmaster as bytes (docs/formats/snapshot.md): made at build time, embedded in the
// binary, and the start of every fresh cluster in memory. Not for making one or for going on from
// one: kernel_snapshot.cc.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/backing_file.h"
#include "postgres/process.h"
#include "wasm/files/guest_files.h"
#include "wasm/frozen_pages.h"
#include "wasm/linear_memory.h"
#include "wasm/usual_pages.h"

namespace calf::postgres {

struct SnapshotState {
  struct SharedMemory {
    uint32_t address = 0;  // where the postmaster maps it; 0: nowhere, only its children do
    uint32_t size_bytes = 0;
    std::string path;  // of the guest's file that is mapped; empty: PostgreSQL's main segment
    std::vector<wasm::MemoryImage::Extent>
        extents;  // what is not zero; addresses count from the region's begin
  };
  struct Child {
    int pid = 0;
    Launch launch;  // without a client
  };

  // The postmaster
  uint64_t pages = 0;
  uint32_t globals[CALF_GLOBAL_SLOTS] = {};
  std::vector<uint64_t> frame;  // calf_checkpoint_frame()
  std::vector<wasm::MemoryImage::Extent> memory;
  std::vector<SharedMemory> shared;
  // Of PostgreSQL's main segment, what the first session of a fresh cluster writes to: see
  // wasm::PieceHeat. May be empty.
  std::vector<uint32_t> hot_pieces;
  // Which pages of private memory the two write to: see wasm::UsualPages. May be empty.
  std::vector<uint32_t> usual_of_postmaster, usual_of_backend;
  std::vector<wasm::GuestFiles::Descriptor> descriptors;
  std::string working_directory;
  uint32_t umask = 0;
  // The cluster
  int next_pid = 0;
  std::vector<Child> children;             // have a pid, but have not yet run
  std::vector<std::string> boot_settings;  // what is fixed when a postmaster boots: "name=value"
};

// Immutable; any thread.
class Snapshot {
 public:
  using Settings = std::vector<std::pair<std::string, std::string>>;

  // `bytes` must stay valid as long as the snapshot; their pages are mapped from the file that they
  // were loaded from, or copied if there is none. kDataCorrupted.
  static Result<std::shared_ptr<const Snapshot>> open(std::span<const std::byte> bytes);
  // One that keeps its bytes itself.
  static Result<std::shared_ptr<const Snapshot>> adopt(std::string bytes);

  [[nodiscard]] const SnapshotState& state() const { return state_; }
  // The data directory's files at that moment, a vfs::Pack.
  [[nodiscard]] std::span<const std::byte> data_pack() const { return data_pack_; }
  // Where the extents' offsets count from.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  // PostgreSQL's main segment: the pages that a region begins with. They need this object.
  // `most_runs`: see FrozenPages.
  [[nodiscard]] std::shared_ptr<wasm::FrozenPages> freeze(
      std::span<const wasm::MemoryImage::Extent> extents, size_t most_runs) const;
  // The pieces of it that the clusters which went on from here have written to.
  [[nodiscard]] std::vector<uint32_t> hot_pieces() const { return heat_->hot(); }
  [[nodiscard]] const std::shared_ptr<const wasm::MemoryImage>& memory() const { return memory_; }

  // What the processes use of the clusters that go on from here.
  struct UsualPages {
    wasm::UsualPages postmasters, backends;
  };
  [[nodiscard]] const std::shared_ptr<UsualPages>& usual_pages() const { return usual_pages_; }

  // Gives the pages back that reading bytes() has made resident; they come from the file again when
  // they are read.
  void forget_pages() const;

  // Can a cluster with these settings go on from here? Not when one of them is among those that
  // size shared memory or choose the processes.
  [[nodiscard]] bool allows(const Settings& settings) const;

 private:
  Snapshot() = default;
  static Result<std::shared_ptr<Snapshot>> decode(std::span<const std::byte> bytes);

  std::string own_bytes_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_pack_;
  bool in_file_ = false;  // bytes_ are a mapping of a file
  os::BackingFile file_;  // has bytes_
  std::shared_ptr<wasm::PieceHeat> heat_;
  std::shared_ptr<UsualPages> usual_pages_;
  SnapshotState state_;
  std::shared_ptr<const wasm::MemoryImage> memory_;
};

// Collects the parts and writes the file. One thread.
class SnapshotBuilder {
 public:
  // Appends a page-aligned piece of memory; its offset.
  uint64_t add_pages(std::span<const std::byte> bytes);
  [[nodiscard]] std::string finish(const SnapshotState& state, std::string_view data_pack) const;

 private:
  std::string pages_;
};

}  // namespace calf::postgres
