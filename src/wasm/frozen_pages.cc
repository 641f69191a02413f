#include "wasm/frozen_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace calf::wasm {

FrozenPages::FrozenPages(int file, std::shared_ptr<const void> owner,
                         std::span<const MemoryImage::Extent> extents)
    : file_(file), owner_(std::move(owner)) {
  for (const MemoryImage::Extent& extent : extents) {
    const uint64_t end = uint64_t{extent.address} + extent.size_bytes;
    for (uint64_t begin = extent.address; begin < end;) {
      const uint64_t next = std::min((begin / kPieceBytes + 1) * kPieceBytes, end);
      pieces_.push_back({.begin = begin,
                         .size_bytes = static_cast<uint32_t>(next - begin),
                         .thawed = false,
                         .file_offset = extent.offset + (begin - extent.address)});
      begin = next;
    }
  }
  std::sort(pieces_.begin(), pieces_.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
}

Result<void> FrozenPages::map(uint8_t* region_begin) const {
  for (size_t i = 0; i < pieces_.size();) {
    if (pieces_[i].thawed) {
      ++i;
      continue;
    }
    const FrozenPiece& first = pieces_[i];
    uint64_t size_bytes = 0;
    for (; i < pieces_.size() && !pieces_[i].thawed &&
           pieces_[i].begin == first.begin + size_bytes &&
           pieces_[i].file_offset == first.file_offset + size_bytes;
         ++i) {
      size_bytes += pieces_[i].size_bytes;
    }
    void* got = mmap(region_begin + first.begin, size_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED,
                     file_, static_cast<off_t>(first.file_offset));
    if (got == MAP_FAILED) return fail(Error::from_errno("mapping recorded memory", errno));
  }
  return {};
}

std::optional<FrozenPages::Piece> FrozenPages::thaw(uint64_t offset,
                                                    const uint8_t* region_begin, int region_file,
                                                    uint64_t region_offset) {
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](uint64_t at, const auto& p) { return at < p.begin; });
  if (piece == pieces_.begin()) return std::nullopt;
  --piece;
  if (offset >= piece->begin + piece->size_bytes || piece->thawed) return std::nullopt;
  const ssize_t written = pwrite(region_file, region_begin + piece->begin, piece->size_bytes,
                                 static_cast<off_t>(region_offset + piece->begin));
  if (written != static_cast<ssize_t>(piece->size_bytes)) return std::nullopt;
  piece->thawed = true;
  return Piece{.begin = piece->begin, .size_bytes = piece->size_bytes};
}

}  // namespace calf::wasm
