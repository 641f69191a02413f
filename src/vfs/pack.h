// A tree of files in one compressed, checksummed blob (docs/formats/pack.md): the read-only files
// of the image and the template of a cluster are packs inside the binary. Opening checks the index
// only, which is used where it lies; contents are decompressed when first read, unless they are
// stored as they are, and then shared by everybody in the process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/files.h"
#include "vfs/file_system.h"

namespace calf::vfs {

// Contents are cut into pieces of this size; a piece is also the unit of sharing in
// MemoryFileSystem.
inline constexpr uint32_t kPieceSize = 64 * 1024;

// An open pack. Immutable; any thread. Keep it in a shared_ptr: file systems made from it hold it.
class Pack {
 public:
  using EntryIndex = uint32_t;
  static constexpr EntryIndex kRoot = 0;

  struct Entry {
    std::string_view name;               // of the last component; "" for the root
    FileKind kind = FileKind::kRegular;  // regular file, directory or symlink
    uint32_t permissions = 0;
    uint64_t size_bytes = 0;  // regular files
    int64_t modify_time_ns = 0;
    std::string_view symlink_target;
    uint32_t first = 0;  // directories: index of the first child; files: index of the first piece
    uint32_t count =
        0;  // directories: number of children (contiguous, sorted by name); files: of pieces
  };

  // `blob` must stay valid for the pack's lifetime (it is not copied). kDataCorrupted when the
  // header or the index is broken; contents are checked when they are read.
  static Result<std::shared_ptr<const Pack>> open(std::span<const std::byte> blob);
  ~Pack();

  [[nodiscard]] uint32_t entry_count() const { return entry_count_; }
  [[nodiscard]] Entry entry(EntryIndex index) const;
  // The entry at a plain path ("a/b/c", no "..", symlinks are not followed), if there is one.
  [[nodiscard]] std::optional<EntryIndex> find(std::string_view path) const;
  [[nodiscard]] std::optional<EntryIndex> find_child(const Entry& directory,
                                                     std::string_view name) const;

  // Piece `piece` of a regular file: its bytes, up to kPieceSize of them. Empty for a hole; the
  // rest of a piece is zeros when fewer bytes come back than the file has there. Valid as long as
  // the pack. kIo when the contents are damaged.
  [[nodiscard]] Expected<std::span<const std::byte>> piece(const Entry& file, uint32_t piece) const;

  // The whole of a regular file, for callers that want it at once.
  [[nodiscard]] Result<std::string> contents(EntryIndex file) const;

  struct UnpackOptions {
    std::string_view subtree;    // a directory of the pack; "": all of it
    bool sync = true;            // make every file and directory durable before returning
    os::Files* files = nullptr;  // whose `directory`; null: the host's
  };
  // Writes the tree into `directory`, which is created if need be and must be empty.
  [[nodiscard]] Result<void> unpack_to(const std::string& directory,
                                       const UnpackOptions& options) const;

  // The same tree as another blob: what has been read of this one so far is stored as it is there.
  // For a pack that is always read like that: it takes more of the disk, and neither memory nor
  // time to decompress.
  [[nodiscard]] std::string with_read_contents_stored() const;

 private:
  class Contexts;  // decompression contexts that are not in use

  Pack();
  Result<void> parse(std::span<const std::byte> blob);
  Result<void> check_entries() const;
  Result<void> check_pieces_and_frames() const;
  Expected<const std::byte*> frame_bytes(uint32_t frame) const;
  Expected<std::byte*> decompress(uint32_t frame) const;
  [[nodiscard]] bool is_in_blob(const std::byte* bytes) const;

  std::span<const std::byte> blob_;
  // The index's parts, in the blob.
  const std::byte* entries_ = nullptr;
  const std::byte* pieces_ = nullptr;
  const std::byte* frames_ = nullptr;
  std::string_view strings_;
  uint32_t entry_count_ = 0, piece_count_ = 0, frame_count_ = 0;
  // One per frame: null until somebody has read it. Written once, by compare-and-swap; ours when
  // not in the blob.
  mutable std::vector<std::atomic<const std::byte*>> loaded_;
  std::unique_ptr<Contexts> contexts_;
};

// Collects a tree and writes a pack. One thread. Memory: all distinct contents.
class PackBuilder {
 public:
  struct Options {
    int compression_level = 19;
    uint32_t frame_size_bytes =
        kPieceSize;  // small files are put together into frames of this size; >= kPieceSize
    int64_t fixed_time_ns =
        0;  // modification time of every entry, so that a build can be repeated exactly
  };
  explicit PackBuilder(const Options& options);
  ~PackBuilder();

  // Adds one entry; parents must have been added before (the root is there). `path` is plain.
  // kAlreadyExists.
  Result<void> add_directory(std::string_view path, uint32_t permissions);
  Result<void> add_file(std::string_view path, uint32_t permissions, std::string_view contents);
  Result<void> add_symlink(std::string_view path, std::string_view target);

  // Adds everything below `directory` of the host, or below `path` of a file system, as
  // `prefix`/...
  Result<void> add_host_directory(const std::string& directory, std::string_view prefix);
  Result<void> add_tree(FileSystem& file_system, std::string_view path, std::string_view prefix);

  // The finished blob. The builder is used up.
  Result<std::string> finish() &&;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace calf::vfs
