#include "wasm/files/open_description.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace calf::wasm {
namespace {

using os::Errno;
using os::Expected;
using os::fail;
using vfs::FileKind;
using vfs::Stat;
using vfs::TimeChange;

class OutputStream final : public Stream {
 public:
  OutputStream(int fd, OutputSink sink) : fd_(fd), sink_(std::move(sink)) {}

  FileKind kind() const override { return FileKind::kCharacterDevice; }
  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t) override {
    size_t total = 0;
    for (const iovec& v : buffers) {
      if (sink_ && v.iov_len > 0) sink_(fd_, {static_cast<const char*>(v.iov_base), v.iov_len});
      total += v.iov_len;
    }
    return total;
  }

 private:
  int fd_;
  OutputSink sink_;
};

constexpr size_t kPipeCapacity = 64 * 1024;
constexpr size_t kPipeBuf = 4096;

struct Pipe {
  Pipe() {}  // the bytes stay as they are: what is not written is never read, nor touched
  std::array<std::byte, kPipeCapacity> bytes;
  size_t begin = 0;  // of what is not yet read
  size_t size = 0;
  bool has_reader = true;
  bool has_writer = true;

  size_t read(std::span<std::byte> out) {
    size_t total = std::min(out.size(), size);
    size_t first = std::min(total, kPipeCapacity - begin);
    std::memcpy(out.data(), bytes.data() + begin, first);
    std::memcpy(out.data() + first, bytes.data(), total - first);
    begin = (begin + total) % kPipeCapacity;
    size -= total;
    return total;
  }
  size_t write(std::span<const std::byte> in) {
    size_t total = std::min(in.size(), kPipeCapacity - size);
    size_t end = (begin + size) % kPipeCapacity;
    size_t first = std::min(total, kPipeCapacity - end);
    std::memcpy(bytes.data() + end, in.data(), first);
    std::memcpy(bytes.data(), in.data() + first, total - first);
    size += total;
    return total;
  }
};

class PipeReader final : public Stream {
 public:
  explicit PipeReader(std::shared_ptr<Pipe> pipe) : pipe_(std::move(pipe)) {}
  ~PipeReader() override { pipe_->has_reader = false; }

  FileKind kind() const override { return FileKind::kPipe; }
  Expected<size_t> preadv(std::span<const iovec> buffers, uint64_t) override {
    if (pipe_->size == 0 && pipe_->has_writer) return fail(Errno::kAgain);
    size_t total = 0;
    for (const iovec& v : buffers)
      total += pipe_->read({static_cast<std::byte*>(v.iov_base), v.iov_len});
    return total;
  }
  Expected<size_t> pwritev(std::span<const iovec>, uint64_t) override {
    return fail(Errno::kBadFd);
  }
  Readiness readiness() const override {
    return {pipe_->size > 0 || !pipe_->has_writer, false, !pipe_->has_writer};
  }
  std::optional<PipeSide> pipe_side() const override { return PipeSide{pipe_.get(), false}; }

 private:
  std::shared_ptr<Pipe> pipe_;  // shared by the two ends
};

class PipeWriter final : public Stream {
 public:
  explicit PipeWriter(std::shared_ptr<Pipe> pipe) : pipe_(std::move(pipe)) {}
  ~PipeWriter() override { pipe_->has_writer = false; }

  FileKind kind() const override { return FileKind::kPipe; }
  Expected<size_t> preadv(std::span<const iovec>, uint64_t) override { return fail(Errno::kBadFd); }
  Expected<size_t> pwritev(std::span<const iovec> buffers, uint64_t) override {
    if (!pipe_->has_reader) return fail(Errno::kPipe);
    size_t total = 0, wanted = 0;
    for (const iovec& v : buffers) wanted += v.iov_len;
    size_t room = kPipeCapacity - pipe_->size;
    // Up to PIPE_BUF bytes go in whole or not at all.
    if (wanted > 0 && (room == 0 || (wanted <= kPipeBuf && wanted > room)))
      return fail(Errno::kAgain);
    for (const iovec& v : buffers)
      total += pipe_->write({static_cast<const std::byte*>(v.iov_base), v.iov_len});
    return total;
  }
  Readiness readiness() const override {
    return {false, pipe_->size < kPipeCapacity || !pipe_->has_reader, false};
  }
  std::optional<PipeSide> pipe_side() const override { return PipeSide{pipe_.get(), true}; }

 private:
  std::shared_ptr<Pipe> pipe_;  // shared by the two ends
};

}  // namespace

std::optional<PipeSide> pipe_side_of(vfs::File& file) {
  auto* stream = dynamic_cast<Stream*>(&file);
  return stream != nullptr ? stream->pipe_side() : std::nullopt;
}

PipeEnds make_pipe() {
  auto pipe = std::make_shared<Pipe>();
  return {std::make_unique<PipeReader>(pipe), std::make_unique<PipeWriter>(pipe)};
}

std::unique_ptr<vfs::File> make_stream(int fd, OutputSink sink) {
  return std::make_unique<OutputStream>(fd, std::move(sink));
}

Readiness readiness_of(vfs::File& file) {
  auto* stream = dynamic_cast<Stream*>(&file);
  return stream != nullptr ? stream->readiness() : Readiness{};
}

}  // namespace calf::wasm
