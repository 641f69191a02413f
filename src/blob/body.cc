#include "blob/body.h"

#include <cstring>

#include "base/assert.h"
#include "blob/host_file.h"

namespace calf::blob {

Result<void> MemoryBody::read(std::uint64_t offset, std::span<char> bytes) {
  ASSERT(offset <= bytes_.size() && bytes.size() <= bytes_.size() - offset);
  if (!bytes.empty()) std::memcpy(bytes.data(), bytes_.data() + offset, bytes.size());
  return {};
}

Result<FileBody> FileBody::open(const std::filesystem::path& path) {
  CALF_TRY(os::FileDescriptor file, open_file(path, O_RDONLY));
  CALF_TRY(const std::uint64_t size, file_size(file, path));
  return FileBody(path, std::move(file), size);
}

Result<void> FileBody::read(std::uint64_t offset, std::span<char> bytes) {
  CALF_TRY(const std::size_t n, read_at(file_, path_, offset, bytes));
  if (n != bytes.size()) return fail(ErrorCode::kIo, path_.string() + " became shorter");
  return {};
}

Result<std::string> read_part(Body& body, std::uint64_t offset, std::size_t length) {
  std::string part(length, '\0');
  CALF_CHECK_OK(body.read(offset, part));
  return part;
}

}  // namespace calf::blob
