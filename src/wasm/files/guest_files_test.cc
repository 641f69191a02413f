#include "wasm/files/guest_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "vfs/device_file_system.h"
#include "vfs/directory_file_system.h"
#include "wasm/files/guest_flags.h"

namespace calf::wasm {
namespace {

using testing::UnorderedElementsAre;

constexpr int kCwd = guest::kAtWorkingDirectory;
constexpr int kWriteNew = 1 | guest::kOpenCreate;
constexpr int kReadWriteNew = 2 | guest::kOpenCreate;

// The suite runs with the cluster's data in memory and in a host directory.
class GuestFilesTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    auto clock = std::make_shared<os::SystemClock>();
    auto random = std::make_shared<os::SystemRandom>();
    auto tree = std::make_shared<vfs::Namespace>(clock);
    vfs::MemoryFileSystem::Options memory;
    memory.clock = clock;
    std::shared_ptr<vfs::FileSystem> share = std::move(*vfs::MemoryFileSystem::create(memory));
    ASSERT_TRUE(share->mkdir("bin", 0755));
    ASSERT_TRUE(share->open("bin/postgres",
                            {.access = vfs::Access::kWrite, .create = true, .permissions = 0755}));
    static_cast<vfs::MemoryFileSystem&>(*share).set_read_only(true);
    std::shared_ptr<vfs::FileSystem> data = std::move(*vfs::MemoryFileSystem::create(memory));
    if (GetParam()) {
      char pattern[] = "/tmp/calf-guest-XXXXXX";
      host_ = mkdtemp(pattern);
      data = std::move(*vfs::DirectoryFileSystem::open(
          {.path = host_, .files = std::make_shared<os::SystemFiles>()}));
    }
    ASSERT_TRUE(tree->mount("/pglite", share));
    ASSERT_TRUE(tree->mount("/pglite/data", data));
    ASSERT_TRUE(tree->mount("/tmp", std::shared_ptr<vfs::FileSystem>(
                                        std::move(*vfs::MemoryFileSystem::create(memory)))));
    ASSERT_TRUE(tree->mount("/dev", std::make_shared<vfs::DeviceFileSystem>(random)));
    GuestFiles::Options options;
    options.tree = tree;
    options.clock = clock;
    options.random = random;
    options.working_directory = "/pglite/data";
    options.umask = 077;
    options.uid = 123;
    options.gid = 456;
    options.sink = [this](int fd, std::string_view text) {
      output_ += std::to_string(fd) + ":" + std::string(text) + ";";
    };
    options.environment = {"PGDATA=/pglite/data"};
    options.max_descriptors = 20;
    files_ = std::make_unique<GuestFiles>(std::move(options));
  }
  void TearDown() override {
    files_.reset();
    if (!host_.empty()) std::system(("rm -rf " + host_).c_str());
  }

  int open(const char* path, int flags = 0, uint32_t mode = 0666) {
    return files_->openat(kCwd, path, flags, mode);
  }
  int write(int fd, std::string text) { return write(*files_, fd, std::move(text)); }
  static int write(GuestFiles& files, int fd, std::string text) {
    iovec v{text.data(), text.size()};
    uint32_t count = 0;
    int error = files.fd_write(fd, {&v, 1}, count);
    return error != 0 ? -error : static_cast<int>(count);
  }
  std::string read(int fd, size_t size) { return read(*files_, fd, size); }
  static std::string read(GuestFiles& files, int fd, size_t size) {
    std::string text(size, '?');
    iovec v{text.data(), text.size()};
    uint32_t count = 0;
    int error = files.fd_read(fd, {&v, 1}, count);
    if (error != 0) return "error " + std::to_string(error);
    text.resize(count);
    return text;
  }
  int make(const char* path, std::string text) {
    int fd = open(path, kWriteNew);
    write(fd, std::move(text));
    return files_->fd_close(fd);
  }
  template <typename T>
  static T field(const std::array<std::byte, kGuestStatSize>& stat, size_t offset) {
    T value;
    std::memcpy(&value, stat.data() + offset, sizeof value);
    return value;
  }

  std::string host_;
  std::string output_;
  std::unique_ptr<GuestFiles> files_;
};

TEST_P(GuestFilesTest, descriptors_are_the_lowest_free) {
  EXPECT_EQ(open("a", kWriteNew), 3);
  EXPECT_EQ(open("b", kWriteNew), 4);
  EXPECT_EQ(files_->fd_close(3), 0);
  EXPECT_EQ(files_->fd_close(3), 8);
  EXPECT_EQ(files_->dup(4), 3);
  EXPECT_EQ(files_->open_count(), 5u);
  EXPECT_EQ(files_->dup3(4, 7, 0), 7);
  EXPECT_EQ(files_->dup3(4, 4, 0), -28);
  EXPECT_EQ(files_->dup3(9, 5, 0), -8);
  EXPECT_EQ(files_->dup3(4, 20, 0), -8);
  EXPECT_EQ(files_->fcntl64(4, 0, 6, {}), 6);
  EXPECT_EQ(files_->fcntl64(4, 0, 6, {}), 8);
  EXPECT_EQ(files_->dup(-1), -8);
  EXPECT_EQ(files_->dup(1000), -8);
  while (files_->dup(4) >= 0) {
  }
  EXPECT_EQ(files_->dup(4), -33);
  EXPECT_EQ(open("c", kWriteNew), -33);
}

TEST_P(GuestFilesTest, reads_and_writes_move_the_position) {
  int fd = open("a", kReadWriteNew);
  EXPECT_EQ(write(fd, "hello"), 5);
  EXPECT_EQ(write(fd, " you"), 4);
  int64_t position = 0;
  EXPECT_EQ(files_->fd_seek(fd, 1, 0, position), 0);
  EXPECT_EQ(read(fd, 4), "ello");
  EXPECT_EQ(files_->fd_seek(fd, -2, 2, position), 0);
  EXPECT_EQ(position, 7);
  EXPECT_EQ(read(fd, 10), "ou");
  EXPECT_EQ(files_->fd_seek(fd, -1, 1, position), 0);
  EXPECT_EQ(position, 8);
  EXPECT_EQ(files_->fd_seek(fd, -10, 1, position), 28);
  EXPECT_EQ(files_->fd_seek(fd, 0, 5, position), 28);
  EXPECT_EQ(files_->fd_seek(99, 0, 0, position), 8);
}

TEST_P(GuestFilesTest, pread_and_pwrite_do_not) {
  int fd = open("a", kReadWriteNew);
  std::string text = "0123456789";
  iovec v{text.data(), 10};
  uint32_t count = 0;
  EXPECT_EQ(files_->fd_pwrite(fd, {&v, 1}, 5, count), 0);
  EXPECT_EQ(count, 10u);
  std::string buffer(4, '?');
  iovec b{buffer.data(), 4};
  EXPECT_EQ(files_->fd_pread(fd, {&b, 1}, 13, count), 0);
  EXPECT_EQ(buffer.substr(0, count), "89");
  EXPECT_EQ(files_->fd_pread(fd, {&b, 1}, -1, count), 28);
  EXPECT_EQ(files_->fd_pwrite(fd, {&v, 1}, -1, count), 28);
  EXPECT_EQ(read(fd, 3), std::string(3, '\0'));
  EXPECT_EQ(files_->fd_pread(0, {&b, 1}, 0, count), 70);
}

TEST_P(GuestFilesTest, a_descriptor_keeps_to_its_access) {
  make("a", "abc");
  int reader = open("a", 0), writer = open("a", 1);
  EXPECT_EQ(write(reader, "x"), -8);
  EXPECT_EQ(read(writer, 1), "error 8");
  EXPECT_EQ(files_->ftruncate64(reader, 0), -28);
  EXPECT_EQ(open("a", 3), -28);
}

TEST_P(GuestFilesTest, append_writes_at_the_end) {
  make("a", "abc");
  int fd = open("a", 1 | guest::kOpenAppend);
  EXPECT_EQ(write(fd, "def"), 3);
  int64_t position = 0;
  EXPECT_EQ(files_->fd_seek(fd, 0, 1, position), 0);
  EXPECT_EQ(position, 6);
  files_->fd_seek(fd, 0, 0, position);
  EXPECT_EQ(write(fd, "g"), 1);
  EXPECT_EQ(read(open("a"), 10), "abcdefg");
}

TEST_P(GuestFilesTest, copies_share_the_position_and_forks_share_files) {
  make("a", "0123456789");
  int fd = open("a");
  int copy = files_->dup(fd);
  EXPECT_EQ(read(fd, 2), "01");
  EXPECT_EQ(read(copy, 2), "23");
  auto child = files_->fork();
  EXPECT_EQ(read(*child, fd, 2), "45");
  EXPECT_EQ(read(fd, 2), "67");
  EXPECT_EQ(child->fd_close(fd), 0);
  EXPECT_EQ(read(fd, 2), "89");
  EXPECT_EQ(child->chdir("/tmp"), 0);
  EXPECT_EQ(files_->working_directory(), "/pglite/data");
  EXPECT_EQ(static_cast<int>(child->umask(0)), 077);
  EXPECT_EQ(files_->umask(077), 077);
  EXPECT_EQ(child->openat(kCwd, "/pglite/data/a", 0, 0), fd);
}

TEST_P(GuestFilesTest, stat_is_encoded_with_owner_and_umask) {
  make("a", "abc");
  std::array<std::byte, kGuestStatSize> stat, other;
  EXPECT_EQ(files_->stat64("a", stat), 0);
  EXPECT_EQ(field<uint32_t>(stat, 4), 0100600u);
  EXPECT_EQ(field<uint32_t>(stat, 12), 123u);
  EXPECT_EQ(field<uint32_t>(stat, 16), 456u);
  EXPECT_EQ(field<uint64_t>(stat, 24), 3u);
  EXPECT_EQ(files_->stat64("none", stat), -44);
  EXPECT_EQ(files_->symlinkat("a", kCwd, "l"), 0);
  EXPECT_EQ(files_->lstat64("l", stat), 0);
  EXPECT_EQ(field<uint32_t>(stat, 4) & 0170000u, 0120000u);
  EXPECT_EQ(files_->newfstatat(kCwd, "l", other, 0), 0);
  EXPECT_EQ(field<uint64_t>(other, 24), 3u);
  EXPECT_EQ(files_->newfstatat(kCwd, "l", other, guest::kAtNoFollow), 0);
  EXPECT_EQ(field<uint64_t>(stat, 88), field<uint64_t>(other, 88));
  int fd = open("a");
  EXPECT_EQ(files_->fstat64(fd, stat), 0);
  EXPECT_EQ(files_->newfstatat(fd, "", other, guest::kAtEmptyPath), 0);
  EXPECT_EQ(stat, other);
  EXPECT_EQ(files_->newfstatat(kCwd, "", other, 0), -44);
  EXPECT_EQ(files_->fstat64(77, stat), -8);
}

TEST_P(GuestFilesTest, directories_are_listed_in_parts) {
  EXPECT_EQ(files_->mkdirat(kCwd, "d", 0777), 0);
  for (int i = 0; i < 100; ++i) make(("d/file" + std::to_string(i)).c_str(), "");
  int fd = open("d", guest::kOpenDirectory | guest::kOpenCloseOnExec);
  std::vector<std::string> names;
  std::array<std::byte, 200> buffer;
  int size = 0;
  while ((size = files_->getdents64(fd, buffer)) > 0) {
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      uint16_t length = 0;
      std::memcpy(&length, buffer.data() + at + 16, 2);
      names.emplace_back(reinterpret_cast<char*>(buffer.data() + at + 19));
      at += length;
    }
  }
  EXPECT_EQ(size, 0);
  EXPECT_EQ(names.size(), 102u);
  EXPECT_EQ(files_->getdents64(fd, std::span(buffer).first(0)), 0);  // at the end
  int64_t position = 0;
  EXPECT_EQ(files_->fd_seek(fd, 0, 0, position), 0);
  EXPECT_EQ(files_->getdents64(fd, std::span(buffer).first(8)), -28);
  EXPECT_GT(files_->getdents64(fd, buffer), 0);
  EXPECT_EQ(files_->getdents64(open("d/file1"), buffer), -54);
  EXPECT_EQ(read(fd, 1), "error 31");
}

TEST_P(GuestFilesTest, relative_paths_start_at_the_directory_given) {
  EXPECT_EQ(files_->mkdirat(kCwd, "d", 0777), 0);
  make("d/f", "abc");
  int d = open("d", guest::kOpenDirectory);
  EXPECT_EQ(read(files_->openat(d, "f", 0, 0), 9), "abc");
  EXPECT_EQ(files_->mkdirat(d, "e", 0777), 0);
  EXPECT_EQ(files_->renameat(d, "f", kCwd, "g"), 0);
  EXPECT_EQ(files_->unlinkat(d, "e", 0), -31);
  EXPECT_EQ(files_->unlinkat(d, "e", guest::kAtRemoveDirectory), 0);
  EXPECT_EQ(files_->openat(99, "f", 0, 0), -8);
  EXPECT_EQ(files_->openat(open("g"), "f", 0, 0), -54);
  EXPECT_GE(files_->openat(99, "/pglite/data/g", 0, 0), 0);
}

TEST_P(GuestFilesTest, the_working_directory_moves) {
  std::array<std::byte, 32> buffer;
  EXPECT_EQ(files_->getcwd(buffer), 13);
  EXPECT_STREQ(reinterpret_cast<char*>(buffer.data()), "/pglite/data");
  EXPECT_EQ(files_->getcwd(std::span(buffer).first(12)), -68);
  EXPECT_EQ(files_->getcwd(std::span(buffer).first(0)), -28);
  EXPECT_EQ(files_->mkdirat(kCwd, "d", 0777), 0);
  EXPECT_EQ(files_->chdir("d/../d/."), 0);
  EXPECT_EQ(files_->working_directory(), "/pglite/data/d");
  make("f", "abc");
  EXPECT_EQ(files_->chdir("f"), -54);
  EXPECT_EQ(files_->chdir("none"), -44);
  EXPECT_EQ(files_->chdir(".."), 0);
  EXPECT_EQ(read(open("d/f"), 9), "abc");
}

TEST_P(GuestFilesTest, names_come_and_go) {
  make("a", "abc");
  EXPECT_EQ(files_->linkat(kCwd, "a", kCwd, "b", 0), 0);
  EXPECT_EQ(files_->symlinkat("b", kCwd, "l"), 0);
  EXPECT_EQ(files_->linkat(kCwd, "l", kCwd, "c", guest::kAtFollow), 0);
  EXPECT_EQ(read(open("c", guest::kOpenNoFollow), 9), "abc");
  std::array<std::byte, 1> small;
  EXPECT_EQ(files_->symlinkat("longer", kCwd, "l2"), 0);
  EXPECT_EQ(files_->readlinkat(kCwd, "l2", small), 1);
  EXPECT_EQ(small[0], std::byte{'l'});
  EXPECT_EQ(files_->readlinkat(kCwd, "a", small), -28);
  EXPECT_EQ(files_->renameat(kCwd, "a", kCwd, "/tmp/a"), -75);
  EXPECT_EQ(files_->unlinkat(kCwd, "a", 0), 0);
  EXPECT_EQ(files_->unlinkat(kCwd, "a", 0), -44);
  EXPECT_EQ(files_->unlinkat(kCwd, "b", 1), -28);
  EXPECT_EQ(files_->rmdir("b"), -54);
  EXPECT_EQ(open("l", guest::kOpenNoFollow), -32);
  EXPECT_EQ(open("b", kWriteNew | guest::kOpenExclusive), -20);
}

TEST_P(GuestFilesTest, access_knows_what_can_be_run_and_written) {
  make("a", "");
  EXPECT_EQ(files_->faccessat(kCwd, "a", 0, 0), 0);
  EXPECT_EQ(files_->faccessat(kCwd, "a", 6, 0), 0);
  EXPECT_EQ(files_->faccessat(kCwd, "a", 1, 0), -2);
  EXPECT_EQ(files_->faccessat(kCwd, "none", 0, 0), -44);
  EXPECT_EQ(files_->faccessat(kCwd, "a", 8, 0), -28);
  EXPECT_EQ(files_->faccessat(kCwd, "/pglite/bin/postgres", 5, 0), 0);
  EXPECT_EQ(files_->faccessat(kCwd, "/pglite/bin/postgres", 2, 0), -69);
  EXPECT_EQ(open("/pglite/bin/postgres", 1), -69);
}

TEST_P(GuestFilesTest, modes_owners_and_times_change) {
  make("a", "");
  int fd = open("a", 2);
  std::array<std::byte, kGuestStatSize> stat;
  EXPECT_EQ(files_->chmod("a", 0640), 0);
  EXPECT_EQ(files_->fstat64(fd, stat), 0);
  EXPECT_EQ(field<uint32_t>(stat, 4), 0100640u);
  EXPECT_EQ(files_->fchmod(fd, 0600), 0);
  EXPECT_EQ(files_->fchmodat2(kCwd, "a", 0644, 0), 0);
  EXPECT_EQ(files_->fchownat(kCwd, "a", 1, 1, 0), 0);
  EXPECT_EQ(files_->fchownat(kCwd, "none", 1, 1, 0), -44);
  EXPECT_EQ(files_->fchown32(fd, 1, 1), 0);
  std::array<std::byte, 32> times{};
  int64_t seconds = 1000;
  std::memcpy(times.data(), &seconds, 8);
  std::memcpy(times.data() + 16, &seconds, 8);
  EXPECT_EQ(files_->utimensat(kCwd, "a", times, 0), 0);
  EXPECT_EQ(files_->fstat64(fd, stat), 0);
  EXPECT_EQ(field<int64_t>(stat, 40), 1000);
  EXPECT_EQ(field<int64_t>(stat, 56), 1000);
  EXPECT_EQ(files_->utimensat(fd, "", {}, 0), 0);
  EXPECT_EQ(files_->fstat64(fd, stat), 0);
  EXPECT_GT(field<int64_t>(stat, 56), 1'600'000'000);
}

TEST_P(GuestFilesTest, sizes_change) {
  int fd = open("a", kReadWriteNew);
  EXPECT_EQ(files_->fallocate(fd, 0, 0, 10), 0);
  EXPECT_EQ(files_->fallocate(fd, 1, 0, 10), -138);
  EXPECT_EQ(files_->fallocate(fd, 0, -1, 10), -28);
  EXPECT_EQ(read(fd, 100).size(), 10u);
  EXPECT_EQ(files_->ftruncate64(fd, 5), 0);
  EXPECT_EQ(files_->ftruncate64(fd, -1), -28);
  EXPECT_EQ(files_->truncate64("a", 7), 0);
  EXPECT_EQ(files_->truncate64("none", 7), -44);
  EXPECT_EQ(files_->truncate64("/pglite/bin", 7), -31);
  int64_t position = 0;
  EXPECT_EQ(files_->fd_seek(fd, 0, 2, position), 0);
  EXPECT_EQ(position, 7);
  EXPECT_EQ(files_->fadvise64(fd, 0, 0, 3), 0);
}

TEST_P(GuestFilesTest, fcntl_reports_flags_and_grants_locks) {
  int fd = open("a", kReadWriteNew | guest::kOpenCloseOnExec | guest::kOpenTruncate);
  EXPECT_EQ(files_->fcntl64(fd, guest::kGetFd, 0, {}), 1);
  EXPECT_EQ(files_->fcntl64(fd, guest::kSetFd, 0, {}), 0);
  EXPECT_EQ(files_->fcntl64(fd, guest::kGetFd, 0, {}), 0);
  EXPECT_EQ(files_->fcntl64(fd, guest::kGetStatus, 0, {}), 2);
  EXPECT_EQ(files_->fcntl64(fd, guest::kSetStatus, guest::kOpenNonBlocking | 1, {}), 0);
  EXPECT_EQ(files_->fcntl64(fd, guest::kGetStatus, 0, {}), 2 | guest::kOpenNonBlocking);
  std::array<std::byte, kGuestFlockSize> lock{};
  EXPECT_EQ(files_->fcntl64(fd, guest::kSetLock, 0, lock), 0);
  EXPECT_EQ(files_->fcntl64(fd, guest::kGetLock, 0, lock), 0);
  EXPECT_EQ(lock[0], std::byte{2});
  EXPECT_EQ(files_->fcntl64(fd, 999, 0, {}), -28);
  EXPECT_EQ(files_->fcntl64(99, guest::kGetFd, 0, {}), -8);
  EXPECT_EQ(files_->ioctl(fd, 21505), -59);
  EXPECT_EQ(files_->ioctl(99, 21505), -8);
}

TEST_P(GuestFilesTest, pipes_carry_bytes_between_processes) {
  int in = 0, out = 0;
  ASSERT_EQ(files_->pipe2(in, out, guest::kOpenNonBlocking), 0);
  auto child = files_->fork();
  EXPECT_EQ(read(in, 5), "error 6");
  EXPECT_EQ(files_->poll(in, 1), 0);
  EXPECT_EQ(write(*child, out, "hello"), 5);
  EXPECT_EQ(files_->poll(in, 1), 1);
  EXPECT_EQ(files_->poll(out, 4), 4);
  EXPECT_EQ(read(in, 3), "hel");
  EXPECT_EQ(read(in, 3), "lo");
  // The ring goes round, and is bounded.
  std::string block(40'000, 'x');
  EXPECT_EQ(write(out, block), 40'000);
  EXPECT_EQ(write(out, block), 65'536 - 40'000);
  EXPECT_EQ(write(out, "x"), -6);
  EXPECT_EQ(read(in, 50'000), std::string(50'000, 'x'));
  EXPECT_EQ(write(out, block), 40'000);
  EXPECT_EQ(read(in, 100'000).size(), 55'536u);
  files_->fd_close(out);
  EXPECT_EQ(read(in, 1), "error 6");
  child->fd_close(out);
  EXPECT_EQ(read(in, 1), "");
  EXPECT_EQ(files_->poll(in, 1), 1 | guest::kPollHangUp);
  int64_t position = 0;
  EXPECT_EQ(files_->fd_seek(in, 0, 0, position), 70);
  EXPECT_EQ(files_->fadvise64(in, 0, 0, 0), -70);
}

TEST_P(GuestFilesTest, writing_to_a_pipe_without_a_reader_is_an_error) {
  int in = 0, out = 0;
  ASSERT_EQ(files_->pipe2(in, out, 0), 0);
  files_->fd_close(in);
  EXPECT_EQ(write(out, "x"), -64);
}

TEST_P(GuestFilesTest, standard_streams_are_empty_and_a_sink) {
  EXPECT_EQ(read(0, 10), "");
  EXPECT_EQ(write(1, "out"), 3);
  EXPECT_EQ(write(2, "error"), 5);
  EXPECT_EQ(output_, "1:out;2:error;");
  EXPECT_EQ(write(0, "x"), -8);
  EXPECT_EQ(read(1, 1), "error 8");
  std::array<std::byte, kGuestFdstatSize> fdstat;
  EXPECT_EQ(files_->fd_fdstat_get(1, fdstat), 0);
  EXPECT_EQ(fdstat[0], std::byte{2});
  EXPECT_EQ(files_->fd_fdstat_get(50, fdstat), 8);
  // Redirected, as freopen does.
  int fd = open("log", kWriteNew);
  EXPECT_EQ(files_->dup3(fd, 2, 0), 2);
  EXPECT_EQ(write(2, "to the file"), 11);
  EXPECT_EQ(read(open("log"), 99), "to the file");
}

TEST_P(GuestFilesTest, a_sync_can_be_run_elsewhere) {
  int fd = open("a", kWriteNew);
  EXPECT_EQ(write(fd, "abc"), 3);
  EXPECT_EQ(files_->fd_sync(fd), 0);
  EXPECT_EQ(files_->fdatasync(fd), 0);
  EXPECT_EQ(files_->fd_sync(99), 8);
  EXPECT_EQ(files_->fdatasync(99), -8);
  auto pending = files_->begin_sync(fd, vfs::File::SyncKind::kAll).value();
  files_->fd_close(fd);
  if (GetParam()) {
    EXPECT_TRUE(pending.file->sync(pending.kind));
  } else {
    EXPECT_EQ(pending.file, nullptr);
  }
}

TEST_P(GuestFilesTest, files_can_be_mapped) {
  int fd = open("a", kReadWriteNew);
  EXPECT_EQ(files_->ftruncate64(fd, 8192), 0);
  auto mapping = files_->map_shared(fd, 0, 8192).value();
  void* address = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, mapping.fd,
                       static_cast<off_t>(mapping.offset));
  ASSERT_NE(address, MAP_FAILED);
  static_cast<char*>(address)[0] = 'm';
  EXPECT_EQ(read(fd, 1), "m");
  munmap(address, 8192);
  EXPECT_EQ(files_->map_shared(99, 0, 1).error(), os::Errno::kBadFd);
}

TEST_P(GuestFilesTest, statfs_wants_a_whole_buffer) {
  std::array<std::byte, kGuestStatfsSize> out;
  EXPECT_EQ(files_->statfs64("/pglite/data", out), 0);
  EXPECT_EQ(files_->statfs64("none", out), -44);
  EXPECT_EQ(files_->statfs64("/pglite/data", std::span(out).first(80)), -28);
}

TEST_P(GuestFilesTest, clocks_and_randomness) {
  uint64_t time = 0;
  EXPECT_EQ(files_->clock_time_get(0, time), 0);
  EXPECT_GT(time, 1'600'000'000'000'000'000u);
  EXPECT_EQ(files_->clock_time_get(1, time), 0);
  EXPECT_EQ(files_->clock_time_get(4, time), 28);
  std::array<std::byte, 16> a{}, b{};
  EXPECT_EQ(files_->random_get(a), 0);
  EXPECT_NE(a, b);
  EXPECT_EQ(files_->environment().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Data, GuestFilesTest, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "directory" : "memory"; });

}  // namespace
}  // namespace calf::wasm
