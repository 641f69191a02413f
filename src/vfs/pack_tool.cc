// calf-pack: makes packs at build time and looks into them.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "vfs/pack.h"
#include "vfs/tool_files.h"

namespace {

using calf::Result;
using calf::vfs::FileKind;
using calf::vfs::Pack;
using calf::vfs::PackBuilder;

Result<void> create(const std::string& directory, const std::string& out,
                    const PackBuilder::Options& options) {
  PackBuilder builder(options);
  CALF_CHECK_OK(builder.add_host_directory(directory, ""));
  CALF_TRY(std::string blob, std::move(builder).finish());
  return calf::vfs::write_tool_file(out, blob);
}

// The mapping lives until the process ends.
Result<std::shared_ptr<const Pack>> open_pack(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat stat{};
  if (fd < 0 || ::fstat(fd, &stat) != 0)
    return calf::fail(calf::Error::from_errno("opening " + path, errno));
  auto size = static_cast<size_t>(stat.st_size);
  void* bytes = ::mmap(nullptr, std::max<size_t>(size, 1), PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (bytes == MAP_FAILED) return calf::fail(calf::Error::from_errno("mapping " + path, errno));
  return Pack::open({static_cast<const std::byte*>(bytes), size});
}

void print(const Pack& pack, const Pack::Entry& directory, const std::string& prefix) {
  for (uint32_t i = directory.first; i < directory.first + directory.count; ++i) {
    const Pack::Entry entry = pack.entry(i);
    std::string path = prefix + std::string(entry.name);
    char kind = entry.kind == FileKind::kDirectory ? 'd'
                : entry.kind == FileKind::kSymlink ? 'l'
                                                   : '-';
    std::printf("%c %04o %10llu %s", kind, entry.permissions,
                static_cast<unsigned long long>(entry.size_bytes), path.c_str());
    if (kind == 'l') std::printf(" -> %s", std::string(entry.symlink_target).c_str());
    std::printf("\n");
    if (kind == 'd') print(pack, entry, path + "/");
  }
}

Result<void> list(const std::string& path) {
  CALF_TRY(auto pack, open_pack(path));
  print(*pack, pack->entry(Pack::kRoot), "");
  return {};
}

Result<void> extract(const std::string& path, const std::string& directory,
                     const std::string& subtree, bool sync) {
  CALF_TRY(auto pack, open_pack(path));
  return pack->unpack_to(directory, {.subtree = subtree, .sync = sync});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Makes packs (docs/formats/pack.md) and looks into them"};
  app.require_subcommand(1);
  std::string directory, pack, subtree;
  bool sync = false;
  PackBuilder::Options options;

  CLI::App* create_command = app.add_subcommand("create", "Pack a directory");
  create_command->add_option("DIRECTORY", directory)->required();
  create_command->add_option("OUT", pack)->required();
  create_command->add_option("--level", options.compression_level, "zstd level");
  create_command->add_option("--frame-size", options.frame_size_bytes, "bytes in one frame");
  CLI::App* list_command = app.add_subcommand("list", "List what is in a pack");
  list_command->add_option("PACK", pack)->required();
  CLI::App* extract_command = app.add_subcommand("extract", "Unpack into a new directory");
  extract_command->add_option("PACK", pack)->required();
  extract_command->add_option("DIRECTORY", directory)->required();
  extract_command->add_option("--subtree", subtree, "only this directory of the pack");
  extract_command->add_flag("--sync", sync, "wait until it is on the disk");
  CLI11_PARSE(app, argc, argv);

  Result<void> done;
  if (create_command->parsed()) done = create(directory, pack, options);
  if (list_command->parsed()) done = list(pack);
  if (extract_command->parsed()) done = extract(pack, directory, subtree, sync);
  if (done) return 0;
  std::cerr << "calf-pack: " << done.error().to_string() << "\n";
  return 1;
}
