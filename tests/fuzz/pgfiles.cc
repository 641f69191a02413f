// The files of a cluster that `calf check` reads: whatever is in them, it ends and names only what
// is there.
#include <cstdint>
#include <cstdlib>

#include "os/clock.h"
#include "pgfiles/relation_files.h"
#include "vfs/memory_file_system.h"

using namespace calf;

static void require(bool condition) {
  if (!condition) std::abort();
}

static void put(vfs::FileSystem& data, const std::string& path, std::span<const std::byte> bytes) {
  auto file = data.open(path, {.access = vfs::Access::kWrite, .create = true});
  require(file && (*file)->pwrite(bytes, 0).value_or(SIZE_MAX) == bytes.size());
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(raw, size));
  const std::string_view text(reinterpret_cast<const char*>(raw), size);
  if (const auto named = pgfiles::parse_file_name(text)) require(named->file_number > 0);

  auto data = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>()}).value();
  for (const char* directory : {"global", "base", "base/5", "pg_tblspc"})
    require(data->mkdir(directory, 0700).has_value());
  put(*data, pgfiles::kControlFile, bytes);
  put(*data, "base/5/1259", bytes);
  put(*data, "base/5/1259_fsm.1", bytes);
  auto control = pgfiles::read_control_file(*data);
  if (!control) control = pgfiles::ControlFile{.data_checksums = true, .segment_pages = 2};
  require(control->segment_pages > 0);
  const auto files = pgfiles::list_relation_files(*data);
  require(files && files->size() == 2);
  const auto checked = pgfiles::check_pages(*data, *control, *files, [](uint64_t) { return true; });
  require(checked && checked->pages == 2 * (size / 8192));
  return 0;
}
