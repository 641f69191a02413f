// PackBuilder: from trees of files to a pack's bytes.
#include <zstd.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "os/clock.h"
#include "vfs/directory_file_system.h"
#include "vfs/pack.h"
#include "vfs/pack_format.h"
#include "vfs/path.h"

namespace calf::vfs {
namespace {

using namespace pack_format;

struct BuilderNode {
  FileKind kind = FileKind::kDirectory;
  uint32_t permissions = 0755;
  std::string data;                             // contents, or a symlink's target
  std::map<std::string, BuilderNode> children;  // sorted by unsigned bytes, as the format wants
};

Result<std::string> compress(std::string_view bytes, int level) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  size_t size = ZSTD_compress2(context, out.data(), out.size(), bytes.data(), bytes.size());
  ZSTD_freeCCtx(context);
  if (ZSTD_isError(size))
    return calf::fail(ErrorCode::kInternal, std::string("zstd: ") + ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

template <typename T>
void put_record(std::string& out, const T& record) {
  out.append(reinterpret_cast<const char*>(&record), sizeof record);
}

// Cuts contents into pieces, finds equal ones, and puts them together into frames.
class ContentWriter {
 public:
  ContentWriter(std::string& blob, int level, uint32_t frame_size)
      : blob_(blob), level_(level), frame_size_(frame_size) {}

  Result<void> add(std::string_view contents) {
    for (size_t at = 0; at < contents.size(); at += kPieceSize) {
      std::string_view piece = contents.substr(at, kPieceSize);
      size_t last = piece.find_last_not_of('\0');
      piece = piece.substr(0, last == std::string_view::npos ? 0 : last + 1);
      if (piece.empty()) {
        pieces_.push_back({kHole, 0, 0});
        continue;
      }
      auto [known, is_new] = known_.try_emplace(std::string(piece));
      if (is_new) {
        if (!frame_.empty() && frame_.size() + piece.size() > frame_size_)
          CALF_CHECK_OK(finish_frame());
        known->second = {static_cast<uint32_t>(frames_.size()),
                         static_cast<uint32_t>(frame_.size()), static_cast<uint32_t>(piece.size())};
        frame_ += piece;
      }
      pieces_.push_back(known->second);
    }
    return {};
  }

  Result<void> finish_frame() {
    if (frame_.empty()) return {};
    CALF_TRY(std::string compressed, compress(frame_, level_));
    frames_.push_back({blob_.size(), static_cast<uint32_t>(compressed.size()),
                       static_cast<uint32_t>(frame_.size())});
    blob_ += compressed;
    frame_.clear();
    return {};
  }

  [[nodiscard]] const std::vector<PieceRecord>& pieces() const { return pieces_; }
  [[nodiscard]] const std::vector<FrameRecord>& frames() const { return frames_; }

 private:
  std::string& blob_;
  int level_;
  uint32_t frame_size_;
  std::string frame_;  // not yet compressed
  std::unordered_map<std::string, PieceRecord> known_;
  std::vector<PieceRecord> pieces_;
  std::vector<FrameRecord> frames_;
};

EntryRecord describe(const std::string& name, const BuilderNode& node, std::string& strings) {
  EntryRecord record{};
  record.name_offset = static_cast<uint32_t>(strings.size());
  record.name_length = static_cast<uint16_t>(name.size());
  record.permissions = node.permissions & 07777;
  strings += name;
  switch (node.kind) {
    case FileKind::kDirectory:
      record.kind = kDirectory;
      record.count = static_cast<uint32_t>(node.children.size());
      break;
    case FileKind::kSymlink:
      record.kind = kSymlink;
      record.target_length = static_cast<uint32_t>(node.data.size());
      strings += node.data;
      break;
    default:
      record.kind = kRegular;
      record.size = node.data.size();
      break;
  }
  return record;
}

Result<std::string> read_whole(File& file) {
  auto stat = file.stat();
  if (!stat) return calf::fail(os::to_error("stat", stat.error()));
  std::string out(stat->size_bytes, '\0');
  for (size_t done = 0; done < out.size();) {
    auto got = file.pread(std::as_writable_bytes(std::span(out)).subspan(done), done);
    if (!got) return calf::fail(os::to_error("reading", got.error()));
    if (*got == 0) return calf::fail(ErrorCode::kIo, "the file shrank while it was read");
    done += *got;
  }
  return out;
}

std::string join(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return std::string(directory) + "/" + std::string(name);
}

Result<std::vector<std::string>> names_in(FileSystem& file_system, std::string_view path) {
  auto directory = file_system.open(path, {.directory = true});
  if (!directory)
    return calf::fail(os::to_error("opening " + std::string(path), directory.error()));
  std::vector<std::string> names;
  auto listed = (*directory)->read_directory(0, [&](const DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
    return true;
  });
  if (!listed) return calf::fail(os::to_error("listing " + std::string(path), listed.error()));
  return names;
}

}  // namespace

struct PackBuilder::State {
  Options options;
  BuilderNode root;

  Result<BuilderNode*> add(std::string_view path) {
    if (!is_plain(path))
      return calf::fail(ErrorCode::kInvalidArgument, "not a plain path: " + std::string(path));
    BuilderNode* at = &root;
    for (std::string_view rest = path;;) {
      std::string name(take_component(rest));
      if (at->kind != FileKind::kDirectory)
        return calf::fail(ErrorCode::kInvalidArgument, "not in a directory: " + std::string(path));
      if (rest.empty()) {
        auto [child, is_new] = at->children.try_emplace(name);
        if (!is_new) return calf::fail(ErrorCode::kAlreadyExists, std::string(path) + " is there");
        return &child->second;
      }
      auto child = at->children.find(name);
      if (child == at->children.end())
        return calf::fail(ErrorCode::kNotFound, "no directory for " + std::string(path));
      at = &child->second;
    }
  }
};

PackBuilder::PackBuilder(const Options& options) : state_(std::make_unique<State>()) {
  state_->options = options;
  state_->options.frame_size_bytes =
      std::clamp(options.frame_size_bytes, kPieceSize, kMaxFrameSize);
}
PackBuilder::~PackBuilder() = default;

Result<void> PackBuilder::add_directory(std::string_view path, uint32_t permissions) {
  CALF_TRY(BuilderNode * node, state_->add(path));
  node->permissions = permissions;
  return {};
}

Result<void> PackBuilder::add_file(std::string_view path, uint32_t permissions,
                                   std::string_view contents) {
  CALF_TRY(BuilderNode * node, state_->add(path));
  node->kind = FileKind::kRegular;
  node->permissions = permissions;
  node->data = contents;
  return {};
}

Result<void> PackBuilder::add_symlink(std::string_view path, std::string_view target) {
  if (target.empty() || target.size() > kMaxPath)
    return calf::fail(ErrorCode::kInvalidArgument, "bad symlink target");
  CALF_TRY(BuilderNode * node, state_->add(path));
  node->kind = FileKind::kSymlink;
  node->permissions = 0777;
  node->data = target;
  return {};
}

Result<void> PackBuilder::add_host_directory(const std::string& directory,
                                             std::string_view prefix) {
  CALF_TRY(auto files, DirectoryFileSystem::open({.path = directory,
                                                  .files = std::make_shared<os::SystemFiles>(),
                                                  .read_only = true}));
  return add_tree(*files, "", prefix);
}

Result<void> PackBuilder::add_tree(FileSystem& file_system, std::string_view path,
                                   std::string_view prefix) {
  CALF_TRY(auto names, names_in(file_system, path));
  for (const std::string& name : names) {
    std::string from = join(path, name);
    std::string to = join(prefix, name);
    auto stat = file_system.stat(from, Follow::kNo);
    if (!stat) return calf::fail(os::to_error("stat of " + from, stat.error()));
    if (stat->kind == FileKind::kDirectory) {
      CALF_CHECK_OK(add_directory(to, stat->permissions));
      CALF_CHECK_OK(add_tree(file_system, from, to));
    } else if (stat->kind == FileKind::kSymlink) {
      auto target = file_system.readlink(from);
      if (!target) return calf::fail(os::to_error("reading link " + from, target.error()));
      CALF_CHECK_OK(add_symlink(to, *target));
    } else if (stat->kind == FileKind::kRegular) {
      auto file = file_system.open(from, {});
      if (!file) return calf::fail(os::to_error("opening " + from, file.error()));
      CALF_TRY(std::string contents, read_whole(**file));
      CALF_CHECK_OK(add_file(to, stat->permissions, contents));
    } else {
      return calf::fail(ErrorCode::kUnsupported, from + " is neither file, directory nor symlink");
    }
  }
  return {};
}

Result<std::string> PackBuilder::finish() && {
  const Options& options = state_->options;
  std::string blob(sizeof(Header), '\0');
  ContentWriter contents(blob, options.compression_level, options.frame_size_bytes);
  std::string strings;
  std::vector<EntryRecord> entries{describe("", state_->root, strings)};
  std::vector<const BuilderNode*> order{&state_->root};
  for (size_t i = 0; i < order.size(); ++i) {  // breadth first; `order` grows meanwhile
    const BuilderNode& node = *order[i];
    entries[i].modify_time_ns = options.fixed_time_ns;
    if (node.kind == FileKind::kRegular) {
      entries[i].first = static_cast<uint32_t>(contents.pieces().size());
      CALF_CHECK_OK(contents.add(node.data));
      entries[i].count = static_cast<uint32_t>(contents.pieces().size()) - entries[i].first;
    } else if (node.kind == FileKind::kDirectory) {
      entries[i].first = static_cast<uint32_t>(order.size());
      for (const auto& [name, child] : node.children) {
        entries.push_back(describe(name, child, strings));
        order.push_back(&child);
      }
    }
  }
  CALF_CHECK_OK(contents.finish_frame());

  std::string index;
  for (const EntryRecord& entry : entries) put_record(index, entry);
  for (const PieceRecord& piece : contents.pieces()) put_record(index, piece);
  for (const FrameRecord& frame : contents.frames()) put_record(index, frame);
  index += strings;
  if (index.size() > kMaxIndexSize)
    return calf::fail(ErrorCode::kResourceExhausted, "too many files for a pack");
  Header header{};
  header.entry_count = static_cast<uint32_t>(entries.size());
  header.piece_count = static_cast<uint32_t>(contents.pieces().size());
  header.frame_count = static_cast<uint32_t>(contents.frames().size());
  return finish_pack(std::move(blob), header, index);
}

}  // namespace calf::vfs
