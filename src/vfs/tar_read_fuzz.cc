// Any bytes are either an archive or refused, and nothing of it is outside of the tree. Checksums
// are put right first, so that headers are looked at.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "os/clock.h"
#include "vfs/memory_file_system.h"
#include "vfs/tar_read.h"

namespace {

constexpr size_t kBlockSize = 512;
constexpr size_t kChecksumAt = 148;
constexpr size_t kChecksumSize = 8;
constexpr size_t kMagicAt = 257;

// Every block that claims to be a header becomes a valid one.
void mend_checksums(std::string& archive) {
  for (size_t at = 0; at + kBlockSize <= archive.size(); at += kBlockSize) {
    char* block = archive.data() + at;
    if (std::memcmp(block + kMagicAt, "ustar", 5) != 0) continue;
    std::memset(block + kChecksumAt, ' ', kChecksumSize);
    unsigned sum = 0;
    for (size_t i = 0; i < kBlockSize; ++i) sum += static_cast<unsigned char>(block[i]);
    std::snprintf(block + kChecksumAt, kChecksumSize, "%06o", sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calf::vfs;
  std::string archive(reinterpret_cast<const char*>(data), size);
  mend_checksums(archive);
  size_t at = 0;
  const TarSource source = [&](std::span<std::byte> buffer) -> calf::Result<size_t> {
    const size_t part = std::min(buffer.size(), archive.size() - at);
    std::memcpy(buffer.data(), archive.data() + at, part);
    at += part;
    return part;
  };
  MemoryFileSystem::Options options;
  options.clock = std::make_shared<calf::os::SystemClock>();
  options.limit_bytes = 64 * 1024 * 1024;
  auto target = MemoryFileSystem::create(options);
  (void)read_tar(source, **target, {"postmaster.pid"});
  return 0;
}
