// New bases, and what becomes superfluous by them.
#pragma once

#include "archive/shipper.h"

namespace calf::archive {

// Puts the snapshot as a base; its size in the store. `scratch` is a file that may be made and is
// removed: the base is compressed into it first, so that memory stays small.
Result<std::uint64_t> put_base(blob::ObjectStore& store, Shipper::At at,
                               const std::filesystem::path& scratch, const blob::Limits& limits);

// Deletes what no moment since `horizon_ms` needs: bases before the newest one that is older than
// that, and the segments up to it. Gives the number of deleted objects.
Result<std::uint64_t> delete_unneeded(blob::ObjectStore& store, std::int64_t horizon_ms,
                                      const blob::Limits& limits);

// How much there is: of the newest base, and of the segments after it.
struct ChainSize {
  std::uint64_t base_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t segments = 0;
  [[nodiscard]] std::uint64_t segment_cost() const {
    return segment_bytes + segments * kObjectCostBytes;
  }
};
Result<ChainSize> measure_chain(blob::ObjectStore& store, const blob::Limits& limits);

}  // namespace calf::archive
