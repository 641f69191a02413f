// The files of one guest process: its descriptors, working directory and umask, and what the
// image's file imports do.
//
// Two families of imports, two conventions: methods named fd_* are WASI's and return 0 or a
// positive error number; all others are Emscripten's `__syscall_*` and return a result >= 0 or a
// negative error number. Both use the guest's numbering (guest_errno.h). The caller has checked and
// translated guest pointers; nothing here touches linear memory except through the spans given.
// Structures are in guest_layout.h.
//
// Not here: sockets, and anything of PostgreSQL.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "os/clock.h"
#include "os/random.h"
#include "vfs/namespace.h"
#include "wasm/files/guest_layout.h"

namespace calf::wasm {

struct OpenDescription;  // an open file with its position; shared by descriptors and processes

// Where the guest's standard output (1) and standard error (2) go. Called with what one write had,
// on the cluster thread; must not call back into the process's files.
using OutputSink = std::function<void(int fd, std::string_view bytes)>;

class GuestFiles {
 public:
  struct Options {
    std::shared_ptr<vfs::Namespace> tree;  // required; shared by the processes of a cluster
    std::shared_ptr<const os::Clock> clock;
    std::shared_ptr<os::Random> random;
    std::string working_directory = "/";  // absolute and normal
    uint32_t umask = 022;
    uint32_t uid = 0;  // owner that stat reports for every file; the same as the guest's geteuid()
    uint32_t gid = 0;
    std::unique_ptr<vfs::File> standard_input;   // null: empty
    std::unique_ptr<vfs::File> standard_output;  // null: `sink`
    OutputSink sink;                             // may be empty: output is dropped
    std::vector<std::string> environment;        // "NAME=value"
    uint32_t max_descriptors = 4096;             // kTooManyOpenFiles above
  };

  explicit GuestFiles(Options options);
  ~GuestFiles();
  GuestFiles(const GuestFiles&) = delete;
  GuestFiles& operator=(const GuestFiles&) = delete;

  // The files of a new process as fork() leaves them: the same descriptors on the same open files
  // (positions shared), its own table, working directory and umask. Close-on-exec descriptors are
  // kept, for nothing is executed.
  [[nodiscard]] std::unique_ptr<GuestFiles> fork() const;

  // --- Descriptors as values, for snapshots. The standard streams (0, 1, 2) are not among them.
  struct Descriptor {
    enum class Kind : uint32_t { kNullDevice, kPipeReader, kPipeWriter };
    int fd = -1;
    Kind kind = Kind::kNullDevice;
    uint32_t pipe = 0;  // the same number for both ends
    int status_flags = 0;
    bool close_on_exec = false;
  };
  // kInternal when something else than pipes and /dev/null is open.
  [[nodiscard]] Result<std::vector<Descriptor>> describe() const;
  // Puts them into a table that has nothing but the standard streams; pipes are new and empty.
  Result<void> restore(std::span<const Descriptor> descriptors);

  // --- Opening, closing, copying descriptors
  int openat(int dir_fd, const char* path, int flags, uint32_t mode) noexcept;
  int fd_close(int fd) noexcept;
  int dup(int fd) noexcept;
  int dup3(int fd, int new_fd, int flags) noexcept;
  // `argument` is the first variadic argument as a value; for F_GETLK, F_SETLK and F_SETLKW `lock`
  // is the struct flock that it points to. Locks are always granted: one host process is the only
  // user of a cluster's files.
  int fcntl64(int fd, int command, int32_t argument, std::span<std::byte> lock) noexcept;
  int ioctl(int fd, int operation) noexcept;
  int pipe2(int& read_fd, int& write_fd, int flags) noexcept;
  // Puts a file of the host's making (a socket, say) at the lowest free descriptor.
  int install(std::unique_ptr<vfs::File> file, bool readable, bool writable) noexcept;

  // --- Contents. Never allocate.
  int fd_read(int fd, std::span<const iovec> buffers, uint32_t& count) noexcept;
  int fd_write(int fd, std::span<const iovec> buffers, uint32_t& count) noexcept;
  int fd_pread(int fd, std::span<const iovec> buffers, int64_t offset, uint32_t& count) noexcept;
  int fd_pwrite(int fd, std::span<const iovec> buffers, int64_t offset, uint32_t& count) noexcept;
  int fd_seek(int fd, int64_t offset, int whence, int64_t& position) noexcept;
  int ftruncate64(int fd, int64_t size) noexcept;
  int truncate64(const char* path, int64_t size) noexcept;
  int fallocate(int fd, int mode, int64_t offset, int64_t length) noexcept;
  int fadvise64(int fd, int64_t offset, int64_t length, int advice) noexcept;

  // --- Durability. The first two block. begin_sync is for a scheduler: it holds the file open, and
  // the caller calls file->sync(kind) elsewhere (nothing to do when file is null), then drops the
  // object.
  int fd_sync(int fd) noexcept;
  int fdatasync(int fd) noexcept;
  struct PendingSync {
    std::shared_ptr<OpenDescription>
        description;            // shared: the guest may close its descriptor meanwhile
    vfs::File* file = nullptr;  // the description's
    vfs::File::SyncKind kind = vfs::File::SyncKind::kAll;
  };
  os::Expected<PendingSync> begin_sync(int fd, vfs::File::SyncKind kind) noexcept;

  // --- Attributes. `out` is struct stat.
  using StatBuffer = std::span<std::byte, kGuestStatSize>;
  int fstat64(int fd, StatBuffer out) noexcept;
  int stat64(const char* path, StatBuffer out) noexcept;
  int lstat64(const char* path, StatBuffer out) noexcept;
  int newfstatat(int dir_fd, const char* path, StatBuffer out, int flags) noexcept;
  int faccessat(int dir_fd, const char* path, int mode, int flags) noexcept;
  int chmod(const char* path, uint32_t mode) noexcept;
  int fchmod(int fd, uint32_t mode) noexcept;
  int fchmodat2(int dir_fd, const char* path, uint32_t mode, int flags) noexcept;
  // Succeed when the file is there and change nothing: every file belongs to the guest's user.
  int fchownat(int dir_fd, const char* path, uint32_t uid, uint32_t gid, int flags) noexcept;
  int fchown32(int fd, uint32_t uid, uint32_t gid) noexcept;
  // `times` is two struct timespec, or empty for now.
  int utimensat(int dir_fd, const char* path, std::span<const std::byte> times, int flags) noexcept;
  int statfs64(const char* path, std::span<std::byte> out) noexcept;
  int fd_fdstat_get(int fd, std::span<std::byte, kGuestFdstatSize> out) noexcept;

  // --- Names
  int chdir(const char* path) noexcept;
  int getcwd(std::span<std::byte> out) noexcept;
  int mkdirat(int dir_fd, const char* path, uint32_t mode) noexcept;
  int rmdir(const char* path) noexcept;
  int unlinkat(int dir_fd, const char* path, int flags) noexcept;
  int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept;
  int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) noexcept;
  int symlinkat(const char* target, int dir_fd, const char* path) noexcept;
  int readlinkat(int dir_fd, const char* path, std::span<std::byte> out) noexcept;
  int getdents64(int fd, std::span<std::byte> out) noexcept;
  int umask(uint32_t mask) noexcept;

  // --- Mappings and waiting
  // What to mmap(MAP_SHARED) for a descriptor; its fd is valid while the descriptor is open.
  os::Expected<vfs::SharedMapping> map_shared(int fd, uint64_t offset, uint64_t length) noexcept;
  // poll's revents for one descriptor, at once: files are always ready, pipes when they have bytes
  // or room.
  int16_t poll(int fd, int16_t events) noexcept;

  // --- Not about files, but of the same kind
  [[nodiscard]] std::span<const std::string> environment() const { return environment_; }
  // clock: 0 realtime, 1 monotonic, 2 and 3 CPU time (answered with the monotonic clock).
  int clock_time_get(int clock, uint64_t& time_ns) noexcept;
  int random_get(std::span<std::byte> out) noexcept;

  // For the host: the file behind a descriptor, or null; and the working directory.
  [[nodiscard]] vfs::File* file(int fd) noexcept;
  [[nodiscard]] const std::string& working_directory() const { return working_directory_; }
  [[nodiscard]] uint32_t creation_mask() const { return umask_; }
  [[nodiscard]] size_t open_count() const;

 private:
  struct Slot {
    std::shared_ptr<OpenDescription> description;  // shared as dup() and fork() do; null: free
    bool close_on_exec = false;
  };

  GuestFiles() = default;
  OpenDescription* find(int fd) noexcept;
  os::Expected<int> add(std::shared_ptr<OpenDescription> description, int lowest,
                        bool close_on_exec);
  os::Expected<std::string_view> base_of(int dir_fd) noexcept;
  int stat_path(int dir_fd, const char* path, vfs::Follow follow, StatBuffer out) noexcept;
  int sync(int fd, vfs::File::SyncKind kind) noexcept;

  std::shared_ptr<vfs::Namespace> tree_;    // shared by the processes of a cluster
  std::shared_ptr<const os::Clock> clock_;  // likewise
  std::shared_ptr<os::Random> random_;      // likewise
  std::vector<Slot> slots_;
  std::string working_directory_;
  uint32_t umask_ = 022;
  uint32_t uid_ = 0;
  uint32_t gid_ = 0;
  uint32_t max_descriptors_ = 4096;
  std::vector<std::string> environment_;
};

}  // namespace calf::wasm
