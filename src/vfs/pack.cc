#include "vfs/pack.h"

#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "vfs/pack_format.h"
#include "vfs/path.h"

namespace calf::vfs {
namespace {

using namespace pack_format;

tl::unexpected<Error> damaged(const char* what) {
  return calf::fail(ErrorCode::kDataCorrupted, std::string("pack: ") + what);
}

bool to_file_kind(uint8_t kind, FileKind& out) {
  switch (kind) {
    case kRegular:
      out = FileKind::kRegular;
      return true;
    case kDirectory:
      out = FileKind::kDirectory;
      return true;
    case kSymlink:
      out = FileKind::kSymlink;
      return true;
    default:
      return false;
  }
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace

// A zstd context is 150 KB; making one for every frame costs as much as decompressing it.
class Pack::Contexts {
 public:
  ~Contexts() {
    for (ZSTD_DCtx* context : free_) ZSTD_freeDCtx(context);
  }
  ZSTD_DCtx* take() {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return ZSTD_createDCtx();
    ZSTD_DCtx* context = free_.back();
    free_.pop_back();
    return context;
  }
  void give_back(ZSTD_DCtx* context) {
    std::lock_guard lock(mutex_);
    free_.push_back(context);
  }

 private:
  std::mutex mutex_;
  std::vector<ZSTD_DCtx*> free_;
};

Pack::Pack() : contexts_(std::make_unique<Contexts>()) {}

Pack::~Pack() {
  for (auto& frame : loaded_) std::free(frame.load(std::memory_order_relaxed));
}

Result<std::shared_ptr<const Pack>> Pack::open(std::span<const std::byte> blob) {
  std::shared_ptr<Pack> pack(new Pack);
  CALF_CHECK_OK(pack->parse(blob));
  return std::shared_ptr<const Pack>(std::move(pack));
}

Result<void> Pack::parse(std::span<const std::byte> blob) {
  blob_ = blob;
  if (blob.size() < sizeof(Header)) return damaged("too short");
  auto header = read_record<Header>(blob.data());
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return damaged("this is not a pack");
  if (header.version != kVersion)
    return calf::fail(ErrorCode::kUnsupported, "pack: version " + std::to_string(header.version),
                      "it was made by another version of Calf");
  if (header.index_offset > blob.size() ||
      header.index_compressed_size > blob.size() - header.index_offset)
    return damaged("the index is cut off");
  uint64_t fixed = uint64_t{header.entry_count} * sizeof(EntryRecord) +
                   uint64_t{header.piece_count} * sizeof(PieceRecord) +
                   uint64_t{header.frame_count} * sizeof(FrameRecord);
  if (header.index_size > kMaxIndexSize || fixed > header.index_size || header.entry_count == 0)
    return damaged("the counts do not fit the index");
  if (ZSTD_getFrameContentSize(blob.data() + header.index_offset, header.index_compressed_size) !=
      header.index_size)
    return damaged("the index is damaged");
  index_.resize(header.index_size);
  size_t size = ZSTD_decompress(index_.data(), index_.size(), blob.data() + header.index_offset,
                                header.index_compressed_size);
  if (ZSTD_isError(size) || size != index_.size()) return damaged("the index is damaged");

  entries_.resize(header.entry_count);
  pieces_.resize(header.piece_count);
  frames_.resize(header.frame_count);
  loaded_ = std::vector<std::atomic<std::byte*>>(header.frame_count);
  const char* pieces = index_.data() + header.entry_count * sizeof(EntryRecord);
  const char* frames = pieces + header.piece_count * sizeof(PieceRecord);
  CALF_CHECK_OK(parse_pieces_and_frames(pieces, frames));
  return parse_entries(index_.data(), std::string_view(index_).substr(fixed));
}

Result<void> Pack::parse_pieces_and_frames(const char* pieces, const char* frames) {
  for (size_t i = 0; i < frames_.size(); ++i) {
    auto record = read_record<FrameRecord>(frames + i * sizeof(FrameRecord));
    if (record.offset > blob_.size() || record.compressed_size > blob_.size() - record.offset ||
        record.size > kMaxFrameSize)
      return damaged("a frame lies outside");
    frames_[i] = {record.offset, record.compressed_size, record.size};
  }
  for (size_t i = 0; i < pieces_.size(); ++i) {
    auto record = read_record<PieceRecord>(pieces + i * sizeof(PieceRecord));
    pieces_[i] = {record.frame, record.offset, record.length};
    if (record.frame == kHole) continue;
    if (record.frame >= frames_.size() || record.length > kPieceSize ||
        uint64_t{record.offset} + record.length > frames_[record.frame].size)
      return damaged("a piece lies outside of its frame");
  }
  return {};
}

Result<void> Pack::parse_entries(const char* at, std::string_view strings) {
  uint64_t next_child = 1;
  for (size_t i = 0; i < entries_.size(); ++i, at += sizeof(EntryRecord)) {
    auto record = read_record<EntryRecord>(at);
    Entry& entry = entries_[i];
    uint64_t string_end = uint64_t{record.name_offset} + record.name_length + record.target_length;
    if (!to_file_kind(record.kind, entry.kind) || string_end > strings.size())
      return damaged("an entry is damaged");
    entry.name = strings.substr(record.name_offset, record.name_length);
    entry.symlink_target =
        strings.substr(record.name_offset + record.name_length, record.target_length);
    entry.permissions = record.permissions & 07777;
    entry.size_bytes = record.size;
    entry.modify_time_ns = record.modify_time_ns;
    entry.first = record.first;
    entry.count = record.count;
    if (i == 0 ? entry.kind != FileKind::kDirectory : !is_name(entry.name))
      return damaged("an entry has a bad name");
    if (entry.kind == FileKind::kSymlink && entry.symlink_target.empty())
      return damaged("a symlink has no target");
    if (entry.kind == FileKind::kDirectory) {
      if (entry.first != next_child || next_child <= i) return damaged("the tree is damaged");
      next_child += entry.count;
    } else if (entry.kind == FileKind::kRegular) {
      if (uint64_t{entry.first} + entry.count > pieces_.size() ||
          entry.count != entry.size_bytes / kPieceSize + (entry.size_bytes % kPieceSize != 0))
        return damaged("a file's pieces do not fit its size");
    }
  }
  if (next_child != entries_.size()) return damaged("the tree is damaged");
  return {};
}

std::optional<Pack::EntryIndex> Pack::find_child(const Entry& directory,
                                                 std::string_view name) const {
  auto begin = entries_.begin() + directory.first;
  auto end = begin + directory.count;
  auto at = std::lower_bound(begin, end, name,
                             [](const Entry& e, std::string_view n) { return e.name < n; });
  if (at == end || at->name != name) return std::nullopt;
  return static_cast<EntryIndex>(at - entries_.begin());
}

std::optional<Pack::EntryIndex> Pack::find(std::string_view path) const {
  EntryIndex at = kRoot;
  for (std::string_view rest = path;;) {
    std::string_view component = take_component(rest);
    if (component.empty()) return at;
    if (entries_[at].kind != FileKind::kDirectory) return std::nullopt;
    auto child = find_child(entries_[at], component);
    if (!child) return std::nullopt;
    at = *child;
  }
}

Expected<const std::byte*> Pack::frame_bytes(uint32_t frame) const {
  std::atomic<std::byte*>& slot = loaded_[frame];
  // Acquire: the bytes were written before the pointer was published.
  if (std::byte* bytes = slot.load(std::memory_order_acquire)) return bytes;
  const Frame& info = frames_[frame];
  ZSTD_DCtx* context = contexts_->take();
  auto* bytes = static_cast<std::byte*>(std::malloc(std::max<size_t>(info.size, 1)));
  if (context == nullptr || bytes == nullptr) {
    ZSTD_freeDCtx(context);
    std::free(bytes);
    return fail(Errno::kNoMemory);
  }
  size_t size = ZSTD_decompressDCtx(context, bytes, info.size, blob_.data() + info.offset,
                                    info.compressed_size);
  contexts_->give_back(context);
  if (ZSTD_isError(size) || size != info.size) {
    std::free(bytes);
    return fail(Errno::kIo);
  }
  std::byte* expected = nullptr;
  // Somebody else may have been quicker: theirs is the same.
  if (slot.compare_exchange_strong(expected, bytes, std::memory_order_acq_rel)) return bytes;
  std::free(bytes);
  return expected;
}

Expected<std::span<const std::byte>> Pack::piece(const Entry& file, uint32_t piece) const {
  if (piece >= file.count) return std::span<const std::byte>();
  const Piece& info = pieces_[file.first + piece];
  if (info.frame == kHole) return std::span<const std::byte>();
  CALF_ERRNO_TRY(const std::byte* bytes, frame_bytes(info.frame));
  return std::span<const std::byte>(bytes + info.offset, info.length);
}

Result<std::string> Pack::contents(EntryIndex file) const {
  const Entry& entry = entries_[file];
  if (entry.kind != FileKind::kRegular)
    return calf::fail(ErrorCode::kInvalidArgument, "pack: not a regular file");
  std::string out(entry.size_bytes, '\0');
  for (uint32_t i = 0; i < entry.count; ++i) {
    auto bytes = piece(entry, i);
    if (!bytes) return calf::fail(os::to_error("reading from the pack", bytes.error()));
    if (bytes->empty()) continue;
    size_t at = size_t{i} * kPieceSize;
    std::memcpy(out.data() + at, bytes->data(), std::min(bytes->size(), out.size() - at));
  }
  return out;
}

}  // namespace calf::vfs
