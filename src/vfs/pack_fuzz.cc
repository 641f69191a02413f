// Any bytes are either a pack, all of which can be looked at, or refused.
#include "vfs/pack.h"
#include "vfs/pack_format.h"

namespace {

using calf::vfs::pack_format::Header;

// With the index's checksum as it should be, or few inputs would come further than to it.
std::string with_checksum(const uint8_t* data, size_t size) {
  std::string blob(reinterpret_cast<const char*>(data), size);
  if (size < sizeof(Header)) return blob;
  auto header = calf::vfs::pack_format::read_record<Header>(blob.data());
  if (header.index_offset > size || header.index_size > size - header.index_offset) return blob;
  header.index_checksum = XXH3_64bits(blob.data() + header.index_offset, header.index_size);
  std::memcpy(blob.data(), &header, sizeof header);
  return blob;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calf::vfs;
  const std::string blob = with_checksum(data, size);
  auto pack = Pack::open(std::as_bytes(std::span(blob)));
  if (!pack) return 0;
  for (uint32_t i = 0; i < (*pack)->entry_count(); ++i) {
    const Pack::Entry entry = (*pack)->entry(i);
    if (entry.kind == FileKind::kDirectory) (void)(*pack)->find_child(entry, "a");
    if (entry.kind == FileKind::kRegular && entry.size_bytes < (1u << 20))
      (void)(*pack)->contents(i);
  }
  (void)(*pack)->with_read_contents_stored();
  return 0;
}
