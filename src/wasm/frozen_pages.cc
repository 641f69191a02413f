#include "wasm/frozen_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace calf::wasm {

void PieceHeat::begin_region(size_t count) {
  std::lock_guard lock(mutex_);
  if (written_ == nullptr) written_ = std::make_unique<std::atomic<uint32_t>[]>(count);
  regions_.fetch_add(1, std::memory_order_relaxed);
}

FrozenPages::FrozenPages(Recording recording, std::span<const MemoryImage::Extent> extents,
                         std::shared_ptr<PieceHeat> heat)
    : recording_(std::move(recording)), heat_(std::move(heat)) {
  for (const MemoryImage::Extent& extent : extents) {
    const uint64_t end = uint64_t{extent.address} + extent.size_bytes;
    for (uint64_t begin = extent.address; begin < end;) {
      const uint64_t next = std::min((begin / kPieceBytes + 1) * kPieceBytes, end);
      pieces_.push_back({.begin = begin,
                         .size_bytes = static_cast<uint32_t>(next - begin),
                         .thawed = false,
                         .offset = extent.offset + (begin - extent.address)});
      begin = next;
    }
  }
  std::sort(pieces_.begin(), pieces_.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  heat_->begin_region(pieces_.size());
}

Result<void> FrozenPages::thaw_hot(int region_file, uint64_t region_offset) {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    FrozenPiece& piece = pieces_[i];
    if (!heat_->is_hot(i)) continue;
    const auto content = recording_.bytes.subspan(piece.offset, piece.size_bytes);
    if (pwrite(region_file, content.data(), content.size(),
               static_cast<off_t>(region_offset + piece.begin)) !=
        static_cast<ssize_t>(content.size())) {
      return fail(Error::from_errno("filling shared memory", errno));
    }
    piece.thawed = true;
    heat_->note(i);
  }
  return {};
}

Result<void> FrozenPages::map(uint8_t* region_begin) const {
  for (size_t i = 0; i < pieces_.size();) {
    if (pieces_[i].thawed) {
      ++i;
      continue;
    }
    const FrozenPiece& first = pieces_[i];
    uint64_t size_bytes = 0;
    for (;
         i < pieces_.size() && !pieces_[i].thawed && pieces_[i].begin == first.begin + size_bytes &&
         pieces_[i].offset == first.offset + size_bytes;
         ++i) {
      size_bytes += pieces_[i].size_bytes;
    }
    void* got = mmap(region_begin + first.begin, size_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED,
                     recording_.file.fd, static_cast<off_t>(recording_.file.offset + first.offset));
    if (got == MAP_FAILED) return fail(Error::from_errno("mapping recorded memory", errno));
  }
  return {};
}

std::optional<FrozenPages::Piece> FrozenPages::thaw(uint64_t offset, const uint8_t* region_begin,
                                                    int region_file, uint64_t region_offset) {
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](uint64_t at, const auto& p) { return at < p.begin; });
  if (piece == pieces_.begin()) return std::nullopt;
  --piece;
  if (offset >= piece->begin + piece->size_bytes || piece->thawed) return std::nullopt;
  const ssize_t written = pwrite(region_file, region_begin + piece->begin, piece->size_bytes,
                                 static_cast<off_t>(region_offset + piece->begin));
  if (written != static_cast<ssize_t>(piece->size_bytes)) return std::nullopt;
  piece->thawed = true;
  heat_->note(static_cast<size_t>(piece - pieces_.begin()));
  return Piece{.begin = piece->begin, .size_bytes = piece->size_bytes};
}

}  // namespace calf::wasm
