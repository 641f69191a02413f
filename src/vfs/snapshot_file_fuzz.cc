// Any bytes are either a snapshot or refused. The first byte chooses what the rest is: a file as it
// is, or the stream inside of one, put into blocks with right checksums so that it is looked at.
#include <zstd.h>

#define XXH_INLINE_ALL  // no library to link
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "os/clock.h"
#include "vfs/memory_file_system.h"
#include "vfs/snapshot_file.h"
#include "vfs/snapshot_format.h"

namespace {

using namespace calf::vfs;
using namespace calf::vfs::snapshot_format;

template <typename Record>
void add(std::string& file, const Record& record) {
  file.append(reinterpret_cast<const char*>(&record), sizeof record);
}

std::string file_around(std::string_view stream) {
  Header header{.magic = {}, .version = kVersion};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.checksum = XXH3_64bits(&header, offsetof(Header, checksum));
  std::string file, compressed(ZSTD_compressBound(stream.size()), '\0');
  compressed.resize(
      ZSTD_compress(compressed.data(), compressed.size(), stream.data(), stream.size(), 1));
  add(file, header);
  add(file, BlockHeader{.compressed_size = static_cast<uint32_t>(compressed.size()),
                        .size = static_cast<uint32_t>(stream.size()),
                        .checksum = XXH3_64bits(compressed.data(), compressed.size())});
  file += compressed;
  add(file, BlockHeader{});
  add(file, Trailer{});
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string file(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 1) file = file_around(file);
  size_t at = 0;
  const SnapshotSource source = [&](std::span<std::byte> buffer) -> calf::Result<size_t> {
    const size_t part = std::min(buffer.size(), file.size() - at);
    std::memcpy(buffer.data(), file.data() + at, part);
    at += part;
    return part;
  };
  MemoryFileSystem::Options options;
  options.clock = std::make_shared<calf::os::SystemClock>();
  options.limit_bytes = 64 * 1024 * 1024;
  auto target = MemoryFileSystem::create(options);
  (void)read_snapshot_file(source, **target, {});
  return 0;
}
