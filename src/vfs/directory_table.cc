#include "vfs/directory_table.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/assert.h"

namespace calf::vfs {

DirectoryTable::DirectoryTable(const DirectoryTable& other)
    : entries_(other.entries_),
      index_(other.index_),
      live_(other.live_),
      next_cookie_(other.next_cookie_) {}

uint32_t DirectoryTable::hash_of(std::string_view name) {
  return static_cast<uint32_t>(std::hash<std::string_view>{}(name));
}

uint32_t DirectoryTable::position(std::string_view name) const {
  if (index_.empty()) return kNone;
  uint32_t hash = hash_of(name);
  size_t mask = index_.size() - 1;
  for (size_t at = hash & mask; index_[at] != kNone; at = (at + 1) & mask) {
    const Entry& entry = entries_[index_[at]];
    if (entry.hash == hash && entry.node != kNoNode && entry.name == name) return index_[at];
  }
  return kNone;
}

NodeId DirectoryTable::find(std::string_view name) const {
  uint32_t at = position(name);
  return at == kNone ? kNoNode : entries_[at].node;
}

void DirectoryTable::insert(std::string_view name, NodeId node) {
  // Removed entries still take a place in the index: at least half of it must be free, or probing
  // gets slow.
  if ((entries_.size() + 1) * 2 > index_.size()) rebuild(live_ + 1);
  entries_.push_back({std::string(name), node, hash_of(name), next_cookie_++});
  place(static_cast<uint32_t>(entries_.size() - 1));
  ++live_;
}

void DirectoryTable::replace(std::string_view name, NodeId node) {
  uint32_t at = position(name);
  ASSERT(at != kNone);
  entries_[at].node = node;
}

void DirectoryTable::erase(std::string_view name) {
  uint32_t at = position(name);
  ASSERT(at != kNone);
  entries_[at].node = kNoNode;
  --live_;
}

void DirectoryTable::reserve(size_t entries) {
  entries_.reserve(entries);
  rebuild(entries);
}

size_t DirectoryTable::first_after(uint64_t cookie) const {
  auto at = std::upper_bound(entries_.begin(), entries_.end(), cookie,
                             [](uint64_t c, const Entry& entry) { return c < entry.cookie; });
  return static_cast<size_t>(at - entries_.begin());
}

// Drops removed entries (cookies and order stay) and makes the index fit.
void DirectoryTable::rebuild(size_t room_for) {
  std::erase_if(entries_, [](const Entry& entry) { return entry.node == kNoNode; });
  index_.assign(std::bit_ceil(std::max<size_t>(8, room_for * 4)), kNone);
  for (uint32_t i = 0; i < entries_.size(); ++i) place(i);
}

void DirectoryTable::place(uint32_t entry) {
  size_t mask = index_.size() - 1;
  size_t at = entries_[entry].hash & mask;
  while (index_[at] != kNone) at = (at + 1) & mask;
  index_[at] = entry;
}

}  // namespace calf::vfs
