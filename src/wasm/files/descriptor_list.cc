// GuestFiles: its descriptors as values and back, for snapshots.
#include <algorithm>
#include <map>

#include "wasm/files/guest_files.h"
#include "wasm/files/guest_flags.h"
#include "wasm/files/open_description.h"

namespace calf::wasm {
namespace {

constexpr size_t kStandardStreams = 3;
using Kind = GuestFiles::Descriptor::Kind;

}  // namespace

Result<std::vector<GuestFiles::Descriptor>> GuestFiles::describe() const {
  std::vector<Descriptor> list;
  std::map<const void*, uint32_t> pipes;
  for (size_t fd = kStandardStreams; fd < slots_.size(); ++fd) {
    const Slot& slot = slots_[fd];
    if (slot.description == nullptr) continue;
    vfs::File& file = *slot.description->file;
    Descriptor descriptor{.fd = static_cast<int>(fd),
                          .status_flags = slot.description->status_flags,
                          .close_on_exec = slot.close_on_exec};
    if (const auto side = pipe_side_of(file)) {
      descriptor.kind = side->writer ? Kind::kPipeWriter : Kind::kPipeReader;
      descriptor.pipe =
          pipes.emplace(side->pipe, static_cast<uint32_t>(pipes.size())).first->second;
    } else if (file.kind() != vfs::FileKind::kCharacterDevice) {
      return fail(ErrorCode::kInternal,
                  "descriptor " + std::to_string(fd) + " is neither a pipe nor the null device");
    }
    list.push_back(descriptor);
  }
  return list;
}

Result<void> GuestFiles::restore(std::span<const Descriptor> descriptors) {
  std::map<uint32_t, PipeEnds> pipes;
  for (const Descriptor& descriptor : descriptors) {
    auto description = std::make_shared<OpenDescription>();
    if (descriptor.kind == Kind::kNullDevice) {
      auto file = tree_->open("/", "/dev/null", {.access = vfs::Access::kReadWrite});
      if (!file) return fail(os::to_error("opening the null device", file.error()));
      description->file = std::move(*file);
    } else {
      auto pipe = pipes.find(descriptor.pipe);
      if (pipe == pipes.end()) pipe = pipes.emplace(descriptor.pipe, make_pipe()).first;
      auto& end = descriptor.kind == Kind::kPipeWriter ? pipe->second.writer : pipe->second.reader;
      if (end == nullptr) return fail(ErrorCode::kDataCorrupted, "an end of a pipe is there twice");
      description->file = std::move(end);
    }
    description->seekable = false;
    description->readable = descriptor.kind != Kind::kPipeWriter;
    description->writable = descriptor.kind != Kind::kPipeReader;
    description->status_flags = descriptor.status_flags;
    const auto fd = static_cast<size_t>(descriptor.fd);
    if (descriptor.fd < static_cast<int>(kStandardStreams) || fd >= max_descriptors_) {
      return fail(ErrorCode::kDataCorrupted, "a descriptor is out of range");
    }
    if (fd >= slots_.size()) slots_.resize(fd + 1);
    slots_[fd] = {std::move(description), descriptor.close_on_exec};
  }
  return {};
}

}  // namespace calf::wasm
