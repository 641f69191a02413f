// calf-make-template INSTALLATION OUTPUT: runs initdb in memory over PostgreSQL's own files in the directory INSTALLATION
// (with bin, lib and share in it) and writes the new data directory's files to OUTPUT as a pack. Part of the build.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "initdb/initdb.h"
#include "os/clock.h"
#include "os/files.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"
#include "vfs/pack.h"

namespace calf {
namespace {

Result<void> write_output(const std::filesystem::path& path, const std::string& blob) {
  // A build that is interrupted must not leave half a pack.
  std::filesystem::path partial = path;
  partial += ".partial";
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(blob.data(), static_cast<std::streamsize>(blob.size()));
  file.close();
  if (!file) return fail(ErrorCode::kIo, "writing " + partial.string() + " failed");
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  if (error) return fail(Error::from_errno("renaming to " + path.string(), error.value()));
  return {};
}

Result<void> make_template(const std::string& installation_directory, const std::filesystem::path& output) {
  CALF_TRY(std::shared_ptr<vfs::FileSystem> installation,
           vfs::DirectoryFileSystem::open({.path = installation_directory,
                                           .files = std::make_shared<os::SystemFiles>(),
                                           .read_only = true}));
  auto memory = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>()});
  if (!memory) return fail(os::to_error("making a file system in memory", memory.error()));
  const std::shared_ptr<vfs::FileSystem> data = std::move(*memory);
  CALF_CHECK_OK(initdb::initialise(std::move(installation), data, {}));
  vfs::PackBuilder builder({});
  CALF_CHECK_OK(builder.add_tree(*data, "", ""));
  CALF_TRY(const std::string blob, std::move(builder).finish());
  return write_output(output, blob);
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
