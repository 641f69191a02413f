#include "postgres/host_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "os/thread_signals.h"

extern char** environ;

namespace calf::postgres {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;

// The descriptors of one start, closed with the object unless released.
struct Ends {
  int ours = -1;
  int its = -1;
  ~Ends() {
    if (ours >= 0) close(ours);
    if (its >= 0) close(its);
  }
};

// A shell of its own process group, with the signals of a fresh program and no descriptor of ours.
class Spawn {
 public:
  Spawn() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Spawn() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  Result<pid_t> run(const HostProgram::Options& options, int its_end) {
    using Stream = HostProgram::Stream;
    if (options.stream == Stream::kInput) {
      posix_spawn_file_actions_adddup2(&actions_, its_end, STDIN_FILENO);
    } else {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawn_file_actions_adddup2(
        &actions_, options.stream == Stream::kOutput ? its_end : STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawn_file_actions_addchdir_np(&actions_, options.directory.c_str());
    std::string shell = "sh";
    std::string flag = "-c";
    std::string text = options.command;
    char* arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
    pid_t pid = -1;
    const int error = posix_spawn(&pid, "/bin/sh", &actions_, &attributes_, arguments, environ);
    if (error != 0) return fail(Error::from_errno("starting /bin/sh", error));
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<std::unique_ptr<HostProgram>> HostProgram::start(Options options) {
  Ends stream;
  if (options.stream != Stream::kNone) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return fail(Error::from_errno("making a pipe", errno));
    const bool reads = options.stream == Stream::kOutput;
    stream.ours = ends[reads ? 0 : 1];
    stream.its = ends[reads ? 1 : 0];
    fcntl(stream.ours, F_SETFL, O_NONBLOCK);
  }
  Ends wake{.ours = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (wake.ours < 0) return fail(Error::from_errno("making an eventfd", errno));
  CALF_TRY(const pid_t pid, Spawn().run(options, stream.its));
  return std::unique_ptr<HostProgram>(new HostProgram(
      std::move(options), pid, std::exchange(stream.ours, -1), std::exchange(wake.ours, -1)));
}

HostProgram::HostProgram(Options options, pid_t pid, int stream_fd, int wake_fd)
    : options_(std::move(options)),
      pid_(pid),
      stream_fd_(stream_fd),
      wake_fd_(wake_fd),
      thread_([this] { run(); }) {}

HostProgram::~HostProgram() {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  signal(SIGKILL);
  wake();
  thread_.join();
  close(wake_fd_);
}

std::optional<size_t> HostProgram::read(std::span<std::byte> buffer) {
  std::lock_guard lock(mutex_);
  if (buffer_.empty() && !ended_) return std::nullopt;
  const size_t n = std::min(buffer.size(), buffer_.size());
  std::copy_n(buffer_.begin(), n, buffer.begin());
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(n));
  wake();
  return n;
}

std::optional<os::Expected<size_t>> HostProgram::write(std::span<const std::byte> bytes) {
  std::lock_guard lock(mutex_);
  if (ended_) return os::fail(os::Errno::kPipe);
  const size_t n = std::min(bytes.size(), kBufferBytes - buffer_.size());
  if (n == 0 && !bytes.empty()) return std::nullopt;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
  wake();
  return n;
}

void HostProgram::close_stream() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake();
}

std::optional<int> HostProgram::wait_status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void HostProgram::signal(int signal) {
  std::lock_guard lock(mutex_);
  if (!status_) kill(-pid_, signal);
}

void HostProgram::wake() {
  const uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

// --- The program's thread

void HostProgram::run() {
  os::block_signals_on_this_thread();  // SIGPIPE, too
  if (stream_fd_ >= 0) {
    carry();
    close(stream_fd_);
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  options_.on_moved();
  // Its pid stays its own until it is reaped, which signal() must not overlap with.
  siginfo_t end = {};
  while (waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    std::lock_guard lock(mutex_);
    int status = 0;
    waitpid(pid_, &status, 0);
    status_ = status;
  }
  options_.on_moved();
}

void HostProgram::carry() {
  const bool receives = options_.stream == Stream::kOutput;
  while (true) {
    bool wants = false;
    {
      std::lock_guard lock(mutex_);
      if (abandoned_ || ended_ || (closed_ && (receives || buffer_.empty()))) return;
      wants = receives ? buffer_.size() < kBufferBytes : !buffer_.empty();
    }
    pollfd ready[] = {{wants ? stream_fd_ : -1, static_cast<short>(receives ? POLLIN : POLLOUT), 0},
                      {wake_fd_, POLLIN, 0}};
    if (poll(ready, 2, -1) < 0) continue;
    uint64_t ignored = 0;
    if (ready[1].revents != 0) (void)!::read(wake_fd_, &ignored, sizeof ignored);
    if (ready[0].revents == 0) continue;
    if (receives) {
      receive();
    } else {
      send();
    }
    options_.on_moved();
  }
}

void HostProgram::receive() {
  std::byte chunk[32 * 1024];
  const ssize_t n = ::read(stream_fd_, chunk, sizeof chunk);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  std::lock_guard lock(mutex_);
  if (n > 0) {
    buffer_.insert(buffer_.end(), chunk, chunk + n);
  } else {
    ended_ = true;
  }
}

void HostProgram::send() {
  std::lock_guard lock(mutex_);
  const ssize_t n = ::write(stream_fd_, buffer_.data(), buffer_.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + n);
  } else {
    ended_ = true;
  }
}

}  // namespace calf::postgres
