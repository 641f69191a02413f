#include "wasm/fresh_memory.h"

#include <algorithm>
#include <utility>

#include "os/backing_file.h"
#include "wasm/side_modules.h"

namespace calf::wasm {
namespace {

constexpr uint64_t kHostPage = 4096;

// The translator lays the image's data down as one segment of whole pages; what is behind them in
// the last page is zeros then, too.
bool is_whole_pages(const calf_data_segment& segment) {
  const uint8_t* end = segment.bytes + segment.size;
  const uint64_t rest = -reinterpret_cast<uintptr_t>(end) % kHostPage;
  return segment.address % kHostPage == 0 &&
         reinterpret_cast<uintptr_t>(segment.bytes) % kHostPage == 0 &&
         std::all_of(end, end + rest, [](uint8_t byte) { return byte == 0; });
}

std::shared_ptr<const MemoryImage> find_image_in_program() {
  if (calf_image.segment_count != 1 || !is_whole_pages(calf_image.segments[0])) return nullptr;
  const calf_data_segment& data = calf_image.segments[0];
  const auto file = os::find_backing_file(std::as_bytes(std::span(data.bytes, data.size)));
  if (!file || file->offset % kHostPage != 0) return nullptr;
  const auto size_bytes =
      static_cast<uint32_t>((data.size + kHostPage - 1) / kHostPage * kHostPage);
  return std::make_shared<const MemoryImage>(
      file->fd, file->owner,
      std::vector<MemoryImage::Extent>{
          {.address = data.address, .size_bytes = size_bytes, .offset = file->offset}},
      calf_image_initial_pages, std::span<const uint32_t, CALF_GLOBAL_SLOTS>(calf_image_globals));
}

}  // namespace

Result<FreshMemory> make_fresh_memory() {
  static const std::shared_ptr<const MemoryImage> image = find_image_in_program();
  if (image != nullptr) {
    CALF_TRY(auto memory, LinearMemory::fork(*image, {}));
    return FreshMemory{.memory = std::move(memory), .image = image};
  }
  CALF_TRY(auto memory, LinearMemory::create(calf_image_initial_pages, calf_image_globals));
  write_segments(memory->base(), calf_image);
  return FreshMemory{.memory = std::move(memory), .image = nullptr};
}

}  // namespace calf::wasm
