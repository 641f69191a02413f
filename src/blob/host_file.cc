#include "blob/host_file.h"

#include <array>

#include "os/random.h"

namespace calf::blob {

os::Files& host_files() {
  static os::SystemFiles files;
  return files;
}

Result<os::FileDescriptor> open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  const auto fd = host_files().open(AT_FDCWD, path.c_str(), flags, mode, os::Resolve::kAnywhere);
  if (!fd) return fail(os::to_error("opening " + path.string(), fd.error()));
  return os::FileDescriptor(host_files(), *fd);
}

Result<std::uint64_t> file_size(const os::FileDescriptor& file, const std::filesystem::path& path) {
  const auto status = host_files().fstat(file.get());
  if (!status) return fail(os::to_error("looking at " + path.string(), status.error()));
  return static_cast<std::uint64_t>(status->st_size);
}

Result<std::size_t> read_at(const os::FileDescriptor& file, const std::filesystem::path& path,
                            std::uint64_t offset, std::span<char> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const iovec rest{bytes.data() + done, bytes.size() - done};
    const auto n = host_files().preadv(file.get(), {&rest, 1}, offset + done);
    if (!n) return fail(os::to_error("reading " + path.string(), n.error()));
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

Result<void> write_at(const os::FileDescriptor& file, const std::filesystem::path& path,
                      std::uint64_t offset, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const iovec rest{const_cast<char*>(bytes.data()) + done, bytes.size() - done};
    const auto n = host_files().pwritev(file.get(), {&rest, 1}, offset + done);
    if (!n) return fail(os::to_error("writing " + path.string(), n.error()));
    done += *n;
  }
  return {};
}

Result<void> sync(const os::FileDescriptor& file, const std::filesystem::path& path) {
  if (const auto done = host_files().fdatasync(file.get()); !done) {
    return fail(os::to_error("syncing " + path.string(), done.error()));
  }
  return {};
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  CALF_TRY(const auto file, open_file(directory, O_RDONLY | O_DIRECTORY));
  if (const auto done = host_files().fsync(file.get()); !done) {
    return fail(os::to_error("syncing " + directory.string(), done.error()));
  }
  return {};
}

Result<void> write_file(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path fresh = path.string() + random_name(".new-");
  {
    CALF_TRY(const auto file, open_file(fresh, O_WRONLY | O_CREAT | O_EXCL));
    CALF_CHECK_OK(write_at(file, fresh, 0, bytes));
    CALF_CHECK_OK(sync(file, fresh));
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return fail(Error::from_errno("renaming " + fresh.string(), error.value()));
  return sync_directory(path.parent_path().empty() ? "." : path.parent_path());
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  CALF_TRY(const auto file, open_file(path, O_RDONLY));
  CALF_TRY(const std::uint64_t size, file_size(file, path));
  if (size > max_bytes) {
    return fail(ErrorCode::kResourceExhausted, path.string() + " is larger than expected");
  }
  std::string bytes(size, '\0');
  CALF_TRY(const std::size_t n, read_at(file, path, 0, bytes));
  bytes.resize(n);
  return bytes;
}

std::string random_name(std::string_view prefix) {
  std::array<std::byte, 8> bytes;
  os::random_bytes(bytes);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name(prefix);
  for (const std::byte byte : bytes) {
    name += kDigits[std::to_integer<unsigned>(byte) >> 4];
    name += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return name;
}

}  // namespace calf::blob
