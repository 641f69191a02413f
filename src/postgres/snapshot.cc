#include "postgres/snapshot.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/backing_file.h"
#include "os/shared_memory.h"

namespace calf::postgres {
namespace {

constexpr char kMagic[8] = {'C', 'A', 'L', 'F', 'S', 'N', 'A', 'P'};
constexpr uint32_t kVersion = 3;
constexpr uint64_t kPage = 4096;

// docs/formats/snapshot.md
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t state_size;
  uint64_t state_offset;
  uint64_t pages_offset;
  uint64_t pages_size;
  uint64_t pack_offset;
  uint64_t pack_size;
  uint64_t checksum;  // of the header before this field, and the state
};
static_assert(sizeof(Header) == 64);

uint64_t fnv(uint64_t hash, std::span<const std::byte> bytes) {
  for (std::byte b : bytes) hash = (hash ^ static_cast<uint64_t>(b)) * 0x100000001b3u;
  return hash;
}

uint64_t checksum(const Header& header, std::span<const std::byte> state) {
  constexpr uint64_t kBasis = 0xcbf29ce484222325u;
  return fnv(fnv(kBasis, std::as_bytes(std::span(&header, 1)).first(offsetof(Header, checksum))),
             state);
}

// Both directions of the state are one list of fields: `visit` reads or writes each.
class Writer {
 public:
  template <typename T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  void visit(T& value) {
    append(&value, sizeof value);
  }
  template <typename T>
    requires requires(T& list) { list.resize(1); }
  void visit(T& list) {
    uint32_t count = static_cast<uint32_t>(list.size());
    visit(count);
    for (auto& item : list) visit_item(item);
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void visit_item(T& item);
  void append(const void* bytes, size_t size) {
    out_.append(static_cast<const char*>(bytes), size);
  }
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}

  template <typename T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  void visit(T& value) {
    if (left_.size() < sizeof value) {
      broken_ = true;
      return;
    }
    std::memcpy(&value, left_.data(), sizeof value);
    left_ = left_.subspan(sizeof value);
  }
  template <typename T>
    requires requires(T& list) { list.resize(1); }
  void visit(T& list) {
    uint32_t count = 0;
    visit(count);
    if (count > left_.size()) broken_ = true;  // every item has a byte at least
    if (broken_) return;
    list.resize(count);
    for (auto& item : list) visit_item(item);
  }
  [[nodiscard]] bool complete() const { return !broken_ && left_.empty(); }

 private:
  template <typename T>
  void visit_item(T& item);
  std::span<const std::byte> left_;
  bool broken_ = false;
};

template <typename Visitor>
void fields(Visitor& v, wasm::MemoryImage::Extent& extent) {
  v.visit(extent.address);
  v.visit(extent.size_bytes);
  v.visit(extent.offset);
}
template <typename Visitor>
void fields(Visitor& v, SnapshotState::SharedMemory& shared) {
  v.visit(shared.address);
  v.visit(shared.size_bytes);
  v.visit(shared.path);
  v.visit(shared.extents);
}
template <typename Visitor>
void fields(Visitor& v, SnapshotState::Child& child) {
  v.visit(child.pid);
  v.visit(child.launch.type);
  v.visit(child.launch.slot);
  v.visit(child.launch.startup_data);
}
template <typename Visitor>
void fields(Visitor& v, wasm::GuestFiles::Descriptor& descriptor) {
  v.visit(descriptor.fd);
  v.visit(descriptor.kind);
  v.visit(descriptor.pipe);
  v.visit(descriptor.status_flags);
  v.visit(descriptor.close_on_exec);
}
template <typename Visitor>
void fields(Visitor& v, SnapshotState& state) {
  v.visit(state.pages);
  for (uint32_t& global : state.globals) v.visit(global);
  v.visit(state.frame);
  v.visit(state.memory);
  v.visit(state.shared);
  v.visit(state.hot_pieces);
  v.visit(state.usual_of_postmaster);
  v.visit(state.usual_of_backend);
  v.visit(state.descriptors);
  v.visit(state.working_directory);
  v.visit(state.umask);
  v.visit(state.next_pid);
  v.visit(state.children);
  v.visit(state.boot_settings);
}

template <typename Visitor, typename T>
void visit_one(Visitor& visitor, T& item) {
  if constexpr (requires { visitor.visit(item); }) {
    visitor.visit(item);
  } else {
    fields(visitor, item);
  }
}
template <typename T>
void Writer::visit_item(T& item) {
  visit_one(*this, item);
}
template <typename T>
void Reader::visit_item(T& item) {
  visit_one(*this, item);
}

bool inside(uint64_t offset, uint64_t size, uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

tl::unexpected<Error> damaged() {
  return fail(ErrorCode::kDataCorrupted, "the snapshot of a fresh cluster is damaged");
}

// The extents must lie in the pages, and the pages of memory on page boundaries.
bool extents_fit(const std::vector<wasm::MemoryImage::Extent>& extents, const Header& header,
                 uint64_t limit) {
  return std::all_of(extents.begin(), extents.end(), [&](const wasm::MemoryImage::Extent& e) {
    return e.address % kPage == 0 && e.offset % kPage == 0 &&
           inside(e.address, e.size_bytes, limit) && e.offset >= header.pages_offset &&
           inside(e.offset - header.pages_offset, e.size_bytes, header.pages_size);
  });
}

Result<os::BackingFile> copy_to_file(std::span<const std::byte> bytes) {
  auto copy = os::SharedMemory::create("calf-snapshot", 0);
  if (!copy) return fail(os::to_error("copying the snapshot", copy.error()));
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        pwrite(copy->fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0) return fail(Error::from_errno("copying the snapshot", errno));
    done += static_cast<size_t>(n);
  }
  auto owner = std::make_shared<os::SharedMemory>(std::move(*copy));
  const int fd = owner->fd();
  return os::BackingFile{.fd = fd, .offset = 0, .owner = std::move(owner)};
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> Snapshot::open(std::span<const std::byte> bytes) {
  CALF_TRY(auto snapshot, decode(bytes));
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Result<std::shared_ptr<const Snapshot>> Snapshot::adopt(std::string bytes) {
  CALF_TRY(auto snapshot, decode(std::as_bytes(std::span(bytes))));
  snapshot->own_bytes_ = std::move(bytes);  // the characters of a long string stay where they are
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Result<std::shared_ptr<Snapshot>> Snapshot::decode(std::span<const std::byte> bytes) {
  Header header;
  if (bytes.size() < sizeof header) return damaged();
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.version != kVersion ||
      !inside(header.state_offset, header.state_size, bytes.size()) ||
      !inside(header.pages_offset, header.pages_size, bytes.size()) ||
      !inside(header.pack_offset, header.pack_size, bytes.size())) {
    return damaged();
  }
  const auto state_bytes = bytes.subspan(header.state_offset, header.state_size);
  if (checksum(header, state_bytes) != header.checksum) return damaged();
  auto snapshot = std::shared_ptr<Snapshot>(new Snapshot);
  SnapshotState& state = snapshot->state_;
  Reader reader(state_bytes);
  fields(reader, state);
  constexpr uint64_t kAddresses = uint64_t{1} << 32;
  if (!reader.complete() || !extents_fit(state.memory, header, kAddresses)) return damaged();
  for (const auto& shared : state.shared) {
    if (shared.address % kPage != 0 ||
        !extents_fit(shared.extents, header, shared.size_bytes + kPage))
      return damaged();
  }
  snapshot->heat_ = std::make_shared<wasm::PieceHeat>(state.hot_pieces);
  snapshot->usual_pages_.reset(
      new UsualPages{.postmasters{state.usual_of_postmaster}, .backends{state.usual_of_backend}});
  snapshot->bytes_ = bytes;
  snapshot->data_pack_ = bytes.subspan(header.pack_offset, header.pack_size);
  auto file = os::find_backing_file(bytes);
  if (file && file->offset % kPage != 0) file.reset();
  snapshot->in_file_ = file.has_value();
  if (!file) {
    CALF_TRY(file, copy_to_file(bytes));
  }
  snapshot->file_ = std::move(*file);
  std::vector<wasm::MemoryImage::Extent> memory = state.memory;
  for (auto& extent : memory) extent.offset += snapshot->file_.offset;
  snapshot->memory_ = std::make_shared<const wasm::MemoryImage>(
      snapshot->file_.fd, snapshot->file_.owner, std::move(memory), state.pages,
      std::span<const uint32_t, CALF_GLOBAL_SLOTS>(state.globals));
  return snapshot;
}

std::shared_ptr<wasm::FrozenPages> Snapshot::freeze(
    std::span<const wasm::MemoryImage::Extent> extents, size_t most_runs) const {
  return std::make_shared<wasm::FrozenPages>(
      wasm::FrozenPages::Recording{.file = file_, .bytes = bytes_}, extents, heat_, most_runs);
}

void Snapshot::forget_pages() const {
  if (!in_file_) return;
  const std::byte* end = data_pack_.data() - reinterpret_cast<uintptr_t>(data_pack_.data()) % kPage;
  madvise(const_cast<std::byte*>(bytes_.data()), static_cast<size_t>(end - bytes_.data()),
          MADV_DONTNEED);
}

bool Snapshot::allows(const Settings& settings) const {
  return std::all_of(settings.begin(), settings.end(), [this](const auto& setting) {
    std::string name = setting.first;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    if (name == "port") return true;  // only shown: the host listens
    const std::string prefix = name + "=";
    const auto fixed = std::find_if(state_.boot_settings.begin(), state_.boot_settings.end(),
                                    [&](const std::string& s) { return s.starts_with(prefix); });
    // Asking for what it has anyway, as SHOW writes it, is no reason to boot.
    return fixed == state_.boot_settings.end() || *fixed == prefix + setting.second;
  });
}

uint64_t SnapshotBuilder::add_pages(std::span<const std::byte> bytes) {
  const uint64_t offset = pages_.size();
  pages_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  pages_.resize((pages_.size() + kPage - 1) / kPage * kPage);
  return offset;
}

std::string SnapshotBuilder::finish(const SnapshotState& state, std::string_view data_pack) const {
  SnapshotState placed = state;
  Writer sizing;
  fields(sizing, placed);
  const uint64_t state_size = sizing.take().size();
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.state_size = static_cast<uint32_t>(state_size);
  header.state_offset = sizeof header;
  header.pages_offset = (sizeof header + state_size + kPage - 1) / kPage * kPage;
  header.pages_size = pages_.size();
  header.pack_offset = header.pages_offset + pages_.size();
  header.pack_size = data_pack.size();
  for (auto& extent : placed.memory) extent.offset += header.pages_offset;
  for (auto& shared : placed.shared) {
    for (auto& extent : shared.extents) extent.offset += header.pages_offset;
  }
  Writer writer;
  fields(writer, placed);
  const std::string text = writer.take();
  header.checksum = checksum(header, std::as_bytes(std::span(text)));
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out += text;
  out.resize(header.pages_offset);
  out += pages_;
  out += data_pack;
  return out;
}

}  // namespace calf::postgres
