// calf-make-template INSTALLATION OUTPUT: runs initdb in memory over the pack INSTALLATION of
// PostgreSQL's own files (bin, lib, share) and writes the new data directory's files to OUTPUT, a
// pack too. Part of the build.
#include <cstdio>
#include <filesystem>
#include <span>

#include "initdb/initdb.h"
#include "os/clock.h"
#include "vfs/memory_file_system.h"
#include "vfs/pack.h"
#include "vfs/tool_files.h"

namespace calf {
namespace {

Result<std::shared_ptr<vfs::FileSystem>> in_memory(std::shared_ptr<const vfs::Pack> pack) {
  vfs::MemoryFileSystem::Options options;
  options.clock = std::make_shared<os::SystemClock>();
  options.read_only = pack != nullptr;
  options.pack = std::move(pack);
  auto made = vfs::MemoryFileSystem::create(options);
  if (!made) return fail(os::to_error("making a file system in memory", made.error()));
  return std::shared_ptr<vfs::FileSystem>(std::move(*made));
}

Result<void> make_template(const std::filesystem::path& installation_pack,
                           const std::filesystem::path& output) {
  CALF_TRY(const std::string blob, vfs::read_tool_file(installation_pack));
  CALF_TRY(auto pack, vfs::Pack::open(std::as_bytes(std::span(blob))));
  CALF_TRY(auto installation, in_memory(std::move(pack)));
  CALF_TRY(const auto data, in_memory(nullptr));
  // One thread runs a cluster: its parallel workers would only take turns, each with a process to
  // start (docs/decisions/0013).
  initdb::Options options;
  options.settings = {{"max_parallel_workers_per_gather", "0"},
                      {"max_parallel_maintenance_workers", "0"}};
  CALF_CHECK_OK(initdb::initialise(std::move(installation), data, options));
  vfs::PackBuilder builder({});
  CALF_CHECK_OK(builder.add_tree(*data, "", ""));
  CALF_TRY(const std::string packed, std::move(builder).finish());
  return vfs::write_tool_file(output, packed);
}

}  // namespace
}  // namespace calf

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: calf-make-template INSTALLATION OUTPUT\n", stderr);
    return 2;
  }
  if (auto made = calf::make_template(argv[1], argv[2]); !made) {
    std::fprintf(stderr, "calf-make-template: %s\n", made.error().to_string().c_str());
    return 1;
  }
  return 0;
}
