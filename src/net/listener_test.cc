#include "net/listener.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

namespace calf::net {
namespace {

class UnixListener : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/calf-listener-XXXXXX";
    directory_ = ::mkdtemp(pattern);
    path_ = directory_ / ".s.PGSQL.5432";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  bool exists(const std::filesystem::path& path) const {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(UnixListener, is_private_and_cleans_up) {
  {
    const auto listener = listen_unix(path_, {.port = 5432, .data_directory = "/data"});
    ASSERT_TRUE(listener.has_value());
    struct stat info{};
    ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    std::ifstream lock(path_.string() + ".lock");
    std::string pid;
    std::getline(lock, pid);
    EXPECT_EQ(pid, std::to_string(::getpid()));
  }
  EXPECT_FALSE(exists(path_));
  EXPECT_FALSE(exists(path_.string() + ".lock"));
}

TEST_F(UnixListener, refuses_a_socket_that_somebody_listens_on) {
  const auto first = listen_unix(path_, {});
  ASSERT_TRUE(first.has_value());
  const auto second = listen_unix(path_, {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(exists(path_));
}

TEST_F(UnixListener, refuses_a_lock_whose_owner_is_alive) {
  std::ofstream(path_.string() + ".lock") << ::getppid() << "\n";
  EXPECT_EQ(listen_unix(path_, {}).error().code, ErrorCode::kAlreadyExists);
}

TEST_F(UnixListener, replaces_what_a_killed_server_left) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto listener = listen_unix(path_, {});
    ::_exit(listener ? 0 : 1);  // no destructor runs: the files stay
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(exists(path_) && exists(path_.string() + ".lock"));
  EXPECT_TRUE(listen_unix(path_, {}).has_value());
}

TEST_F(UnixListener, does_not_remove_a_file_that_is_no_socket) {
  std::ofstream(path_) << "precious";
  EXPECT_FALSE(listen_unix(path_, {}).has_value());
  EXPECT_TRUE(exists(path_));
  EXPECT_FALSE(exists(path_.string() + ".lock"));
}

TEST_F(UnixListener, refuses_paths_that_do_not_fit) {
  EXPECT_EQ(listen_unix(directory_ / std::string(120, 'x'), {}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(TcpListener, takes_a_free_port_and_refuses_a_used_one) {
  const auto listeners = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listeners.has_value());
  const std::uint16_t port = listeners->front().address().port;
  EXPECT_NE(port, 0);
  const auto second = listen_tcp("127.0.0.1", port);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
}

TEST(TcpListener, localhost_uses_one_port_for_all_its_addresses) {
  const auto listeners = listen_tcp("localhost", 0);
  ASSERT_TRUE(listeners.has_value());
  for (const Listener& listener : *listeners) {
    EXPECT_EQ(listener.address().port, listeners->front().address().port);
    EXPECT_TRUE(is_loopback(listener.address()));
  }
}

TEST(Loopback, knows_its_own) {
  using Kind = Address::Kind;
  EXPECT_TRUE(is_loopback({Kind::kIp4, "127.9.9.9", 1}));
  EXPECT_TRUE(is_loopback({Kind::kIp6, "::1", 1}));
  EXPECT_TRUE(is_loopback({Kind::kUnix, "", 0}));
  EXPECT_FALSE(is_loopback({Kind::kIp4, "0.0.0.0", 1}));
  EXPECT_FALSE(is_loopback({Kind::kIp4, "192.168.0.1", 1}));
  EXPECT_FALSE(is_loopback({Kind::kIp6, "::", 1}));
  EXPECT_EQ(resolve("no-such-host.invalid", 1).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace calf::net
