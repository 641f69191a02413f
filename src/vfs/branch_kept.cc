// BranchBlocks: old blocks of the parent, kept once for all branches that need them. The newest
// branch keeps a block before the parent overwrites it. An older one that has not kept it, and has
// not written it itself, takes it from the next newer branch that has.
#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "vfs/branch_record.h"

namespace calf::vfs {
namespace {

constexpr uint64_t kMaxRun = 16;  // blocks that are kept at once

}  // namespace

// Locked.
BranchBlocks::KeptBlock BranchBlocks::find_kept(const SharedInode& inode, uint64_t block) {
  if (auto at = inode.kept.find(block); at != inode.kept.end()) return {.slot = at->second};
  return find_in_newer(inode.number, block, Among::kAll);
}

// Locked.
BranchBlocks::KeptBlock BranchBlocks::find_in_newer(InodeNumber number, uint64_t block,
                                                    Among among) {
  for (std::shared_ptr<BranchBlocks> other = newer_; other != nullptr;) {
    std::shared_ptr<BranchBlocks> next;  // `other` may go with its last user, but not locked
    {
      std::lock_guard lock(other->mutex_);
      auto same = other->inodes_.find(number);
      if (same != other->inodes_.end() && (among == Among::kAll || other->durable_)) {
        if (auto at = same->second.kept.find(block); at != same->second.kept.end())
          return {.slot = at->second, .holder = other};
      }
      next = other->newer_;
    }
    other = std::move(next);
  }
  return {};
}

// Does somebody need this branch to keep the block? Locked.
bool BranchBlocks::must_keep(const SharedInode& inode, uint64_t block) {
  if (inode.kept.contains(block)) return false;
  if (!has_older_ && inode.slots.contains(block)) return false;
  return find_in_newer(inode.number, block, Among::kDurable).slot == kNoSlot;
}

std::vector<BranchBlocks::Range> BranchBlocks::preserve(InodeNumber number,
                                                        const std::vector<Range>& ranges,
                                                        const ReadBase& read_base) {
  std::lock_guard lock(mutex_);
  auto at = inodes_.find(number);
  if (at == inodes_.end()) return ranges;
  std::vector<Range> left;
  for (const Range& range : ranges) keep(at->second, range, read_base, left);
  return left;
}

// Locked. What lies past the branch's end of the file an older branch may need, and what this one
// cannot keep, or not yet safely, it must.
void BranchBlocks::keep(SharedInode& inode, Range range, const ReadBase& read_base,
                        std::vector<Range>& left) {
  const uint64_t end = std::clamp(inode.base_size, range.begin, range.end);
  uint64_t at = range.begin;
  while (at < end) {
    const uint64_t block = at / kBlockSize;
    uint64_t count = 0;
    while (count < kMaxRun && (block + count) * kBlockSize < end && must_keep(inode, block + count))
      ++count;
    const uint64_t part_end = std::min((block + std::max<uint64_t>(count, 1)) * kBlockSize, end);
    if (count > 0) {
      const uint64_t start = block * kBlockSize;
      bool is_kept = !lost_ && !retired_;
      if (is_kept) {
        scratch_.assign(count * kBlockSize, std::byte{0});
        // An older branch may see more of the last block than one that has cut it off.
        const uint64_t wanted = has_older_ ? scratch_.size() : inode.base_size - start;
        const auto there = std::span(scratch_).first(std::min<uint64_t>(scratch_.size(), wanted));
        auto done = read_base(there, start);
        if (done)
          done = put_fresh(inode, scratch_, block, has_older_ ? Owner::kParent : Owner::kBranch);
        if (!done) lose("keeping a parent's block for a branch", done.error());
        is_kept = done.has_value();
      }
      if (has_older_ && !(is_kept && durable_)) left.push_back({at, part_end});
    }
    at = part_end;
  }
  if (at < range.end) left.push_back({at, range.end});
}

void BranchBlocks::set_newer(std::shared_ptr<BranchBlocks> newer) {
  std::lock_guard lock(mutex_);
  newer_.swap(newer);
}

std::shared_ptr<BranchBlocks> BranchBlocks::newer() {
  std::lock_guard lock(mutex_);
  return newer_;
}

void BranchBlocks::set_has_older(bool has_older) {
  std::lock_guard lock(mutex_);
  has_older_ = has_older;
  if (!has_older) settle_kept();
}

// What was kept becomes the branch's own, if it needs it. The journal need not hear of it, for the
// same happens when it is read again; but for a block that is the parent's only in part, whose rest
// may be written from now on. Locked.
void BranchBlocks::settle_kept() {
  // The journal may name a slot that was given back, and to another block, since it was kept in.
  std::unordered_set<uint32_t> own_slots;
  for (const auto& [number, inode] : inodes_) {
    for (auto [block, slot] : inode.slots) own_slots.insert(slot);
  }
  for (auto& [number, inode] : inodes_) {
    for (auto [block, slot] : inode.kept) {
      const uint64_t start = block * kBlockSize;
      if (inode.slots.contains(block) || start >= inode.base_size || own_slots.contains(slot)) {
        if (!own_slots.contains(slot)) freed_slots_.push_back(slot);
        --used_slots_;
        continue;
      }
      inode.slots.emplace(block, slot);
      const uint64_t there = inode.base_size - start;
      if (there >= kBlockSize) continue;
      constexpr std::byte kZeros[kBlockSize] = {};
      auto cleared = write_slots(slot, there, std::span(kZeros).subspan(there));
      const Record record = Record::make(Record::kBlock, number, {block, slot});
      if (cleared) cleared = append({&record, 1});
      if (!cleared) lose("clearing the end of a kept block", cleared.error());
    }
    inode.kept.clear();
  }
}

void BranchBlocks::set_durable() {
  std::lock_guard lock(mutex_);
  durable_ = true;
}

void BranchBlocks::retire(bool is_retired) {
  std::lock_guard lock(mutex_);
  retired_ = is_retired;
}

// Takes a block that a newer branch has kept. False when older ones need one of their own: if this
// branch does not know the file so far, or is not durable.
Expected<bool> BranchBlocks::adopt(InodeNumber number, uint64_t block,
                                   std::span<const std::byte> bytes) {
  std::lock_guard lock(mutex_);
  auto at = inodes_.find(number);
  if (at == inodes_.end()) return false;
  SharedInode& inode = at->second;
  if (inode.kept.contains(block)) return durable_;
  if (block * kBlockSize >= inode.base_size) return false;
  if (has_older_) {
    CALF_ERRNO_CHECK(put_fresh(inode, bytes, block, Owner::kParent));
  } else if (!inode.slots.contains(block)) {
    std::byte own[kBlockSize] = {};
    const uint64_t there = std::min(kBlockSize, inode.base_size - block * kBlockSize);
    std::memcpy(own, bytes.data(), there);
    CALF_ERRNO_CHECK(put_fresh(inode, own, block, Owner::kBranch));
  }
  return durable_;
}

Expected<void> BranchBlocks::hand_down(std::span<const std::shared_ptr<BranchBlocks>> older) {
  struct Block {
    InodeNumber number;
    uint64_t block;
    uint32_t slot;
  };
  std::vector<Block> kept;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [number, inode] : inodes_) {
      for (auto [block, slot] : inode.kept)
        kept.push_back({.number = number, .block = block, .slot = slot});
    }
  }
  std::ranges::sort(kept, {}, &Block::slot);
  std::vector<std::byte> bytes(kBlockSize);
  for (const Block& one : kept) {
    CALF_ERRNO_CHECK(read_all(*options_.files, blocks_.get(), bytes, one.slot * kBlockSize));
    for (const auto& other : older) {
      CALF_ERRNO_TRY(const bool taken, other->adopt(one.number, one.block, bytes));
      if (taken) break;
    }
  }
  for (const auto& other : older) CALF_ERRNO_CHECK(other->sync_all());
  return {};
}

bool BranchBlocks::sync_kept() {
  auto done = sync_all();
  std::lock_guard lock(mutex_);
  if (!done && !lost_) lose("syncing blocks kept for a branch", done.error());
  return done.has_value();
}

void BranchBlocks::lose_with_newer() {
  std::lock_guard lock(mutex_);
  if (!lost_) lose("syncing blocks kept in a newer branch", Errno::kIo);
}

}  // namespace calf::vfs
