#include "net/socket_transport.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace calf::net {
namespace {

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
    transport = make_socket_transport(fds[0]);
    other = fds[1];
  }
  ~Pair() {
    if (other >= 0) ::close(other);
  }
  std::unique_ptr<Transport> transport;
  int other = -1;
};

TEST(SocketTransport, would_block_until_bytes_arrive) {
  Pair pair;
  std::array<std::byte, 8> buffer{};
  EXPECT_EQ(pair.transport->read_some(buffer).state, IoState::kWouldBlockRead);
  ASSERT_EQ(::write(pair.other, "abc", 3), 3);
  EXPECT_EQ(pair.transport->read_some(buffer).bytes, 3u);
  EXPECT_EQ(pair.transport->peer().kind, Address::Kind::kUnix);
  EXPECT_FALSE(pair.transport->is_tls());
}

TEST(SocketTransport, reports_end_of_stream_and_a_gone_peer) {
  Pair pair;
  EXPECT_FALSE(pair.transport->peer_has_closed());
  ::close(std::exchange(pair.other, -1));
  EXPECT_TRUE(pair.transport->peer_has_closed());
  std::array<std::byte, 8> buffer{};
  EXPECT_EQ(pair.transport->read_some(buffer).state, IoState::kEndOfStream);
}

TEST(SocketTransport, writing_to_a_gone_peer_is_an_error_without_a_signal) {
  Pair pair;
  ::close(std::exchange(pair.other, -1));
  const std::array<std::byte, 8> bytes{};
  const IoResult result = pair.transport->write_some(bytes);
  EXPECT_EQ(result.state, IoState::kError);
  EXPECT_EQ(result.system_errno, EPIPE);
}

TEST(SocketTransport, a_full_socket_would_block) {
  Pair pair;
  const std::array<std::byte, 4096> bytes{};
  IoResult result;
  for (int i = 0; i < 10000 && result.done(); ++i) result = pair.transport->write_some(bytes);
  EXPECT_EQ(result.state, IoState::kWouldBlockWrite);
}

TEST(Address, prints_for_people) {
  EXPECT_EQ((Address{Address::Kind::kIp4, "127.0.0.1", 5432}.to_string()), "127.0.0.1:5432");
  EXPECT_EQ((Address{Address::Kind::kIp6, "::1", 5432}.to_string()), "[::1]:5432");
  EXPECT_EQ((Address{Address::Kind::kUnix, "/tmp/x", 0}.to_string()), "unix:/tmp/x");
  EXPECT_EQ(Address{}.to_string(), "in-process");
}

}  // namespace
}  // namespace calf::net
