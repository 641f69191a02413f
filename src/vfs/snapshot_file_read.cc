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

tl::unexpected<Error> damaged(const std::string& how) {
  return calf::fail(ErrorCode::kDataCorrupted, "the snapshot is damaged: " + how,
                    "take it from another copy, or save it again");
}

tl::unexpected<Error> error(const std::string& what, Errno code) {
  return calf::fail(os::to_error(what, code));
}

template <typename Record>
std::span<std::byte> bytes_of(Record& record) {
  return std::as_writable_bytes(std::span(&record, 1));
}

// The stream behind the blocks.
class BlockReader {
 public:
  explicit BlockReader(const SnapshotSource& source)
      : source_(source),
        context_(ZSTD_createDCtx(), ZSTD_freeDCtx),
        state_(XXH3_createState(), XXH3_freeState),
        compressed_(ZSTD_compressBound(kBlockSize)) {
    XXH3_64bits_reset(state_.get());
  }

  // Outside of the blocks.
  Result<void> raw(std::span<std::byte> bytes) {
    CALF_CHECK_OK(exactly(bytes));
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
    return {};
  }

  Result<void> get(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
      if (at_ == block_.size()) CALF_CHECK_OK(next_block());
      const size_t part = std::min(bytes.size(), block_.size() - at_);
      std::memcpy(bytes.data(), block_.data() + at_, part);
      at_ += part;
      bytes = bytes.subspan(part);
    }
    return {};
  }

  Result<void> finish(uint64_t entries, uint64_t tree_bytes) {
    BlockHeader last{};
    CALF_CHECK_OK(raw(bytes_of(last)));
    if (at_ != block_.size() || last.size != 0 || last.compressed_size != 0 || last.checksum != 0)
      return damaged("it goes on after its end");
    Trailer trailer{};
    CALF_CHECK_OK(raw(bytes_of(trailer).first(offsetof(Trailer, checksum))));
    const uint64_t checksum = XXH3_64bits_digest(state_.get());
    CALF_CHECK_OK(raw(bytes_of(trailer.checksum)));
    if (trailer.checksum != checksum) return damaged("the checksum of the whole is wrong");
    if (trailer.entries != entries || trailer.tree_bytes != tree_bytes)
      return damaged("something is missing in it");
    std::byte more;
    CALF_TRY(const size_t size, source_({&more, 1}));
    return size == 0 ? Result<void>() : damaged("it goes on after its end");
  }

  [[nodiscard]] uint64_t taken() const { return taken_; }

 private:
  Result<void> exactly(std::span<std::byte> bytes) {
    CALF_TRY(const size_t size, source_(bytes));
    taken_ += size;
    if (size < bytes.size()) return damaged("it ends after " + std::to_string(taken_) + " bytes");
    return {};
  }

  Result<void> next_block() {
    const std::string where = "the block at byte " + std::to_string(taken_) + " is broken";
    BlockHeader header{};
    CALF_CHECK_OK(raw(bytes_of(header)));
    if (header.size == 0 || header.size > kBlockSize || header.compressed_size == 0 ||
        header.compressed_size > compressed_.size())
      return damaged(where);
    const auto bytes = std::span(compressed_).first(header.compressed_size);
    CALF_CHECK_OK(raw(bytes));
    if (XXH3_64bits(bytes.data(), bytes.size()) != header.checksum) return damaged(where);
    block_.resize(header.size);
    at_ = 0;
    const size_t size = ZSTD_decompressDCtx(context_.get(), block_.data(), block_.size(),
                                            bytes.data(), bytes.size());
    return ZSTD_isError(size) == 0 && size == header.size ? Result<void>() : damaged(where);
  }

  const SnapshotSource& source_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
  std::vector<std::byte> compressed_, block_;
  size_t at_ = 0;
  uint64_t taken_ = 0;
};

class TreeReader {
 public:
  TreeReader(BlockReader& in, FileSystem& target, const CopyObserver& observer, uint64_t total)
      : in_(in), target_(target), observer_(observer), buffer_(kPartSize) {
    progress_.total_bytes = total;
  }

  Result<void> run() {
    for (;;) {
      EntryHeader entry{};
      CALF_CHECK_OK(in_.get(bytes_of(entry)));
      if (entry.kind == kEnd) return {};
      if (++entries_ > kMaxEntries) return damaged("it has too many files");
      std::string path(entry.path_size, '\0');
      CALF_CHECK_OK(in_.get(std::as_writable_bytes(std::span(path))));
      if (!is_plain(path) || path.size() > kMaxPath) return damaged("a path leads elsewhere");
      CALF_CHECK_OK(this->entry(entry, path));
    }
  }

  [[nodiscard]] uint64_t entries() const { return entries_; }
  [[nodiscard]] uint64_t tree_bytes() const { return tree_bytes_; }

 private:
  Result<void> entry(const EntryHeader& entry, const std::string& path) {
    switch (entry.kind) {
      case snapshot_format::kDirectory: {
        // Whoever reads the snapshot must be able to write into it.
        auto made = target_.mkdir(path, (entry.permissions & 0777) | 0700);
        return made ? Result<void>() : error("creating " + path, made.error());
      }
      case snapshot_format::kSymlink:
        return symlink(entry, path);
      case snapshot_format::kRegular:
        return regular(entry, path);
      default:
        return damaged("it has an entry of an unknown kind");
    }
  }

  Result<void> symlink(const EntryHeader& entry, const std::string& path) {
    if (entry.size == 0 || entry.size > kMaxPath) return damaged("a symlink is too long");
    std::string target(entry.size, '\0');
    CALF_CHECK_OK(in_.get(std::as_writable_bytes(std::span(target))));
    if (target.front() == '/' || has_dot_dot(target) || target.find('\0') != std::string::npos)
      return damaged("a symlink leads elsewhere");
    auto made = target_.symlink(target, path);
    return made ? Result<void>() : error("creating " + path, made.error());
  }

  Result<void> regular(const EntryHeader& entry, const std::string& path) {
    auto file = target_.open(path, {.access = Access::kWrite,
                                    .create = true,
                                    .exclusive = true,
                                    .no_follow = true,
                                    .permissions = entry.permissions & 0777});
    if (!file) return error("creating " + path, file.error());
    CALF_CHECK_OK(contents(entry, path, **file));
    tree_bytes_ += entry.size;
    auto done = [&]() -> Expected<void> {
      CALF_ERRNO_CHECK((*file)->truncate(entry.size));
      CALF_ERRNO_CHECK((*file)->chmod(entry.permissions & 0777));  // the umask may have cut it
      return (*file)->set_times({.kind = TimeChange::Kind::kKeep},
                                {TimeChange::Kind::kSet, entry.modify_time_ns});
    }();
    return done ? Result<void>() : error("writing " + path, done.error());
  }

  Result<void> contents(const EntryHeader& entry, const std::string& path, File& file) {
    if (entry.size > kMaxFileSize) return damaged("a file is too big");
    for (uint64_t done = 0;;) {
      PartHeader part{};
      CALF_CHECK_OK(in_.get(bytes_of(part)));
      if (part.length == 0) {
        progress_.done_bytes += entry.size - done;  // a hole
        return {};
      }
      if (part.length > kPartSize || part.offset < done || part.offset > entry.size ||
          part.length > entry.size - part.offset)
        return damaged("contents lie outside of their file");
      const auto bytes = std::span(buffer_).first(part.length);
      CALF_CHECK_OK(in_.get(bytes));
      for (size_t at = 0; at < bytes.size();) {
        auto written = file.pwrite(bytes.subspan(at), part.offset + at);
        if (!written || *written == 0)
          return error("writing " + path, written ? Errno::kNoSpace : written.error());
        at += *written;
      }
      progress_.done_bytes += part.offset + part.length - done;
      done = part.offset + part.length;
      if (observer_) CALF_CHECK_OK(observer_(progress_));
    }
  }

  BlockReader& in_;
  FileSystem& target_;
  const CopyObserver& observer_;
  std::vector<std::byte> buffer_;
  CopyProgress progress_;
  uint64_t entries_ = 0;
  uint64_t tree_bytes_ = 0;
};

}  // namespace

Result<SnapshotFileInfo> read_snapshot_file(const SnapshotSource& source, FileSystem& target,
                                            const CopyObserver& observer) {
  BlockReader in(source);
  Header header{};
  CALF_CHECK_OK(in.raw(bytes_of(header)));
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    return calf::fail(ErrorCode::kInvalidArgument, "this is no snapshot",
                      "give a file that `calf snapshot save` has written");
  }
  if (header.version != kVersion) {
    return calf::fail(ErrorCode::kUnsupported,
                      "the snapshot has format " + std::to_string(header.version) +
                          ", this program reads " + std::to_string(kVersion),
                      "use the version of Calf that wrote it, or a later one");
  }
  if (header.checksum != XXH3_64bits(&header, offsetof(Header, checksum)))
    return damaged("its head is broken");
  TreeReader reader(in, target, observer, header.tree_bytes);
  CALF_CHECK_OK(reader.run());
  CALF_CHECK_OK(in.finish(reader.entries(), reader.tree_bytes()));
  return SnapshotFileInfo{.created_at_ns = header.created_at_ns,
                          .entries = reader.entries(),
                          .tree_bytes = reader.tree_bytes(),
                          .file_bytes = in.taken()};
}

}  // namespace calf::vfs
