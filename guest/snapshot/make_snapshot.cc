// calf-make-snapshot INSTALLATION TEMPLATE OUTPUT: boots the cluster of the pack TEMPLATE over the
// pack INSTALLATION of PostgreSQL's own files and writes its snapshot to OUTPUT. Part of the build.
#include "postgres/make_snapshot.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "os/clock.h"
#include "vfs/pack.h"

namespace calf {
namespace {

Result<std::string> read_input(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string blob(std::istreambuf_iterator<char>(file), {});
  if (!file) return fail(ErrorCode::kIo, "reading " + path.string() + " failed");
  return blob;
}

Result<std::shared_ptr<vfs::MemoryFileSystem>> in_memory(const std::string& blob, bool read_only) {
  CALF_TRY(auto pack, vfs::Pack::open(std::as_bytes(std::span(blob))));
  auto made = vfs::MemoryFileSystem::create({.clock = std::make_shared<os::SystemClock>(),
                                             .read_only = read_only,
                                             .pack = std::move(pack),
                                             .pack_subtree = ""});
  if (!made) return fail(os::to_error("making a file system in memory", made.error()));
  return std::shared_ptr<vfs::MemoryFileSystem>(std::move(*made));
}

Result<void> write_output(const std::filesystem::path& path, const std::string& blob) {
  // A build that is interrupted must not leave half a snapshot.
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

Result<void> make(char** arguments) {
  CALF_TRY(const std::string installation_blob, read_input(arguments[1]));
  CALF_TRY(const std::string template_blob, read_input(arguments[2]));
  CALF_TRY(auto installation, in_memory(installation_blob, true));
  CALF_TRY(auto data, in_memory(template_blob, false));
  CALF_TRY(const std::string snapshot,
           postgres::make_snapshot(std::move(installation), std::move(data)));
  return write_output(arguments[3], snapshot);
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
