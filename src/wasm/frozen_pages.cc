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
                         std::shared_ptr<PieceHeat> heat, size_t most_runs)
    : recording_(std::move(recording)), heat_(std::move(heat)), most_runs_(most_runs) {
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

FrozenPages::Run FrozenPages::next_run(size_t i) const {
  while (i < pieces_.size() && pieces_[i].thawed) ++i;
  Run run{.first = i, .last = i};
  if (i == pieces_.size()) return run;
  ++run.last;
  while (run.last < pieces_.size() && continues(run.last)) ++run.last;
  return run;
}

FrozenPages::Run FrozenPages::run_around(size_t i) const {
  while (i > 0 && continues(i)) --i;
  return next_run(i);
}

// Is piece `i` frozen, and the next one to its frozen predecessor?
bool FrozenPages::continues(size_t i) const {
  const FrozenPiece& before = pieces_[i - 1];
  const FrozenPiece& piece = pieces_[i];
  return !piece.thawed && !before.thawed && piece.begin == before.begin + before.size_bytes &&
         piece.offset == before.offset + before.size_bytes;
}

uint64_t FrozenPages::size_of(const Run& run) const {
  const FrozenPiece& last = pieces_[run.last - 1];
  return last.begin + last.size_bytes - pieces_[run.first].begin;
}

FrozenPages::Run FrozenPages::part_to_thaw(const Run& run, size_t i) const {
  const bool splits = i > run.first && i + 1 < run.last;
  if (!splits || runs_ < most_runs_) return {.first = i, .last = i + 1};
  const Run left{.first = run.first, .last = i + 1};
  const Run right{.first = i, .last = run.last};
  return size_of(left) < size_of(right) ? left : right;
}

void FrozenPages::mark_thawed(const Run& run) {
  for (size_t i = run.first; i < run.last; ++i) pieces_[i].thawed = true;
}

// From the recording's bytes, which are what is mapped.
Result<void> FrozenPages::fill(const Run& run, int region_file, uint64_t region_offset) {
  const FrozenPiece& first = pieces_[run.first];
  const auto content = recording_.bytes.subspan(first.offset, size_of(run));
  if (pwrite(region_file, content.data(), content.size(),
             static_cast<off_t>(region_offset + first.begin)) !=
      static_cast<ssize_t>(content.size())) {
    return fail(Error::from_errno("filling shared memory", errno));
  }
  mark_thawed(run);
  return {};
}

Result<void> FrozenPages::prepare(int region_file, uint64_t region_offset) {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (!heat_->is_hot(i)) continue;
    CALF_CHECK_OK(fill({.first = i, .last = i + 1}, region_file, region_offset));
    heat_->note(i);
  }
  CALF_CHECK_OK(thaw_short(region_file, region_offset));
  return {};
}

Result<std::vector<FrozenPages::Piece>> FrozenPages::thaw_short(int region_file,
                                                                uint64_t region_offset) {
  std::vector<Run> runs;
  for (Run run = next_run(0); run.first < run.last; run = next_run(run.last)) runs.push_back(run);
  std::sort(runs.begin(), runs.end(),
            [this](const Run& a, const Run& b) { return size_of(a) > size_of(b); });
  std::vector<Piece> thawed;
  for (; runs.size() > most_runs_; runs.pop_back()) {
    const Run& run = runs.back();
    CALF_CHECK_OK(fill(run, region_file, region_offset));
    thawed.push_back({.begin = pieces_[run.first].begin, .size_bytes = size_of(run)});
  }
  runs_ = runs.size();
  return thawed;
}

Result<std::vector<FrozenPages::Piece>> FrozenPages::limit_runs(size_t most_runs, int region_file,
                                                                uint64_t region_offset) {
  if (most_runs >= most_runs_) return std::vector<Piece>{};
  most_runs_ = most_runs;
  return thaw_short(region_file, region_offset);
}

Result<void> FrozenPages::map(uint8_t* region_begin) const {
  for (Run run = next_run(0); run.first < run.last; run = next_run(run.last)) {
    const FrozenPiece& first = pieces_[run.first];
    void* got = mmap(region_begin + first.begin, size_of(run), PROT_READ, MAP_PRIVATE | MAP_FIXED,
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
  const auto i = static_cast<size_t>(piece - pieces_.begin());
  const Run run = run_around(i);
  const Run part = part_to_thaw(run, i);
  const Piece thawed{.begin = pieces_[part.first].begin, .size_bytes = size_of(part)};
  const ssize_t written = pwrite(region_file, region_begin + thawed.begin, thawed.size_bytes,
                                 static_cast<off_t>(region_offset + thawed.begin));
  if (written != static_cast<ssize_t>(thawed.size_bytes)) return std::nullopt;
  mark_thawed(part);
  heat_->note(i);
  if (part.first == run.first && part.last == run.last) --runs_;
  if (part.first > run.first && part.last < run.last) ++runs_;
  return thawed;
}

}  // namespace calf::wasm
