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
#include "node/embedded.h"

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

std::string describe_owner(int lock_fd) {
  char text[1024] = "";
  const ssize_t n = pread(lock_fd, text, sizeof text - 1, 0);
  const auto record = nlohmann::json::parse(n > 0 ? text : "", nullptr, false);
  if (!record.is_object() || !record.contains("pid")) return "another program";
  return fmt::format("process {} on host {} (since {})", record.value("pid", 0),
                     record.value("host", "?"), record.value("started_at", 0));
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

Result<bool> needs_creation(const fs::path& path) {
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

void sync_directory(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

// Beside, then renamed: whoever looks finds a whole cluster or none.
Result<void> create(const fs::path& path) {
  const fs::path parent = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) return fail(Error::from_errno("creating " + parent.string(), error.value()));
  const fs::path fresh = parent / fmt::format(".{}.new-{}", path.filename().string(), getpid());
  fs::remove_all(fresh, error);
  CALF_TRY(auto pack, template_pack());
  CALF_CHECK_OK(pack->unpack_to(fresh.string(), {.subtree = "", .sync = true}));
  chmod(fresh.c_str(), 0700);
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    const int why = errno;
    fs::remove_all(fresh, error);
    return fail(Error::from_errno("creating data directory " + path.string(), why));
  }
  sync_directory(parent);
  return {};
}

}  // namespace

Result<DataDirectory::Opened> DataDirectory::open(const fs::path& path) {
  CALF_TRY(const bool fresh, needs_creation(path));
  if (fresh) CALF_CHECK_OK(create(path));
  CALF_TRY(const int lock_fd, lock(path));
  return Opened{.directory = std::unique_ptr<DataDirectory>(new DataDirectory(path, lock_fd)),
                .created = fresh};
}

DataDirectory::~DataDirectory() {
  close(lock_fd_);
}

}  // namespace calf::node
