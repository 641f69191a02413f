#include "node/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/engine_factory.h"
#include "node/embedded.h"
#include "os/clock.h"
#include "os/random.h"
#include "pgfiles/new_identity.h"
#include "vfs/branched_directory.h"
#include "vfs/whole_directory.h"

namespace calf::node {
namespace {

namespace fs = std::filesystem;
constexpr const char* kLockFile = "calf.lock";
constexpr const char* kVersionFile = "PG_VERSION";
constexpr const char* kVersion = "18";

std::string read_first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string owner_record() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const nlohmann::json record = {{"pid", getpid()},
                                 {"boot_id", read_first_line("/proc/sys/kernel/random/boot_id")},
                                 {"host", host},
                                 {"started_at", std::time(nullptr)}};
  return record.dump() + "\n";
}

// A field of the owner's record, which may hold anything.
template <typename T>
T field(const nlohmann::json& record, const char* name, T otherwise) {
  try {
    return record.value(name, otherwise);
  } catch (const nlohmann::json::exception&) {
    return otherwise;
  }
}

std::string describe_owner(int lock_fd) {
  char text[1024] = "";
  const ssize_t n = pread(lock_fd, text, sizeof text - 1, 0);
  const auto record = nlohmann::json::parse(n > 0 ? text : "", nullptr, false);
  const int pid = record.is_object() ? field(record, "pid", 0) : 0;
  if (pid == 0) return "another program";
  const auto since = field(record, "started_at", std::time_t{0});
  std::tm parts{};
  char time[64] = "?";
  if (gmtime_r(&since, &parts) != nullptr)
    std::strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return fmt::format("process {} on host {} (since {})", pid,
                     field(record, "host", std::string("?")), time);
}

Result<int> lock(const fs::path& directory) {
  const fs::path path = directory / kLockFile;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Error::from_errno("opening " + path.string(), errno));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const std::string owner = describe_owner(fd);
    close(fd);
    return fail(ErrorCode::kUnavailable,
                "data directory \"" + directory.string() + "\" is in use by " + owner,
                "stop that program first, or choose another directory");
  }
  const std::string record = owner_record();
  // For people only: the lock is what counts, so a failure to write the record is no obstacle.
  if (ftruncate(fd, 0) != 0 || pwrite(fd, record.data(), record.size(), 0) < 0) {
    log::warn("could not write the owner's record to {}", path.string());
  }
  return fd;
}

// Its server may start it at any time.
Result<void> refuse_branch(const fs::path& path) {
  const auto place = vfs::branch_at(path.string());
  if (!place) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "\"" + path.string() + "\" is branch \"" + place->name + "\" of \"" + place->directory + "\"",
      "start that, and connect to DATABASE@" + place->name + "; calf check \"" + place->directory +
          "\" --branch " + place->name + " verifies it");
}

Result<bool> needs_creation(const fs::path& path) {
  CALF_CHECK_OK(refuse_branch(path));
  std::error_code error;
  if (!fs::exists(path, error)) return true;
  if (!fs::is_directory(path, error)) {
    return fail(ErrorCode::kInvalidArgument, "\"" + path.string() + "\" is not a directory");
  }
  if (fs::exists(path / kVersionFile, error)) {
    const std::string version = read_first_line(path / kVersionFile);
    if (version == kVersion) return false;
    return fail(ErrorCode::kInvalidArgument,
                "\"" + path.string() + "\" holds a cluster of PostgreSQL " + version +
                    ", this is " + kVersion,
                "dump it with its own version and restore it here");
  }
  if (fs::is_empty(path, error) && !error) return true;
  return fail(ErrorCode::kInvalidArgument,
              "\"" + path.string() + "\" is not empty and holds no cluster",
              "choose an empty or new directory");
}

}  // namespace

Result<void> create_data_directory(const std::shared_ptr<os::Files>& files, const fs::path& path) {
  CALF_TRY(auto pack, template_pack());
  return vfs::create_directory_whole(
      files, path.string(), [&](const vfs::FreshDirectory& fresh) -> Result<void> {
        CALF_CHECK_OK(pack->unpack_to(fresh.path, {.subtree = "", .files = files.get()}));
        os::SystemRandom random;
        return pgfiles::give_new_identity(fresh.tree, os::SystemClock(), random);
      });
}

Result<DataDirectory::Opened> DataDirectory::open(const fs::path& path) {
  CALF_TRY(bool fresh, needs_creation(path));
  if (fresh) {
    auto created = create_data_directory(std::make_shared<os::SystemFiles>(), path);
    if (!created && created.error().code != ErrorCode::kAlreadyExists) return fail(created.error());
    fresh = created.has_value();
  }
  CALF_TRY(const int lock_fd, lock(path));
  return Opened{.directory = std::unique_ptr<DataDirectory>(new DataDirectory(path, lock_fd)),
                .created = fresh};
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::own(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path / kVersionFile, error))
    return fail(ErrorCode::kNotFound, "\"" + path.string() + "\" holds no cluster");
  CALF_CHECK_OK(needs_creation(path));
  CALF_TRY(const int lock_fd, lock(path));
  return std::unique_ptr<DataDirectory>(new DataDirectory(path, lock_fd));
}

DataDirectory::~DataDirectory() {
  close(lock_fd_);
}

}  // namespace calf::node

namespace calf::cli {

Result<std::unique_ptr<DirectoryOwner>> own_directory(const std::filesystem::path& path) {
  struct Owner final : DirectoryOwner {
    explicit Owner(std::unique_ptr<node::DataDirectory> held) : directory(std::move(held)) {}
    std::unique_ptr<node::DataDirectory> directory;
  };
  CALF_TRY(auto directory, node::DataDirectory::own(path));
  return std::make_unique<Owner>(std::move(directory));
}

}  // namespace calf::cli
