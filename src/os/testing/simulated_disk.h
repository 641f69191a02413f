// A disk in memory whose power can be cut: os::Files for tests of what survives.
//
// It keeps apart what programs see and what is on the disk for certain. fsync and fdatasync make a
// file's contents durable, and its name as well (as Linux's file systems do); fsync of a directory
// makes the names in it durable; syncfs everything. What was not synced when the power is cut is
// there or not, change by change, a write perhaps with some of its sectors only; names change in
// one step each, and never before what they depend on (a directory before what is in it).
//
// It also fails on command: calls on chosen files return errors, or write less than they were asked
// to.
//
// Not here: symbolic links (EPERM, as on file systems without them), mappings.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "os/testing/simulated_file.h"

namespace calf::os::testing {

enum class DiskCall { kOpen, kRead, kWrite, kSync, kAllocate, kTruncate, kNames };

// Calls that are to fail.
struct DiskFault {
  DiskCall call = DiskCall::kWrite;
  std::function<bool(std::string_view path)> where;  // "data/base/5/1259"; empty: everywhere
  Errno error = Errno::kIo;
  uint64_t skip = 0;            // this many go well first
  uint64_t times = UINT64_MAX;  // then so many fail
  // Instead of failing, a read or write that stops after so many bytes.
  std::optional<size_t> short_count{};
};

// Any thread. Paths given with AT_FDCWD start at the disk's root. Descriptors are this object's own
// numbers, beyond those of the operating system.
class SimulatedDisk final : public Files {
 public:
  SimulatedDisk();
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  // --- Power
  // The operation with this number (see operations()) and all later calls fail with EIO; what it
  // was to change counts as not synced.
  void cut_power_at(uint64_t operation);
  [[nodiscard]] bool is_cut() const;
  // How many operations have changed something or synced so far.
  [[nodiscard]] uint64_t operations() const;
  // A number that two runs share when they asked for the same operations in the same order.
  [[nodiscard]] uint64_t operations_digest() const;
  // A fresh disk with what a power cut at this moment leaves; the same seed leaves the same. A
  // copy, when everything is synced.
  [[nodiscard]] std::shared_ptr<SimulatedDisk> after_power_cut(uint64_t seed) const;

  // --- Faults. They last until cleared.
  void fail(DiskFault fault);
  void clear_faults();
  // From now on each sync takes so long, in which other calls go on.
  void slow_down_syncs(int64_t milliseconds) { sync_takes_ms_ = milliseconds; }
  // How many calls have failed or were cut short by faults.
  [[nodiscard]] uint64_t faults_met() const;

  Expected<int> open(int dir, const char* path, int flags, mode_t mode, Resolve resolve) override;
  void close(int fd) override;
  Expected<size_t> preadv(int fd, std::span<const iovec> buffers, uint64_t offset) override;
  Expected<size_t> pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) override;
  Expected<void> fsync(int fd) override;
  Expected<void> fdatasync(int fd) override;
  Expected<void> syncfs(int fd) override;
  Expected<void> fallocate(int fd, int mode, uint64_t offset, uint64_t length) override;
  Expected<void> ftruncate(int fd, uint64_t size) override;
  Expected<struct stat> fstat(int fd) override;
  Expected<struct stat> fstatat(int dir, const char* name, int flags) override;
  Expected<struct statfs> fstatfs(int fd) override;
  Expected<void> fchmod(int fd, mode_t mode) override;
  Expected<void> utimensat(int dir, const char* name, const timespec times[2], int flags) override;
  Expected<void> mkdirat(int dir, const char* name, mode_t mode) override;
  Expected<void> unlinkat(int dir, const char* name, int flags) override;
  Expected<void> renameat(int from_dir, const char* from, int to_dir, const char* to) override;
  Expected<void> linkat(int from_dir, const char* from, int to_dir, const char* to) override;
  Expected<void> symlinkat(const char* target, int dir, const char* name) override;
  Expected<size_t> readlinkat(int dir, const char* name, std::span<char> target) override;
  Expected<size_t> read_directory(int fd, uint64_t cookie, std::span<std::byte> records) override;

 private:
  // A name that now stands for `file`, or for nothing.
  struct NameEdit {
    FilePointer directory;
    std::string name;
    FilePointer file;
    FilePointer replaced;
  };
  using NameChange = std::vector<NameEdit>;  // in one step
  struct Handle {
    FilePointer file;
    std::string path;
    int flags = 0;
  };
  struct Place {
    FilePointer directory;
    std::string name;  // empty: the directory itself
    std::string path;  // of both, from the root
    [[nodiscard]] FilePointer file() const;
  };

  // All with mutex_ held.
  Expected<Place> resolve(int dir, std::string_view path, Resolve how) const;
  Expected<Handle*> handle(int fd);
  Expected<Handle*> writable(int fd);
  // Counts an operation and does what it changes. When the power is cut at this very operation it
  // is done, too, and fails.
  Expected<void> change(DiskCall call, const std::string& path, uint64_t detail,
                        const std::function<void()>& apply);
  Expected<void> check_power() const;
  // The fault that this call meets, if any; counts it.
  const DiskFault* meet_fault(DiskCall call, const std::string& path);
  // How much of `wanted` bytes a read or write gets; an error when it fails altogether.
  Expected<size_t> allowed(DiskCall call, const std::string& path, size_t wanted);
  Expected<void> sync_file(int fd);
  FilePointer make_file(mode_t mode);
  void change_names(NameChange edits);
  // Makes the unsynced changes of names that `wanted` picks durable, and what those depend on.
  void make_names_durable(const std::function<bool(const NameChange&)>& wanted);
  [[nodiscard]] static std::vector<bool> with_dependencies(const std::vector<NameChange>& changes,
                                                           std::vector<bool> wanted);
  static void apply_durably(const NameChange& edits);

  mutable std::mutex mutex_;
  FilePointer root_;
  std::unordered_map<int, Handle> handles_;
  int next_fd_;
  uint64_t next_inode_ = 1;
  std::vector<NameChange> unsynced_names_;
  uint64_t operations_ = 0;
  uint64_t digest_ = 0;
  uint64_t cut_at_ = UINT64_MAX;
  std::vector<DiskFault> faults_;
  uint64_t faults_met_ = 0;
  std::atomic<int64_t> sync_takes_ms_{0};
};

}  // namespace calf::os::testing
