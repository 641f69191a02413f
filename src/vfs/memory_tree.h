// The inodes of a MemoryFileSystem and the walk from a path to an inode. Private to the memory
// backend.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "os/clock.h"
#include "vfs/contents.h"
#include "vfs/directory_table.h"
#include "vfs/types.h"

namespace calf::vfs {

struct Node {
  NodeId id = kNoNode;  // kNoNode: free
  FileKind kind = FileKind::kRegular;
  uint32_t permissions = 0;
  uint32_t links = 0;
  uint32_t open_count = 0;  // Files open on it; with no link left it lives as long as these
  NodeId parent = kNoNode;  // directories: where ".." leads
  uint32_t pack_entry =
      kNoPackEntry;  // directories whose entries are still to be taken from the pack
  int64_t access_time_ns = 0;
  int64_t modify_time_ns = 0;
  int64_t change_time_ns = 0;
  Contents contents;             // regular files
  Shared<DirectoryTable> table;  // directories; null while empty
  std::string target;            // symlinks

  static constexpr uint32_t kNoPackEntry = UINT32_MAX;
};

// Where a path leads. `name` may point into `buffer`: do not move a Walk.
struct Walk {
  Node* parent = nullptr;      // the directory that has, or would have, the last component
  std::string_view name;       // the last component; empty for the root, "." or ".."
  Node* node = nullptr;        // what the path names; null when it is not there
  bool ends_in_slash = false;  // it must be a directory
  std::string_view special;    // the last component when it is "." or ".."
  std::string buffer;          // the path as it is after symlinks were put in

  Walk() = default;
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;
};

struct MemoryTree {
  std::deque<Node> nodes;  // by id; stable addresses. nodes[0] is not used
  std::vector<NodeId> free_nodes;
  Budget budget;
  bool read_only = false;
  std::shared_ptr<const os::Clock> clock;  // shared with clones
  std::shared_ptr<const Pack> pack;        // shared with clones; contents point into it

  static constexpr NodeId kRoot = 1;

  MemoryTree() { nodes.emplace_back(); }

  Node& node(NodeId id) { return nodes[id]; }
  Node& root() { return nodes[kRoot]; }
  [[nodiscard]] int64_t now() const { return clock->realtime_coarse_ns(); }

  Node& create(FileKind kind, uint32_t permissions);
  // Frees the node if it has neither a name nor an open File.
  void release_if_unused(Node& node);

  // Takes a directory's entries from the pack if that has not happened yet. Every look into a table
  // goes through here.
  void materialise(Node& directory);
  [[nodiscard]] Node* child(Node& directory, std::string_view name);
  // The table, ours alone.
  DirectoryTable& writable_table(Node& directory);

  // Fails when a component before the last is missing (kNoEntry), not a directory, or leads out
  // (kCrossDevice).
  Expected<void> walk(std::string_view path, Follow follow, Walk& out);
  // The node that a path names. kNoEntry; kNotDirectory for "file/".
  Expected<Node*> find(std::string_view path, Follow follow);

  void touch(Node& node) { node.modify_time_ns = node.change_time_ns = now(); }
  void add_name(Node& directory, std::string_view name, Node& node);
  void remove_name(Node& directory, std::string_view name);
};

}  // namespace calf::vfs
