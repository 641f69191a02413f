// What is put: bytes of a known size that can be read again from anywhere, so that a part can be
// sent a second time without keeping the whole in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "os/files.h"

namespace calf::blob {

// One thread at a time.
class Body {
 public:
  virtual ~Body() = default;
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
  // Exactly `bytes.size()` bytes from `offset`; the range is inside. kIo.
  virtual Result<void> read(std::uint64_t offset, std::span<char> bytes) = 0;
};

// Bytes of the caller's, which must stay.
class MemoryBody final : public Body {
 public:
  explicit MemoryBody(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, std::span<char> bytes) override;

 private:
  std::string_view bytes_;
};

// A file, with the size that it has when it is opened.
class FileBody final : public Body {
 public:
  static Result<FileBody> open(const std::filesystem::path& path);
  [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
  Result<void> read(std::uint64_t offset, std::span<char> bytes) override;

 private:
  FileBody(std::filesystem::path path, os::FileDescriptor file, std::uint64_t size_bytes)
      : path_(std::move(path)), file_(std::move(file)), size_bytes_(size_bytes) {}
  std::filesystem::path path_;
  os::FileDescriptor file_;
  std::uint64_t size_bytes_;
};

// [offset, offset + length) of a body in memory.
Result<std::string> read_part(Body& body, std::uint64_t offset, std::size_t length);

}  // namespace calf::blob
