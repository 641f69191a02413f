#include "net/memory_pipe.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace calf::net {
namespace {

using namespace std::chrono_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

PipeClient::Clock::time_point in(std::chrono::milliseconds time) {
  return PipeClient::Clock::now() + time;
}

// An engine that sends back what it reads, sleeping until it is woken: what a cluster's thread
// does.
class Echo {
 public:
  explicit Echo(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {
    transport_->set_wakeup([this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      ready_.notify_one();
    });
    thread_ = std::thread([this] { run(); });
  }
  ~Echo() { thread_.join(); }

 private:
  void run() {
    std::vector<std::byte> buffer(1000);
    while (true) {
      const IoResult got = transport_->read_some(buffer);
      if (got.closed()) return;
      if (got.would_block()) {
        sleep();
        continue;
      }
      auto rest = std::span<const std::byte>(buffer).first(got.bytes);
      while (!rest.empty()) {
        const IoResult sent = transport_->write_some(rest);
        if (sent.closed()) return;
        if (sent.would_block()) sleep();
        rest = rest.subspan(sent.bytes);
      }
    }
  }
  void sleep() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(ready_.wait_for(lock, 20s, [this] { return woken_; })) << "lost wake-up";
    woken_ = false;
  }

  std::unique_ptr<Transport> transport_;
  std::mutex mutex_;
  std::condition_variable ready_;
  bool woken_ = false;
  std::thread thread_;
};

TEST(MemoryPipe, carries_bytes_both_ways) {
  MemoryPipe pipe = MemoryPipe::create();
  EXPECT_EQ(pipe.engine_end->descriptor(), -1);
  EXPECT_EQ(pipe.engine_end->peer().kind, Address::Kind::kInProcess);
  std::array<std::byte, 16> buffer{};
  EXPECT_EQ(pipe.engine_end->read_some(buffer).state, IoState::kWouldBlockRead);
  EXPECT_TRUE(pipe.client_end->write(bytes_of("hello")).done());
  EXPECT_TRUE(pipe.engine_end->has_buffered_input());
  EXPECT_EQ(pipe.engine_end->read_some(buffer).bytes, 5u);
  EXPECT_EQ(pipe.engine_end->write_some(bytes_of("good")).bytes, 4u);
  EXPECT_EQ(pipe.client_end->read(buffer, in(1s)).bytes, 4u);
}

TEST(MemoryPipe, is_bounded_in_both_directions) {
  MemoryPipe pipe = MemoryPipe::create(4096);
  const std::vector<std::byte> much(10000);
  EXPECT_EQ(pipe.engine_end->write_some(much).bytes, 4096u);
  EXPECT_EQ(pipe.engine_end->write_some(much).state, IoState::kWouldBlockWrite);
  const IoResult sent = pipe.client_end->write(much, in(10ms));
  EXPECT_EQ(sent.state, IoState::kError);
  EXPECT_EQ(sent.system_errno, ETIMEDOUT);
  EXPECT_EQ(sent.bytes, 4096u);
}

TEST(MemoryPipe, a_read_gives_up_at_its_deadline) {
  MemoryPipe pipe = MemoryPipe::create();
  std::array<std::byte, 16> buffer{};
  const IoResult result = pipe.client_end->read(buffer, in(10ms));
  EXPECT_EQ(result.state, IoState::kError);
  EXPECT_EQ(result.system_errno, ETIMEDOUT);
}

TEST(MemoryPipe, each_end_sees_the_other_one_close_after_the_last_bytes) {
  MemoryPipe pipe = MemoryPipe::create();
  std::array<std::byte, 16> buffer{};
  EXPECT_TRUE(pipe.client_end->write(bytes_of("bye")).done());
  EXPECT_EQ(pipe.engine_end->write_some(bytes_of("bye")).bytes, 3u);
  pipe.engine_end->shutdown();
  EXPECT_EQ(pipe.client_end->read(buffer, in(1s)).bytes, 3u);
  EXPECT_EQ(pipe.client_end->read(buffer, in(1s)).state, IoState::kEndOfStream);
  EXPECT_EQ(pipe.client_end->write(bytes_of("x")).system_errno, EPIPE);

  MemoryPipe second = MemoryPipe::create();
  EXPECT_TRUE(second.client_end->write(bytes_of("bye")).done());
  second.client_end.reset();
  EXPECT_TRUE(second.engine_end->peer_has_closed());
  EXPECT_EQ(second.engine_end->read_some(buffer).bytes, 3u);
  EXPECT_EQ(second.engine_end->read_some(buffer).state, IoState::kEndOfStream);
  EXPECT_EQ(second.engine_end->write_some(bytes_of("x")).system_errno, EPIPE);
}

TEST(MemoryPipe, close_from_another_thread_ends_a_waiting_read) {
  MemoryPipe pipe = MemoryPipe::create();
  std::thread closer([&] {
    std::this_thread::sleep_for(20ms);
    pipe.client_end->close();
  });
  std::array<std::byte, 16> buffer{};
  EXPECT_EQ(pipe.client_end->read(buffer, in(20s)).state, IoState::kEndOfStream);
  closer.join();
}

TEST(MemoryPipe, loses_no_wake_up_in_many_small_exchanges) {
  MemoryPipe pipe = MemoryPipe::create(4096);
  const Echo echo(std::move(pipe.engine_end));
  for (int i = 0; i < 20000; ++i) {
    const std::string sent(1 + i % 50, static_cast<char>(i));
    ASSERT_TRUE(pipe.client_end->write(bytes_of(sent), in(20s)).done());
    std::string got(sent.size(), '\0');
    for (std::size_t at = 0; at < got.size();) {
      const IoResult result =
          pipe.client_end->read(std::as_writable_bytes(std::span(got)).subspan(at), in(20s));
      ASSERT_TRUE(result.done());
      at += result.bytes;
    }
    ASSERT_EQ(got, sent);
  }
  pipe.client_end.reset();
}

TEST(MemoryPipe, back_pressure_moves_much_more_than_it_holds) {
  MemoryPipe pipe = MemoryPipe::create(4096);
  const Echo echo(std::move(pipe.engine_end));
  constexpr std::size_t kTotal = 8 << 20;
  std::size_t sent = 0;
  std::size_t got = 0;
  std::vector<std::byte> chunk(3000);
  std::vector<std::byte> buffer(5000);
  while (got < kTotal) {
    for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = std::byte((sent + i) % 251);
    const auto rest = std::span(chunk).first(std::min(chunk.size(), kTotal - sent));
    if (!rest.empty()) sent += pipe.client_end->write_some(rest).bytes;
    const IoResult result = pipe.client_end->read_some(buffer);
    for (std::size_t i = 0; i < result.bytes; ++i) {
      ASSERT_EQ(buffer[i], std::byte((got + i) % 251));
    }
    got += result.bytes;
    if (result.would_block()) {
      pipe.client_end->wait(
          sent < kTotal ? PipeClient::WaitFor::kReadableOrWritable : PipeClient::WaitFor::kReadable,
          in(20s));
    }
  }
  pipe.client_end.reset();
}

}  // namespace
}  // namespace calf::net
