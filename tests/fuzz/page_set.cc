// Page sets: whatever the bytes and the pieces they come in, decoding ends with pages that are
// inside the database, or with an error that says that the object is damaged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "archive/page_set.h"

using namespace calf;

static void require(bool condition) {
  if (!condition) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  archive::PageSetHeader header;
  archive::PageSetReader reader(
      "x",
      [&](const archive::PageSetHeader& found) -> Result<void> {
        header = found;
        return {};
      },
      [&](std::uint32_t number, std::string_view page) -> Result<void> {
        require(number > 0 && number <= header.database_pages && page.size() == header.page_size);
        return {};
      });
  for (std::size_t i = 0; i < bytes.size(); i += piece) {
    const auto fed = reader.feed(bytes.substr(i, piece));
    if (fed) continue;
    require(fed.error().code == ErrorCode::kDataCorrupted);
    return 0;
  }
  const auto finished = reader.finish();
  require(finished || finished.error().code == ErrorCode::kDataCorrupted);
  return 0;
}
