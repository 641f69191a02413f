#include "vfs/pack.h"

#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <ranges>

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

template <typename T>
T record_at(const std::byte* records, uint64_t index) {
  return read_record<T>(records + index * sizeof(T));
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
  for (auto& frame : loaded_) {
    const std::byte* bytes = frame.load(std::memory_order_relaxed);
    if (!is_in_blob(bytes)) std::free(const_cast<std::byte*>(bytes));
  }
}

bool Pack::is_in_blob(const std::byte* bytes) const {
  return bytes >= blob_.data() && bytes < blob_.data() + blob_.size();
}

Result<std::shared_ptr<const Pack>> Pack::open(std::span<const std::byte> blob) {
  std::shared_ptr<Pack> pack(new Pack);
  CALF_CHECK_OK(pack->parse(blob));
  return std::shared_ptr<const Pack>(std::move(pack));
}

Result<void> Pack::parse(std::span<const std::byte> blob) {
  blob_ = blob;
  if (blob.size() < sizeof(Header)) return damaged("too short");
  const auto header = read_record<Header>(blob.data());
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return damaged("this is not a pack");
  if (header.version != kVersion)
    return calf::fail(ErrorCode::kUnsupported, "pack: version " + std::to_string(header.version),
                      "it was made by another version of Calf");
  if (header.index_offset > blob.size() || header.index_size > blob.size() - header.index_offset)
    return damaged("the index is cut off");
  const uint64_t fixed = uint64_t{header.entry_count} * sizeof(EntryRecord) +
                         uint64_t{header.piece_count} * sizeof(PieceRecord) +
                         uint64_t{header.frame_count} * sizeof(FrameRecord);
  if (fixed > header.index_size || header.entry_count == 0 || header.zero != 0)
    return damaged("the counts do not fit the index");
  entries_ = blob.data() + header.index_offset;
  if (XXH3_64bits(entries_, header.index_size) != header.index_checksum)
    return damaged("the index is damaged");
  pieces_ = entries_ + header.entry_count * sizeof(EntryRecord);
  frames_ = pieces_ + header.piece_count * sizeof(PieceRecord);
  strings_ = {reinterpret_cast<const char*>(entries_) + fixed, header.index_size - fixed};
  entry_count_ = header.entry_count;
  piece_count_ = header.piece_count;
  frame_count_ = header.frame_count;
  loaded_ = std::vector<std::atomic<const std::byte*>>(frame_count_);
  CALF_CHECK_OK(check_pieces_and_frames());
  return check_entries();
}

Result<void> Pack::check_pieces_and_frames() const {
  for (uint32_t i = 0; i < frame_count_; ++i) {
    const auto frame = record_at<FrameRecord>(frames_, i);
    if (frame.offset > blob_.size() || frame.size_in_blob() > blob_.size() - frame.offset ||
        frame.size == 0 || frame.size > kMaxFrameSize)
      return damaged("a frame lies outside");
  }
  for (uint32_t i = 0; i < piece_count_; ++i) {
    const auto piece = record_at<PieceRecord>(pieces_, i);
    if (piece.frame == kHole) continue;
    if (piece.frame >= frame_count_ || piece.length > kPieceSize ||
        uint64_t{piece.offset} + piece.length > record_at<FrameRecord>(frames_, piece.frame).size)
      return damaged("a piece lies outside of its frame");
  }
  return {};
}

Result<void> Pack::check_entries() const {
  uint64_t next_child = 1;
  for (uint32_t i = 0; i < entry_count_; ++i) {
    const auto record = record_at<EntryRecord>(entries_, i);
    const uint64_t string_end =
        uint64_t{record.name_offset} + record.name_length + record.target_length;
    FileKind kind;
    if (!to_file_kind(record.kind, kind) || string_end > strings_.size())
      return damaged("an entry is damaged");
    if (i == 0 ? kind != FileKind::kDirectory : !is_name(entry(i).name))
      return damaged("an entry has a bad name");
    if (kind == FileKind::kSymlink && record.target_length == 0)
      return damaged("a symlink has no target");
    if (kind == FileKind::kDirectory) {
      if (record.first != next_child || next_child <= i) return damaged("the tree is damaged");
      next_child += record.count;
    } else if (kind == FileKind::kRegular) {
      if (uint64_t{record.first} + record.count > piece_count_ ||
          record.count != record.size / kPieceSize + (record.size % kPieceSize != 0))
        return damaged("a file's pieces do not fit its size");
    }
  }
  if (next_child != entry_count_) return damaged("the tree is damaged");
  return {};
}

Pack::Entry Pack::entry(EntryIndex index) const {
  const auto record = record_at<EntryRecord>(entries_, index);
  Entry entry;
  to_file_kind(record.kind, entry.kind);
  entry.name = strings_.substr(record.name_offset, record.name_length);
  entry.symlink_target =
      strings_.substr(record.name_offset + record.name_length, record.target_length);
  entry.permissions = record.permissions & 07777;
  entry.size_bytes = record.size;
  entry.modify_time_ns = record.modify_time_ns;
  entry.first = record.first;
  entry.count = record.count;
  return entry;
}

std::optional<Pack::EntryIndex> Pack::find_child(const Entry& directory,
                                                 std::string_view name) const {
  const auto children = std::views::iota(directory.first, directory.first + directory.count);
  const auto at =
      std::ranges::lower_bound(children, name, {}, [this](uint32_t i) { return entry(i).name; });
  if (at == children.end() || entry(*at).name != name) return std::nullopt;
  return *at;
}

std::optional<Pack::EntryIndex> Pack::find(std::string_view path) const {
  EntryIndex at = kRoot;
  for (std::string_view rest = path;;) {
    std::string_view component = take_component(rest);
    if (component.empty()) return at;
    const Entry directory = entry(at);
    if (directory.kind != FileKind::kDirectory) return std::nullopt;
    auto child = find_child(directory, component);
    if (!child) return std::nullopt;
    at = *child;
  }
}

Expected<const std::byte*> Pack::frame_bytes(uint32_t frame) const {
  std::atomic<const std::byte*>& slot = loaded_[frame];
  // Acquire: the bytes were written before the pointer was published.
  if (const std::byte* bytes = slot.load(std::memory_order_acquire)) return bytes;
  const auto record = record_at<FrameRecord>(frames_, frame);
  if (record.is_stored()) {
    slot.store(blob_.data() + record.offset, std::memory_order_release);
    return blob_.data() + record.offset;
  }
  CALF_ERRNO_TRY(std::byte * bytes, decompress(frame));
  const std::byte* others = nullptr;
  // Somebody else may have been quicker: theirs is the same.
  if (slot.compare_exchange_strong(others, bytes, std::memory_order_acq_rel)) return bytes;
  std::free(bytes);
  return others;
}

// In memory that the caller frees.
Expected<std::byte*> Pack::decompress(uint32_t frame) const {
  const auto record = record_at<FrameRecord>(frames_, frame);
  ZSTD_DCtx* context = contexts_->take();
  auto* bytes = static_cast<std::byte*>(std::malloc(std::max<size_t>(record.size, 1)));
  if (context == nullptr || bytes == nullptr) {
    ZSTD_freeDCtx(context);
    std::free(bytes);
    return fail(Errno::kNoMemory);
  }
  const size_t size = ZSTD_decompressDCtx(context, bytes, record.size, blob_.data() + record.offset,
                                          record.compressed_size);
  contexts_->give_back(context);
  if (ZSTD_isError(size) || size != record.size) {
    std::free(bytes);
    return fail(Errno::kIo);
  }
  return bytes;
}

Expected<std::span<const std::byte>> Pack::piece(const Entry& file, uint32_t piece) const {
  if (piece >= file.count) return std::span<const std::byte>();
  const auto record = record_at<PieceRecord>(pieces_, file.first + piece);
  if (record.frame == kHole) return std::span<const std::byte>();
  CALF_ERRNO_TRY(const std::byte* bytes, frame_bytes(record.frame));
  return std::span<const std::byte>(bytes + record.offset, record.length);
}

Result<std::string> Pack::contents(EntryIndex file) const {
  const Entry entry = this->entry(file);
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

std::string Pack::with_read_contents_stored() const {
  auto header = read_record<Header>(blob_.data());
  std::string index(reinterpret_cast<const char*>(entries_), header.index_size);
  std::string blob(sizeof header, '\0');
  for (uint32_t i = 0; i < frame_count_; ++i) {
    auto record = record_at<FrameRecord>(frames_, i);
    const std::byte* read = loaded_[i].load(std::memory_order_acquire);
    const std::byte* bytes = read != nullptr ? read : blob_.data() + record.offset;
    if (read != nullptr) record.compressed_size = 0;
    record.offset = blob.size();
    blob.append(reinterpret_cast<const char*>(bytes), record.size_in_blob());
    std::memcpy(index.data() + (frames_ - entries_) + i * sizeof record, &record, sizeof record);
  }
  return finish_pack(std::move(blob), header, index);
}

}  // namespace calf::vfs
