// The pages of a shared region that nobody has written to since they were recorded: they are still
// the recording's, read from its file, and become the region's own when they are written to. Most
// pages of PostgreSQL's shared memory never are.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "os/backing_file.h"
#include "wasm/linear_memory.h"

namespace calf::wasm {

// Which pieces of a recording are written to in practice: what most of the regions that began with
// it have needed so far. Any thread.
class PieceHeat {
 public:
  // Every region of a recording has the same pieces; `count` is how many.
  void begin_region(size_t count);
  void note(size_t piece) { written_[piece].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] bool is_hot(size_t piece) const {
    return 2 * written_[piece].load(std::memory_order_relaxed) >
           regions_.load(std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<std::atomic<uint32_t>[]> written_;
  std::atomic<uint32_t> regions_ = 0;
};

// One thread: that of the processes which map the region. Nothing here allocates after
// construction, so that thaw() may be called from a fault handler.
//
// Each run of frozen pages costs every process that maps the region two mappings, and a system
// allows a program only so many. So there are at most `most_runs` of them: small runs are thawed
// before anybody maps them, and where a write would split a run that is one too many, the shorter
// part of it is thawed as well.
class FrozenPages {
 public:
  // A recording's bytes, and the file that has them.
  struct Recording {
    os::BackingFile file;
    std::span<const std::byte> bytes;  // for what is thawed without a fault
  };
  // `extents`: page-aligned pieces; their addresses count from the region's begin, their offsets
  // from the recording's. What none of them covers is zero.
  FrozenPages(Recording recording, std::span<const MemoryImage::Extent> extents,
              std::shared_ptr<PieceHeat> heat, size_t most_runs);

  [[nodiscard]] size_t most_runs() const { return most_runs_; }

  // Writes the hot pieces to the region's own file, so that they need no fault, and those of the
  // smallest runs if there are too many. Before the region is mapped anywhere.
  Result<void> prepare(int region_file, uint64_t region_offset);

  // Maps what is still frozen, read only, over the region's mapping that begins at `region_begin`.
  Result<void> map(uint8_t* region_begin) const;

  struct Piece {
    uint64_t begin = 0;  // in the region
    uint64_t size_bytes = 0;
  };
  // Not more runs than these from now on; what is thawed for that. Whoever maps the region must map
  // the pieces anew.
  Result<std::vector<Piece>> limit_runs(size_t most_runs, int region_file, uint64_t region_offset);
  // What is frozen around `offset` of the region gets its content, as it is mapped at
  // `region_begin`, in the region's own file (`region_file` from `region_offset` on), and is frozen
  // no more: whoever maps the region must map the piece anew. Nothing when no piece is there, or on
  // an error of the system.
  std::optional<Piece> thaw(uint64_t offset, const uint8_t* region_begin, int region_file,
                            uint64_t region_offset);

 private:
  // Large enough that a fault is worth it, small enough that little is copied in vain.
  static constexpr uint64_t kPieceBytes = 16384;
  struct FrozenPiece {
    uint64_t begin;
    uint32_t size_bytes;
    bool thawed;
    uint64_t offset;  // in the recording
  };

  // Pieces [first, last) that lie side by side, in the region and in the recording.
  struct Run {
    size_t first = 0;
    size_t last = 0;
  };

  // The longest frozen run with piece `i` in it, and the first frozen run from `i` on.
  [[nodiscard]] Run run_around(size_t i) const;
  [[nodiscard]] Run next_run(size_t i) const;
  [[nodiscard]] bool continues(size_t i) const;
  [[nodiscard]] uint64_t size_of(const Run& run) const;
  // What thawing piece `i` of `run` thaws: more than the piece if it would make a run too many.
  [[nodiscard]] Run part_to_thaw(const Run& run, size_t i) const;
  // Thaws the shortest runs but for `most_runs_`.
  Result<std::vector<Piece>> thaw_short(int region_file, uint64_t region_offset);
  Result<void> fill(const Run& run, int region_file, uint64_t region_offset);
  void mark_thawed(const Run& run);

  Recording recording_;
  std::vector<FrozenPiece> pieces_;  // ascending
  std::shared_ptr<PieceHeat> heat_;
  size_t most_runs_;
  size_t runs_ = 0;  // set by prepare()
};

}  // namespace calf::wasm
