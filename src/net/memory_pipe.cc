#include "net/memory_pipe.h"

#include <bit>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/ring.h"

// How a wake-up cannot be lost: an end that finds nothing to do announces that it waits, passes a
// fence, and looks again; the other end moves bytes, passes a fence, and looks for the
// announcement. One of the two sees the other.

namespace calf::net {
namespace {

constexpr std::size_t kLeastCapacityBytes = 4096;
constexpr auto kSpin = std::chrono::microseconds(30);

struct Shared {
  explicit Shared(std::size_t capacity) : to_engine(capacity), to_client(capacity) {}

  Ring to_engine;
  Ring to_client;
  std::atomic<bool> client_closed{false};
  std::atomic<bool> engine_closed{false};

  std::atomic<bool> engine_waits{false};
  std::mutex wakeup_mutex;  // held while the wake-up runs, so that removing it waits for that
  std::function<void()> wakeup;

  std::atomic<bool> client_waits{false};
  std::mutex client_mutex;
  std::condition_variable client_ready;

  void wake_engine() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!engine_waits.load(std::memory_order_relaxed) || !engine_waits.exchange(false)) return;
    const std::lock_guard lock(wakeup_mutex);
    if (wakeup) wakeup();
  }

  void wake_client() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!client_waits.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(client_mutex);
    client_ready.notify_all();
  }
};

class EngineEnd final : public Transport {
 public:
  // shared_ptr: the two ends live on two threads, and either one may go first.
  explicit EngineEnd(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  ~EngineEnd() override {
    EngineEnd::set_wakeup({});
    EngineEnd::shutdown();
  }

  IoResult read_some(std::span<std::byte> buffer) override {
    if (buffer.empty()) return IoResult::moved(0);
    if (const std::size_t n = take(buffer)) return IoResult::moved(n);
    announce();
    if (const std::size_t n = take(buffer)) return IoResult::moved(n);
    if (!ended()) return IoResult::of(IoState::kWouldBlockRead);
    if (const std::size_t n = take(buffer))
      return IoResult::moved(n);  // written just before closing
    return IoResult::of(IoState::kEndOfStream);
  }

  IoResult write_some(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return IoResult::moved(0);
    if (ended()) return IoResult::of(IoState::kError, EPIPE);
    if (const std::size_t n = give(bytes)) return IoResult::moved(n);
    announce();
    if (const std::size_t n = give(bytes)) return IoResult::moved(n);
    if (ended()) return IoResult::of(IoState::kError, EPIPE);
    return IoResult::of(IoState::kWouldBlockWrite);
  }

  int descriptor() const override { return -1; }
  bool has_buffered_input() const override { return !shared_->to_engine.empty(); }
  bool peer_has_closed() const override { return shared_->client_closed.load(); }

  void set_wakeup(std::function<void()> wakeup) override {
    const std::lock_guard lock(shared_->wakeup_mutex);
    shared_->wakeup = std::move(wakeup);
  }

  const Address& peer() const override { return address_; }
  const Address& local() const override { return address_; }

  void shutdown() override {
    shared_->engine_closed.store(true);
    shared_->wake_client();
  }

 private:
  std::size_t take(std::span<std::byte> buffer) {
    const std::size_t n = shared_->to_engine.pop(buffer);
    if (n > 0) shared_->wake_client();
    return n;
  }
  std::size_t give(std::span<const std::byte> bytes) {
    const std::size_t n = shared_->to_client.push(bytes);
    if (n > 0) shared_->wake_client();
    return n;
  }
  void announce() {
    shared_->engine_waits.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  [[nodiscard]] bool ended() const {
    return shared_->client_closed.load() || shared_->engine_closed.load();
  }

  const std::shared_ptr<Shared> shared_;
  const Address address_{};
};

class ClientEnd final : public PipeClient {
 public:
  explicit ClientEnd(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  ~ClientEnd() override { ClientEnd::close(); }

  IoResult read(std::span<std::byte> buffer, Clock::time_point deadline) override {
    while (true) {
      const IoResult result = read_some(buffer);
      if (!result.would_block()) return result;
      if (Clock::now() >= deadline) return IoResult::of(IoState::kError, ETIMEDOUT);
      wait(WaitFor::kReadable, deadline);
    }
  }

  IoResult write(std::span<const std::byte> bytes, Clock::time_point deadline) override {
    std::size_t written = 0;
    while (written < bytes.size()) {
      const IoResult result = write_some(bytes.subspan(written));
      if (result.closed()) return result;
      written += result.bytes;
      if (result.done()) continue;
      if (Clock::now() >= deadline) return {IoState::kError, written, ETIMEDOUT};
      sleep_until(deadline, [this] { return !shared_->to_engine.full() || ended(); });
    }
    return IoResult::moved(written);
  }

  IoResult read_some(std::span<std::byte> buffer) override {
    if (buffer.empty()) return IoResult::moved(0);
    if (const std::size_t n = take(buffer)) return IoResult::moved(n);
    if (!ended()) return IoResult::of(IoState::kWouldBlockRead);
    if (const std::size_t n = take(buffer))
      return IoResult::moved(n);  // written just before closing
    return IoResult::of(IoState::kEndOfStream);
  }

  IoResult write_some(std::span<const std::byte> bytes) override {
    if (ended()) return IoResult::of(IoState::kError, EPIPE);
    const std::size_t n = shared_->to_engine.push(bytes);
    if (n == 0 && !bytes.empty()) return IoResult::of(IoState::kWouldBlockWrite);
    shared_->wake_engine();
    return IoResult::moved(n);
  }

  void wait(WaitFor what, Clock::time_point deadline) override {
    sleep_until(deadline, [this, what] {
      return !shared_->to_client.empty() || ended() ||
             (what == WaitFor::kReadableOrWritable && !shared_->to_engine.full());
    });
  }

  void close() override {
    shared_->client_closed.store(true);
    shared_->wake_engine();
    shared_->wake_client();
  }

 private:
  std::size_t take(std::span<std::byte> buffer) {
    const std::size_t n = shared_->to_client.pop(buffer);
    if (n > 0) shared_->wake_engine();
    return n;
  }

  [[nodiscard]] bool ended() const {
    return shared_->engine_closed.load() || shared_->client_closed.load();
  }

  template <typename Ready>
  void sleep_until(Clock::time_point deadline, Ready ready) {
    for (const auto spin_end = Clock::now() + kSpin; Clock::now() < spin_end;) {
      if (ready()) return;
    }
    std::unique_lock lock(shared_->client_mutex);
    shared_->client_waits.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (deadline == kNoDeadline) {
      shared_->client_ready.wait(lock, ready);
    } else {
      shared_->client_ready.wait_until(lock, deadline, ready);
    }
    shared_->client_waits.store(false, std::memory_order_relaxed);
  }

  const std::shared_ptr<Shared> shared_;
};

}  // namespace

MemoryPipe MemoryPipe::create(std::size_t capacity_bytes) {
  const auto shared =
      std::make_shared<Shared>(std::bit_ceil(std::max(capacity_bytes, kLeastCapacityBytes)));
  return {.engine_end = std::make_unique<EngineEnd>(shared),
          .client_end = std::make_unique<ClientEnd>(shared)};
}

}  // namespace calf::net
