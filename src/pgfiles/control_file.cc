#include "pgfiles/control_file.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <boost/crc.hpp>
#include <cstring>
#include <string_view>

#include "pgfiles/page_checksum.h"

namespace calf::pgfiles {
namespace {

// ControlFileData of catalog/pg_control.h, version 1800.
constexpr uint32_t kVersion = 1800;
constexpr size_t kVersionAt = 8;
constexpr size_t kStateAt = 16;
constexpr size_t kBlockBytesAt = 216;
constexpr size_t kSegmentPagesAt = 220;
constexpr size_t kChecksumVersionAt = 252;
constexpr size_t kCrcAt = 292;
constexpr size_t kBytes = 296;

constexpr uint32_t kShutDown = 1;
constexpr uint32_t kShutDownInRecovery = 2;
constexpr std::string_view kStates[] = {
    "starting up",       "shut down",           "shut down in recovery", "shutting down",
    "in crash recovery", "in archive recovery", "in production",
};

using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

uint32_t word(std::span<const std::byte> bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

Result<ControlFile> read_control_file(vfs::FileSystem& data) {
  auto file = data.open(kControlFile, {});
  if (!file) return fail(os::to_error(std::string("opening ") + kControlFile, file.error()));
  std::array<std::byte, kBytes> bytes{};
  auto size = (*file)->pread(bytes, 0);
  if (!size) return fail(os::to_error(std::string("reading ") + kControlFile, size.error()));
  if (*size < kBytes)
    return fail(ErrorCode::kDataCorrupted,
                fmt::format("{} ends after {} of {} bytes", kControlFile, *size, kBytes));
  Crc32c crc;
  crc.process_bytes(bytes.data(), kCrcAt);
  const uint32_t version = word(bytes, kVersionAt);
  if (crc.checksum() != word(bytes, kCrcAt))
    return fail(ErrorCode::kDataCorrupted,
                fmt::format("{}: its CRC is {:08X}, but its contents give {:08X}", kControlFile,
                            word(bytes, kCrcAt), crc.checksum()),
                "restore the directory from a backup");
  if (version != kVersion)
    return fail(ErrorCode::kUnsupported, fmt::format("{} has version {}, this program reads {}",
                                                     kControlFile, version, kVersion));
  ControlFile out;
  std::memcpy(&out.system_identifier, bytes.data(), sizeof out.system_identifier);
  const uint32_t state = word(bytes, kStateAt);
  out.clean_shutdown = state == kShutDown || state == kShutDownInRecovery;
  out.state = state < std::size(kStates) ? kStates[state] : "unrecognized";
  out.data_checksums = word(bytes, kChecksumVersionAt) != 0;
  out.page_bytes = word(bytes, kBlockBytesAt);
  out.segment_pages = word(bytes, kSegmentPagesAt);
  if (out.page_bytes != kPageBytes || out.segment_pages == 0)
    return fail(ErrorCode::kUnsupported, fmt::format("{}: pages of {} bytes are not supported",
                                                     kControlFile, out.page_bytes));
  return out;
}

}  // namespace calf::pgfiles
