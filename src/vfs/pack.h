// A tree of files in one compressed, checksummed blob (docs/formats/pack.md): the read-only files
// of the image and the template of a cluster are packs inside the binary. Opening reads the index
// only; contents are decompressed when first read and then shared by everybody in the process.
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

  [[nodiscard]] uint32_t entry_count() const { return static_cast<uint32_t>(entries_.size()); }
  [[nodiscard]] const Entry& entry(EntryIndex index) const { return entries_[index]; }
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

 private:
  struct Piece {
    uint32_t frame = 0;   // kHole: nothing stored
    uint32_t offset = 0;  // inside the decompressed frame
    uint32_t length = 0;
  };
  struct Frame {
    uint64_t offset = 0;  // of the compressed bytes in the blob
    uint32_t compressed_size = 0;
    uint32_t size = 0;
  };
  static constexpr uint32_t kHole = UINT32_MAX;

  class Contexts;  // decompression contexts that are not in use

  Pack();
  Result<void> parse(std::span<const std::byte> blob);
  Result<void> parse_entries(const char* at, std::string_view strings);
  Result<void> parse_pieces_and_frames(const char* pieces, const char* frames);
  Expected<const std::byte*> frame_bytes(uint32_t frame) const;

  std::span<const std::byte> blob_;
  std::string index_;  // decompressed; names and targets point into it
  std::vector<Entry> entries_;
  std::vector<Piece> pieces_;
  std::vector<Frame> frames_;
  // One per frame: null until somebody has decompressed it. Written once, by compare-and-swap.
  mutable std::vector<std::atomic<std::byte*>> loaded_;
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
