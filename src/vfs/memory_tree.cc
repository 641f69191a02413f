#include "vfs/memory_tree.h"

#include "vfs/path.h"

namespace calf::vfs {

Node& MemoryTree::create(FileKind kind, uint32_t permissions) {
  NodeId id;
  if (free_nodes.empty()) {
    id = static_cast<NodeId>(nodes.size());
    nodes.emplace_back();
  } else {
    id = free_nodes.back();
    free_nodes.pop_back();
  }
  Node& node = nodes[id];
  node.id = id;
  node.kind = kind;
  node.permissions = permissions & 07777;
  node.access_time_ns = node.modify_time_ns = node.change_time_ns = now();
  return node;
}

void MemoryTree::release_if_unused(Node& node) {
  if (node.links != 0 || node.open_count != 0) return;
  NodeId id = node.id;
  node.contents.clear(budget);
  node = Node();
  free_nodes.push_back(id);
}

void MemoryTree::materialise(Node& directory) {
  if (directory.pack_entry == Node::kNoPackEntry) return;
  const Pack::Entry entry = pack->entry(directory.pack_entry);
  directory.pack_entry = Node::kNoPackEntry;
  directory.table = Shared<DirectoryTable>(new DirectoryTable);
  directory.table->reserve(entry.count);
  for (uint32_t i = entry.first; i < entry.first + entry.count; ++i) {
    const Pack::Entry child = pack->entry(i);
    Node& node = create(child.kind, child.permissions);
    node.access_time_ns = node.modify_time_ns = node.change_time_ns = child.modify_time_ns;
    node.links = 1;
    if (child.kind == FileKind::kDirectory) {
      node.links = 2;
      node.parent = directory.id;
      node.pack_entry = i;
      ++directory.links;
    } else if (child.kind == FileKind::kSymlink) {
      node.target = child.symlink_target;
    } else {
      node.contents = Contents::of_pack(*pack, i);
    }
    directory.table->insert(child.name, node.id);
  }
}

Node* MemoryTree::child(Node& directory, std::string_view name) {
  materialise(directory);
  if (!directory.table) return nullptr;
  NodeId id = directory.table->find(name);
  return id == kNoNode ? nullptr : &node(id);
}

DirectoryTable& MemoryTree::writable_table(Node& directory) {
  materialise(directory);
  if (!directory.table)
    directory.table = Shared<DirectoryTable>(new DirectoryTable);
  else if (!directory.table.unique())
    directory.table = Shared<DirectoryTable>(new DirectoryTable(*directory.table));
  return *directory.table;
}

Expected<void> MemoryTree::walk(std::string_view path, Follow follow, Walk& out) {
  if (path.size() > kMaxPath) return fail(Errno::kNameTooLong);
  if (!path.empty() && path.front() == '/') return fail(Errno::kCrossDevice);
  int symlinks = 0;
  Node* at = &root();
  out.node = at;
  out.parent = at;
  for (std::string_view rest = path;;) {
    std::string_view component = take_component(rest);
    if (component.empty()) return {};
    if (component.size() > kMaxName) return fail(Errno::kNameTooLong);
    bool last = rest.find_first_not_of('/') == std::string_view::npos;
    out.ends_in_slash = last && !rest.empty();
    if (at->kind != FileKind::kDirectory) return fail(Errno::kNotDirectory);
    out.name = {};
    out.special = {};
    out.parent = at;
    if (component == ".") {
      out.special = component;
      out.node = at;
      continue;
    }
    if (component == "..") {
      if (at->id == kRoot) return fail(Errno::kCrossDevice);
      out.special = component;
      out.node = at = &node(at->parent);
      continue;
    }
    out.name = component;
    out.node = child(*at, component);
    if (out.node == nullptr) return last ? Expected<void>() : fail(Errno::kNoEntry);
    bool follow_it = !last || follow == Follow::kYes;
    if (out.node->kind == FileKind::kSymlink && follow_it) {
      if (++symlinks > kMaxSymlinks) return fail(Errno::kLoop);
      std::string_view target = out.node->target;
      if (target.front() == '/') return fail(Errno::kCrossDevice);
      std::string spliced(target);
      spliced += rest;
      if (spliced.size() > kMaxPath) return fail(Errno::kNameTooLong);
      out.buffer = std::move(spliced);
      rest = out.buffer;
      continue;
    }
    at = out.node;
  }
}

Expected<Node*> MemoryTree::find(std::string_view path, Follow follow) {
  Walk walk;
  if (path.ends_with('/')) follow = Follow::kYes;  // "link/" means the directory behind it
  CALF_ERRNO_CHECK(this->walk(path, follow, walk));
  if (walk.node == nullptr) return fail(Errno::kNoEntry);
  if (walk.ends_in_slash && walk.node->kind != FileKind::kDirectory)
    return fail(Errno::kNotDirectory);
  return walk.node;
}

void MemoryTree::add_name(Node& directory, std::string_view name, Node& node) {
  writable_table(directory).insert(name, node.id);
  ++node.links;
  if (node.kind == FileKind::kDirectory) {
    node.parent = directory.id;
    ++node.links;  // its own "."
    ++directory.links;
  }
  touch(directory);
}

void MemoryTree::remove_name(Node& directory, std::string_view name) {
  DirectoryTable& table = writable_table(directory);
  Node& node = this->node(table.find(name));
  table.erase(name);
  --node.links;
  if (node.kind == FileKind::kDirectory) {
    --node.links;
    --directory.links;
  }
  node.change_time_ns = now();
  touch(directory);
  release_if_unused(node);
}

}  // namespace calf::vfs
