// The checksum of WAL records and control files (pg_crc32c_sb8.c). The image computes it by tables,
// as WASM has no instruction for it; x86-64 processors since 2008 do.
#include <cstring>

#include "calf_anchors.h"
#include "postgres/process.h"

namespace {

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) u32 by_instruction(u32 crc, const std::byte* data, size_t size) {
  u64 state = crc;
  for (; size >= sizeof(u64); data += sizeof(u64), size -= sizeof(u64)) {
    u64 word;
    std::memcpy(&word, data, sizeof word);
    state = __builtin_ia32_crc32di(state, word);
  }
  crc = static_cast<u32>(state);
  for (; size > 0; ++data, --size) crc = __builtin_ia32_crc32qi(crc, static_cast<u8>(*data));
  return crc;
}

bool has_instruction() {
  static const bool has = __builtin_cpu_supports("sse4.2") != 0;
  return has;
}
#endif

}  // namespace

// `crc` is neither inverted before nor after, as in PostgreSQL's COMP_CRC32C().
extern "C" u32 pg_pg_comp_crc32c_sb8(u32 crc, u32 data, u32 size) {
#if defined(__x86_64__)
  if (has_instruction()) {
    return by_instruction(crc, calf::wasm::Guest::current().bytes(data, size).data(), size);
  }
#endif
  return pg_pg_comp_crc32c_sb8_original(crc, data, size);
}
