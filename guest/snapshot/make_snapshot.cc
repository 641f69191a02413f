// calf-make-snapshot INSTALLATION TEMPLATE OUTPUT: boots the cluster of the pack TEMPLATE over the
// pack INSTALLATION of PostgreSQL's own files and writes its snapshot to OUTPUT. Part of the build.
#include "postgres/make_snapshot.h"

#include <cstdio>
#include <span>

#include "os/clock.h"
#include "vfs/pack.h"
#include "vfs/tool_files.h"

namespace calf {
namespace {

Result<std::shared_ptr<vfs::MemoryFileSystem>> in_memory(const std::string& blob, bool read_only) {
  CALF_TRY(auto pack, vfs::Pack::open(std::as_bytes(std::span(blob))));
  auto made = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>(),
                                             .read_only = read_only,
                                             .pack = std::move(pack),
                                             .pack_subtree = ""});
  if (!made) return fail(os::to_error("making a file system in memory", made.error()));
  return std::shared_ptr<vfs::MemoryFileSystem>(std::move(*made));
}

Result<void> make(char** arguments) {
  CALF_TRY(const std::string installation_blob, vfs::read_tool_file(arguments[1]));
  CALF_TRY(const std::string template_blob, vfs::read_tool_file(arguments[2]));
  CALF_TRY(auto installation, in_memory(installation_blob, true));
  CALF_TRY(auto data, in_memory(template_blob, false));
  CALF_TRY(const std::string snapshot,
           postgres::make_snapshot(std::move(installation), std::move(data)));
  return vfs::write_tool_file(arguments[3], snapshot);
}

}  // namespace
}  // namespace calf

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: calf-make-snapshot INSTALLATION TEMPLATE OUTPUT\n", stderr);
    return 2;
  }
  if (auto made = calf::make(argv); !made) {
    std::fprintf(stderr, "calf-make-snapshot: %s\n", made.error().to_string().c_str());
    return 1;
  }
  return 0;
}
