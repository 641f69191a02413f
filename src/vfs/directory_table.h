// The entries of one directory in memory: found by name in constant time, listed in a stable order,
// cheap to copy. Shared by clones until one of them changes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/shared.h"

namespace calf::vfs {

using NodeId = uint32_t;
inline constexpr NodeId kNoNode = 0;

class DirectoryTable {
 public:
  struct Entry {
    std::string name;
    NodeId node = kNoNode;  // kNoNode: removed
    uint32_t hash = 0;
    uint64_t cookie = 0;  // grows with every insertion; never reused in this directory
  };
  // Cookies below this stand for "." and "..".
  static constexpr uint64_t kFirstCookie = 3;

  DirectoryTable() = default;
  DirectoryTable(const DirectoryTable& other);
  DirectoryTable& operator=(const DirectoryTable&) = delete;

  [[nodiscard]] NodeId find(std::string_view name) const;
  // The name must not be there yet.
  void insert(std::string_view name, NodeId node);
  // The name must be there. Keeps its place in the listing.
  void replace(std::string_view name, NodeId node);
  void erase(std::string_view name);
  void reserve(size_t entries);

  [[nodiscard]] size_t size() const { return live_; }
  [[nodiscard]] bool empty() const { return live_ == 0; }

  // Calls visit(entry) for the entries with a cookie above `after`, in order, until it returns
  // false.
  template <typename Visit>
  void each_after(uint64_t after, Visit visit) const {
    for (size_t i = first_after(after); i < entries_.size(); ++i)
      if (entries_[i].node != kNoNode && !visit(entries_[i])) return;
  }

  static void destroy(DirectoryTable* table) { delete table; }
  std::atomic<uint32_t> references{1};

 private:
  static uint32_t hash_of(std::string_view name);
  [[nodiscard]] uint32_t position(std::string_view name) const;
  [[nodiscard]] size_t first_after(uint64_t cookie) const;
  void rebuild(size_t room_for);
  void place(uint32_t entry);

  static constexpr uint32_t kNone = UINT32_MAX;
  std::vector<Entry> entries_;   // by cookie; removed ones stay until the next rebuild
  std::vector<uint32_t> index_;  // open addressing over entries_, a power of two long; kNone: free
  size_t live_ = 0;
  uint64_t next_cookie_ = kFirstCookie;
};

}  // namespace calf::vfs
