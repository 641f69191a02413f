#include "postgres/guest_tree.h"

#include "os/random.h"
#include "vfs/device_file_system.h"
#include "vfs/memory_file_system.h"

namespace calf::postgres {
namespace {

Result<std::shared_ptr<vfs::FileSystem>> memory(std::shared_ptr<const os::Clock> clock) {
  auto made = vfs::MemoryFileSystem::create({.clock = std::move(clock)});
  if (!made)
    return fail(
        Error::from_errno("making a file system in memory", static_cast<int>(made.error())));
  return std::shared_ptr<vfs::FileSystem>(std::move(*made));
}

}  // namespace

Result<std::shared_ptr<vfs::Namespace>> make_guest_tree(
    std::shared_ptr<vfs::FileSystem> installation, std::shared_ptr<vfs::FileSystem> data,
    std::shared_ptr<const os::Clock> clock) {
  auto tree = std::make_shared<vfs::Namespace>(clock);
  CALF_TRY(auto shared_memory, memory(clock));
  CALF_TRY(auto temporary, memory(clock));
  auto devices = std::make_shared<vfs::DeviceFileSystem>(std::make_shared<os::SystemRandom>());
  const std::pair<const char*, std::shared_ptr<vfs::FileSystem>> mounts[] = {
      {"/pglite", std::move(installation)},
      {kGuestDataDirectory, std::move(data)},
      {"/dev", std::move(devices)},
      {"/dev/shm", std::move(shared_memory)},
      {"/tmp", std::move(temporary)}};
  for (const auto& [point, file_system] : mounts) {
    if (auto mounted = tree->mount(point, file_system); !mounted) {
      return fail(
          Error::from_errno(std::string("mounting ") + point, static_cast<int>(mounted.error())));
    }
  }
  constexpr std::string_view kTrust = "local all all trust\n";
  auto trust = tree->open("/", kTrustFile,
                          {.access = vfs::Access::kWrite, .create = true, .permissions = 0600});
  if (!trust)
    return fail(Error::from_errno("writing a guest file", static_cast<int>(trust.error())));
  if (auto written = (*trust)->pwrite(std::as_bytes(std::span(kTrust)), 0); !written) {
    return fail(Error::from_errno("writing a guest file", static_cast<int>(written.error())));
  }
  return tree;
}

std::vector<std::string> guest_environment() {
  return {"PGDATA=" + std::string(kGuestDataDirectory),
          "PGSYSCONFDIR=/pglite",
          "ICU_DATA=/pglite/icu",
          "HOME=/tmp",
          "USER=postgres",
          "LANG=C.UTF-8",
          "LC_ALL=C.UTF-8",
          "PATH=/pglite/bin",
          "TZ=UTC"};
}

// Ours differ from PostgreSQL's defaults only where the image lacks something.
std::vector<std::string> postmaster_arguments(
    const std::vector<std::pair<std::string, std::string>>& settings) {
  std::vector<std::string> arguments = {"/pglite/bin/postgres", "-D", kGuestDataDirectory};
  auto set = [&](const std::string& name, const std::string& value) {
    arguments.push_back("-c");
    arguments.push_back(name + "=" + value);
  };
  set("io_method", "sync");  // no worker processes for reads: the image has no threads to wait in
  // Synchronous reads use one handle at a time; the default would reserve 64 for each possible
  // process.
  set("io_max_concurrency", "4");
  for (const auto& [name, value] : settings) set(name, value);
  // The host listens; the guest's sockets are only what its postmaster waits on.
  set("listen_addresses", "127.0.0.1");
  set("unix_socket_directories", "");
  return arguments;
}

}  // namespace calf::postgres
