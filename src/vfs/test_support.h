// What the tests of this module share: file systems of every kind to run one suite on, and short
// forms.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/branched_directory.h"
#include "vfs/directory_file_system.h"
#include "vfs/memory_file_system.h"
#include "vfs/pack.h"

namespace calf::vfs::test {

inline std::shared_ptr<const os::Clock> clock() {
  return std::make_shared<os::SystemClock>();
}

// A directory of the host that goes away with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "calf-vfs-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<MemoryFileSystem> memory(uint64_t limit_bytes = UINT64_MAX) {
  MemoryFileSystem::Options options;
  options.clock = clock();
  options.limit_bytes = limit_bytes;
  return std::move(*MemoryFileSystem::create(options));
}

inline std::unique_ptr<DirectoryFileSystem> directory(const std::string& path,
                                                      bool read_only = false) {
  return std::move(*DirectoryFileSystem::open(
      {.path = path, .files = std::make_shared<os::SystemFiles>(), .read_only = read_only}));
}

// Files where one called `blocks`, the one that was opened last, may have no room.
class FullBlocks : public os::SystemFiles {
 public:
  std::atomic<bool> full = false;
  os::Expected<int> open(int dir, const char* path, int flags, mode_t mode,
                         os::Resolve resolve) override {
    auto fd = SystemFiles::open(dir, path, flags, mode, resolve);
    if (fd && std::string_view(path) == "blocks") blocks_ = *fd;
    return fd;
  }
  os::Expected<size_t> pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) override {
    if (full && fd == blocks_) return os::fail(Errno::kNoSpace);
    return SystemFiles::pwritev(fd, buffers, offset);
  }

 private:
  int blocks_ = -1;
};

// Files of a program that may be killed: afterwards nothing of it reaches them.
class MortalFiles : public os::SystemFiles {
 public:
  std::atomic<bool> dead = false;
  os::Expected<size_t> pwritev(int fd, std::span<const iovec> buffers, uint64_t offset) override {
    if (dead) return os::fail(Errno::kIo);
    return SystemFiles::pwritev(fd, buffers, offset);
  }
  os::Expected<void> ftruncate(int fd, uint64_t size) override {
    if (dead) return os::fail(Errno::kIo);
    return SystemFiles::ftruncate(fd, size);
  }
  // The machine stays up.
  os::Expected<void> fsync(int /*fd*/) override { return {}; }
  os::Expected<void> fdatasync(int /*fd*/) override { return {}; }
};

// A directory whose branches are overlays, whatever the file system can do.
inline std::unique_ptr<BranchedDirectory> branched_directory(
    const std::string& path, std::shared_ptr<os::Files> files = std::make_shared<os::SystemFiles>(),
    const std::string& boot_id = "") {
  auto opened = BranchedDirectory::open({.path = path,
                                         .files = std::move(files),
                                         .clock = clock(),
                                         .sharing = BranchedDirectory::Sharing::kOverlay,
                                         .boot_id = boot_id});
  EXPECT_TRUE(opened) << opened.error().to_string();
  return std::move(*opened);
}

inline std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline void put(FileSystem& fs, std::string_view path, std::string_view text) {
  auto file = fs.open(path, {.access = Access::kWrite, .create = true, .truncate = true});
  ASSERT_TRUE(file) << path << ": errno " << static_cast<int>(file.error());
  ASSERT_EQ((*file)->pwrite(bytes(text), 0).value(), text.size());
}

inline std::string get(File& file) {
  std::string text(file.stat().value().size_bytes, '?');
  size_t size = file.pread(std::as_writable_bytes(std::span(text)), 0).value();
  text.resize(size);
  return text;
}

// The file's text, or "errno N".
inline std::string get(FileSystem& fs, std::string_view path) {
  auto file = fs.open(path, {});
  if (!file) return "errno " + std::to_string(static_cast<int>(file.error()));
  return get(**file);
}

inline std::vector<std::string> list(File& directory, uint64_t cookie = 0) {
  std::vector<std::string> names;
  (void)directory.read_directory(cookie, [&](const DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  return names;
}

template <typename T>
Errno error_of(const Expected<T>& result) {
  return result ? Errno{} : result.error();
}

}  // namespace calf::vfs::test
