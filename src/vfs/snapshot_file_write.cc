#include <zstd.h>

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "vfs/path.h"
#include "vfs/snapshot_file.h"
#include "vfs/snapshot_format.h"

namespace calf::vfs {
namespace {

using namespace snapshot_format;

tl::unexpected<Error> error(const std::string& what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

template <typename Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return std::as_bytes(std::span(&record, 1));
}

// The stream, cut into compressed blocks.
class BlockWriter {
 public:
  explicit BlockWriter(const SnapshotSink& sink)
      : sink_(sink),
        context_(ZSTD_createCCtx(), ZSTD_freeCCtx),
        state_(XXH3_createState(), XXH3_freeState),
        compressed_(ZSTD_compressBound(kBlockSize)) {
    XXH3_64bits_reset(state_.get());
    block_.reserve(kBlockSize);
  }

  // As it is, outside of the blocks.
  Result<void> raw(std::span<const std::byte> bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
    written_ += bytes.size();
    return sink_(bytes);
  }

  Result<void> put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const size_t part = std::min(bytes.size(), kBlockSize - block_.size());
      block_.insert(block_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(part));
      bytes = bytes.subspan(part);
      if (block_.size() == kBlockSize) CALF_CHECK_OK(flush());
    }
    return {};
  }

  Result<void> finish(uint64_t entries, uint64_t tree_bytes) {
    CALF_CHECK_OK(flush());
    CALF_CHECK_OK(raw(bytes_of(BlockHeader{})));
    Trailer trailer{.entries = entries, .tree_bytes = tree_bytes, .checksum = 0};
    CALF_CHECK_OK(raw(bytes_of(trailer).first(offsetof(Trailer, checksum))));
    trailer.checksum = XXH3_64bits_digest(state_.get());
    return raw(bytes_of(trailer.checksum));
  }

  [[nodiscard]] uint64_t written() const { return written_; }

 private:
  Result<void> flush() {
    if (block_.empty()) return {};
    constexpr int kLevel = 3;
    const size_t size = ZSTD_compressCCtx(context_.get(), compressed_.data(), compressed_.size(),
                                          block_.data(), block_.size(), kLevel);
    if (ZSTD_isError(size) != 0)
      return calf::fail(ErrorCode::kInternal,
                        std::string("compressing: ") + ZSTD_getErrorName(size));
    const BlockHeader header{.compressed_size = static_cast<uint32_t>(size),
                             .size = static_cast<uint32_t>(block_.size()),
                             .checksum = XXH3_64bits(compressed_.data(), size)};
    block_.clear();
    CALF_CHECK_OK(raw(bytes_of(header)));
    return raw(std::span(compressed_).first(size));
  }

  const SnapshotSink& sink_;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
  std::vector<std::byte> block_, compressed_;
  uint64_t written_ = 0;
};

struct Name {
  std::string name;
  FileKind kind;
};

class TreeWriter {
 public:
  TreeWriter(FileSystem& tree, BlockWriter& out, const SnapshotWriteOptions& options,
             uint64_t total)
      : tree_(tree), out_(out), options_(options), buffer_(kPartSize) {
    progress_.total_bytes = total;
  }

  // Sorted, so that the same tree gives the same bytes.
  Result<void> children(const std::string& path) {
    auto directory = tree_.open(path, {.directory = true});
    if (!directory) return error("opening " + path, directory.error());
    std::vector<Name> names;
    auto read = (*directory)->read_directory(0, [&](const DirectoryEntry& entry) {
      if (entry.name != "." && entry.name != "..")
        names.push_back({std::string(entry.name), entry.kind});
      return true;
    });
    if (!read) return error("listing " + path, read.error());
    directory->reset();
    std::ranges::sort(names, {}, &Name::name);
    for (const Name& name : names) {
      const auto& leave_out = options_.leave_out;
      if (path.empty() && std::ranges::find(leave_out, name.name) != leave_out.end()) continue;
      CALF_CHECK_OK(entry(path.empty() ? name.name : path + "/" + name.name, name.kind));
    }
    return {};
  }

  [[nodiscard]] uint64_t entries() const { return entries_; }
  [[nodiscard]] uint64_t tree_bytes() const { return tree_bytes_; }

 private:
  Result<void> entry(const std::string& path, FileKind kind) {
    if (path.size() > kMaxPath) return error("saving " + path, Errno::kNameTooLong);
    if (kind == FileKind::kSymlink) return symlink(path);
    if (kind == FileKind::kRegular) return regular(path);
    if (kind != FileKind::kDirectory) return {};  // nothing that a cluster keeps
    auto stat = tree_.stat(path, Follow::kNo);
    if (!stat) return error("reading " + path, stat.error());
    CALF_CHECK_OK(header(snapshot_format::kDirectory, path, *stat, 0));
    return children(path);
  }

  Result<void> header(EntryKind kind, const std::string& path, const Stat& stat, uint64_t size) {
    ++entries_;
    const EntryHeader header{.kind = kind,
                             .zero = 0,
                             .path_size = static_cast<uint16_t>(path.size()),
                             .permissions = stat.permissions,
                             .modify_time_ns = stat.modify_time_ns,
                             .size = size};
    CALF_CHECK_OK(out_.put(bytes_of(header)));
    return out_.put(std::as_bytes(std::span(path)));
  }

  Result<void> symlink(const std::string& path) {
    auto target = tree_.readlink(path);
    if (!target) return error("reading " + path, target.error());
    if (target->empty() || target->front() == '/' || has_dot_dot(*target)) {
      return calf::fail(ErrorCode::kUnsupported,
                        path + " is a symlink to " + *target + ", outside of the directory",
                        "tablespaces elsewhere cannot be in a snapshot; move their tables back");
    }
    auto stat = tree_.stat(path, Follow::kNo);
    if (!stat) return error("reading " + path, stat.error());
    CALF_CHECK_OK(header(snapshot_format::kSymlink, path, *stat, target->size()));
    return out_.put(std::as_bytes(std::span(*target)));
  }

  Result<void> regular(const std::string& path) {
    auto file = tree_.open(path, {.no_follow = true});
    if (!file) return error("opening " + path, file.error());
    auto stat = (*file)->stat();
    if (!stat) return error("reading " + path, stat.error());
    CALF_CHECK_OK(header(snapshot_format::kRegular, path, *stat, stat->size_bytes));
    for (uint64_t offset = 0; offset < stat->size_bytes;) {
      const auto wanted = std::min<uint64_t>(buffer_.size(), stat->size_bytes - offset);
      auto got = (*file)->pread(std::span(buffer_).first(wanted), offset);
      if (!got) return error("reading " + path, got.error());
      if (*got == 0) return error("reading " + path + ", which became shorter", Errno::kIo);
      CALF_CHECK_OK(parts(std::span(buffer_).first(*got), offset));
      offset += *got;
      progress_.done_bytes += *got;
      if (options_.observer) CALF_CHECK_OK(options_.observer(progress_));
    }
    tree_bytes_ += stat->size_bytes;
    return out_.put(bytes_of(PartHeader{}));
  }

  // What is not zeros of a piece of a file.
  Result<void> parts(std::span<const std::byte> bytes, uint64_t offset) {
    auto is_zero = [&](size_t at) {
      const auto piece = bytes.subspan(at, std::min<size_t>(kHoleSize, bytes.size() - at));
      return piece.front() == std::byte{0} &&
             std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
    };
    for (size_t at = 0; at < bytes.size();) {
      size_t end = at;
      while (end < bytes.size() && !is_zero(end)) end += kHoleSize;
      end = std::min(end, bytes.size());
      if (end > at) {
        const PartHeader header{
            .offset = offset + at, .length = static_cast<uint32_t>(end - at), .zero = 0};
        CALF_CHECK_OK(out_.put(bytes_of(header)));
        CALF_CHECK_OK(out_.put(bytes.subspan(at, end - at)));
      }
      at = end + kHoleSize;
    }
    return {};
  }

  FileSystem& tree_;
  BlockWriter& out_;
  const SnapshotWriteOptions& options_;
  std::vector<std::byte> buffer_;
  CopyProgress progress_;
  uint64_t entries_ = 0;
  uint64_t tree_bytes_ = 0;
};

}  // namespace

Result<SnapshotFileInfo> write_snapshot_file(FileSystem& tree, const SnapshotSink& sink,
                                             const SnapshotWriteOptions& options) {
  CALF_TRY(const uint64_t total, tree_bytes(tree, options.leave_out));
  Header header{.magic = {},
                .version = kVersion,
                .zero = 0,
                .created_at_ns = options.created_at_ns,
                .tree_bytes = total,
                .checksum = 0};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.checksum = XXH3_64bits(&header, offsetof(Header, checksum));
  BlockWriter out(sink);
  CALF_CHECK_OK(out.raw(bytes_of(header)));
  TreeWriter writer(tree, out, options, total);
  CALF_CHECK_OK(writer.children(""));
  CALF_CHECK_OK(out.put(bytes_of(EntryHeader{})));
  CALF_CHECK_OK(out.finish(writer.entries(), writer.tree_bytes()));
  return SnapshotFileInfo{.created_at_ns = options.created_at_ns,
                          .entries = writer.entries(),
                          .tree_bytes = writer.tree_bytes(),
                          .file_bytes = out.written()};
}

}  // namespace calf::vfs
