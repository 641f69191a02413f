#include "pgfiles/new_identity.h"

#include <span>
#include <string>
#include <vector>

namespace calf::pgfiles {
namespace {

constexpr const char* kWalDirectory = "pg_wal";

// As BootStrapXLOG() makes it: seconds, microseconds, and 12 bits that are the process's there.
Identity make_identity(const os::Clock& clock, os::Random& random) {
  constexpr int64_t kSecondNs = 1'000'000'000;
  Identity identity;
  uint16_t low = 0;
  random.fill(std::as_writable_bytes(std::span(&low, 1)));
  random.fill(identity.authentication_nonce);
  const int64_t now_ns = clock.realtime_ns();
  identity.system_identifier = static_cast<uint64_t>(now_ns / kSecondNs) << 32 |
                               static_cast<uint64_t>(now_ns % kSecondNs / 1000) << 12 |
                               (low & 0xFFF);
  return identity;
}

Result<std::vector<std::string>> segments(vfs::FileSystem& data) {
  constexpr size_t kNameLength = 24;
  auto directory = data.open(kWalDirectory, {.directory = true});
  if (!directory) return fail(os::to_error("opening pg_wal", directory.error()));
  std::vector<std::string> paths;
  auto read = (*directory)->read_directory(0, [&](const vfs::DirectoryEntry& entry) {
    const bool is_segment =
        entry.name.size() == kNameLength &&
        entry.name.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
    if (is_segment) paths.push_back(std::string(kWalDirectory) + "/" + std::string(entry.name));
    return true;
  });
  if (!read) return fail(os::to_error("listing pg_wal", read.error()));
  return paths;
}

// The first page of a segment has a long header (access/xlog_internal.h: XLogLongPageHeaderData),
// without a CRC. A segment that was made for later has something else there, or nothing.
Result<void> change_segment(vfs::FileSystem& data, const std::string& path, uint64_t from,
                            uint64_t to) {
  constexpr uint64_t kSystemIdentifierAt = 24;
  uint64_t found = 0;
  auto file = data.open(path, {.access = vfs::Access::kReadWrite});
  if (!file) return fail(os::to_error("opening " + path, file.error()));
  const auto size =
      (*file)->pread(std::as_writable_bytes(std::span(&found, 1)), kSystemIdentifierAt);
  if (!size) return fail(os::to_error("reading " + path, size.error()));
  if (*size < sizeof found || found != from) return {};
  if (auto done = (*file)->pwrite(std::as_bytes(std::span(&to, 1)), kSystemIdentifierAt); !done)
    return fail(os::to_error("writing " + path, done.error()));
  return {};
}

}  // namespace

Result<void> give_new_identity(vfs::FileSystem& data, const os::Clock& clock, os::Random& random) {
  CALF_TRY(const ControlFile old, read_control_file(data));
  CALF_TRY(const auto paths, segments(data));
  const Identity identity = make_identity(clock, random);
  CALF_CHECK_OK(write_identity(data, identity));
  for (const std::string& path : paths) {
    CALF_CHECK_OK(change_segment(data, path, old.system_identifier, identity.system_identifier));
  }
  return {};
}

}  // namespace calf::pgfiles
