// Any bytes are either a pack, all of which can be looked at, or refused.
#include "vfs/pack.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace calf::vfs;
  auto pack = Pack::open(std::as_bytes(std::span(data, size)));
  if (!pack) return 0;
  for (uint32_t i = 0; i < (*pack)->entry_count(); ++i) {
    const Pack::Entry entry = (*pack)->entry(i);
    if (entry.kind == FileKind::kDirectory) (void)(*pack)->find_child(entry, "a");
    if (entry.kind == FileKind::kRegular) (void)(*pack)->contents(i);
  }
  return 0;
}
