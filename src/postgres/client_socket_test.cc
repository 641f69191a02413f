#include "postgres/client_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "net/socket_transport.h"

namespace calf::postgres {
namespace {

class ClientSocketTest : public testing::Test {
 protected:
  ClientSocketTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    client_ = ends[0];
    poller_ = std::move(Poller::create().value());
    socket_ = std::make_unique<ClientSocket>(
        ClientConnection{.transport = net::make_socket_transport(ends[1]), .startup_packet = {}});
    EXPECT_TRUE(socket_->attach(*poller_, socket_.get(), {}));
    EXPECT_EQ(read().size(), 4u);  // the length of an empty startup packet
    EXPECT_EQ(read(), "");
  }
  ~ClientSocketTest() override { close(client_); }

  void send(std::string_view bytes) {
    ASSERT_EQ(write(client_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // What the backend gets at once; "" when it would have to wait.
  std::string read() {
    std::byte buffer[100];
    const net::IoResult result = socket_->read(buffer);
    return {reinterpret_cast<const char*>(buffer), result.done() ? result.bytes : 0};
  }
  // Is something to be done because of what the poller reports?
  bool poll() {
    bool woken = false;
    poller_->poll(0,
                  [&](const Poller::Event& event) { woken = socket_->on_ready(event) || woken; });
    return woken;
  }

  int client_ = -1;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<ClientSocket> socket_;
};

TEST_F(ClientSocketTest, reads_what_the_poller_reports) {
  send("one");
  EXPECT_EQ(read(), "");  // not before the poller has said so
  EXPECT_TRUE(poll());
  EXPECT_EQ(read(), "one");
  EXPECT_EQ(read(), "");
}

TEST_F(ClientSocketTest, a_report_of_what_was_read_ahead_wakes_nobody) {
  EXPECT_FALSE(socket_->read_ahead());
  send("one");
  EXPECT_TRUE(socket_->read_ahead());
  EXPECT_EQ(read(), "one");
  EXPECT_FALSE(poll());
  EXPECT_FALSE(socket_->readable());
}

TEST_F(ClientSocketTest, what_comes_behind_bytes_that_were_read_ahead_is_not_lost) {
  send("one");
  EXPECT_TRUE(socket_->read_ahead());
  send("two");
  EXPECT_TRUE(poll());  // the only report of both
  EXPECT_EQ(read(), "one");
  EXPECT_TRUE(socket_->readable());
  EXPECT_EQ(read(), "two");
}

TEST_F(ClientSocketTest, the_end_comes_after_what_was_read_ahead) {
  send("one");
  EXPECT_TRUE(socket_->read_ahead());
  shutdown(client_, SHUT_RDWR);
  EXPECT_TRUE(poll());
  EXPECT_EQ(read(), "one");
  std::byte buffer[1];
  EXPECT_EQ(socket_->read(buffer).state, net::IoState::kEndOfStream);
}

}  // namespace
}  // namespace calf::postgres
