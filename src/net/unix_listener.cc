#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include "net/listener.h"
#include "net/socket_transport.h"

namespace calf::net {
namespace {

constexpr int kBacklog = 1024;
constexpr mode_t kSocketMode = 0600;
constexpr int kLockAttempts = 10;  // another process may make and remove the file between our looks

tl::unexpected<Error> in_use(const std::filesystem::path& path, const std::string& who) {
  return fail(ErrorCode::kAlreadyExists, "the socket " + path.string() + " is in use" + who,
              "stop that server, or choose another directory or port");
}

// The pid in the first line of a lock file; 0 when there is none.
pid_t owner_of(const std::filesystem::path& lock_file) {
  const int fd = ::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return 0;
  char text[32] = {};
  const ssize_t size = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  pid_t pid = 0;
  if (size > 0) std::from_chars(text, text + size, pid);
  return pid > 0 ? pid : 0;
}

bool is_alive(pid_t pid) {
  return pid != 0 && pid != ::getpid() && (::kill(pid, 0) == 0 || errno == EPERM);
}

std::string lock_text(const std::filesystem::path& path, const UnixOptions& options) {
  return std::to_string(::getpid()) + "\n" + options.data_directory + "\n" +
         std::to_string(std::time(nullptr)) + "\n" + std::to_string(options.port) + "\n" +
         path.parent_path().string() + "\n";
}

Result<void> write_lock(int fd, const std::filesystem::path& lock_file, const std::string& text) {
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = written ? 0 : errno;
  ::close(fd);
  if (written) return {};
  ::unlink(lock_file.c_str());
  return fail(Error::from_errno("writing the lock file " + lock_file.string(), error));
}

// Makes the lock file, replacing one whose owner is gone.
Result<void> take_lock(const std::filesystem::path& path, const std::filesystem::path& lock_file,
                       const UnixOptions& options) {
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    const int fd = ::open(lock_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) return write_lock(fd, lock_file, lock_text(path, options));
    if (errno != EEXIST) {
      return fail(Error::from_errno("creating the lock file " + lock_file.string(), errno));
    }
    const pid_t owner = owner_of(lock_file);
    if (is_alive(owner)) return in_use(path, " by process " + std::to_string(owner));
    ::unlink(lock_file.c_str());
  }
  return in_use(path, "");
}

// Whether somebody answers at `path`. A socket file without a listener refuses.
bool somebody_listens(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool listens = connected == 0 || errno == EAGAIN;
  ::close(fd);
  return listens;
}

// Removes what an earlier server left; refuses to remove anything that is not a dead socket.
Result<void> clear_path(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return fail(ErrorCode::kAlreadyExists, path.string() + " exists and is not a socket");
  }
  if (somebody_listens(address)) return in_use(path, "");
  ::unlink(path.c_str());
  return {};
}

// fchmod on the unbound socket gives the file its mode from its first moment, without touching the
// process's umask.
Result<int> bind_unix(const std::filesystem::path& path, const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::fchmod(fd, kSocketMode) == 0 &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(fd, kBacklog) == 0) {
    return fd;
  }
  Error error = Error::from_errno("binding the socket " + path.string(), errno);
  if (fd >= 0) ::close(fd);
  return fail(std::move(error));
}

}  // namespace

Result<Listener> listen_unix(const std::filesystem::path& path, const UnixOptions& options) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string text = path.string();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kInvalidArgument,
                "the socket path " + text + " is longer than " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes",
                "choose a directory with a shorter name");
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  const std::filesystem::path lock_file = text + ".lock";
  CALF_CHECK_OK(take_lock(path, lock_file, options));
  auto descriptor = clear_path(path, address).and_then([&] { return bind_unix(path, address); });
  if (!descriptor) {
    ::unlink(lock_file.c_str());
    return fail(std::move(descriptor).error());
  }
  return Listener(*descriptor, {Address::Kind::kUnix, text, 0}, lock_file);
}

}  // namespace calf::net
