// The pages of a shared region that nobody has written to since they were recorded: they are still
// the recording's, read from its file, and become the region's own when they are written to. Most
// pages of PostgreSQL's shared memory never are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "wasm/linear_memory.h"

namespace calf::wasm {

// One thread: that of the processes which map the region. Nothing here allocates after
// construction, so that thaw() may be called from a fault handler.
class FrozenPages {
 public:
  // `extents`: page-aligned pieces; their addresses count from the region's begin, their offsets
  // are in `file`, which `owner` keeps open. What none of them covers is zero.
  FrozenPages(int file, std::shared_ptr<const void> owner,
              std::span<const MemoryImage::Extent> extents);

  // Maps what is still frozen, read only, over the region's mapping that begins at `region_begin`.
  Result<void> map(uint8_t* region_begin) const;

  struct Piece {
    uint64_t begin = 0;  // in the region
    uint64_t size_bytes = 0;
  };
  // The frozen piece around `offset` of the region gets its content, as it is mapped at
  // `region_begin`, in the region's own file (`region_file` from `region_offset` on), and is frozen no
  // more: whoever maps the region must map the piece anew. Nothing when no piece is there, or on an
  // error of the system.
  std::optional<Piece> thaw(uint64_t offset, const uint8_t* region_begin, int region_file,
                            uint64_t region_offset);

 private:
  // Large enough that a fault is worth it, small enough that little is copied in vain.
  static constexpr uint64_t kPieceBytes = 16384;
  struct FrozenPiece {
    uint64_t begin;
    uint32_t size_bytes;
    bool thawed;
    uint64_t file_offset;
  };

  int file_;
  std::shared_ptr<const void> owner_;
  std::vector<FrozenPiece> pieces_;  // ascending
};

}  // namespace calf::wasm
