#include "net/memory_pipe.h"

#include <sys/eventfd.h>
#include <unistd.h>

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

  std::atomic<bool> engine_waits_for_bytes{false};
  std::atomic<bool> engine_waits_for_room{false};
  std::mutex wakeup_mutex;  // held while the wake-up runs, so that removing it waits for that
  std::function<void()> wakeup;

  std::atomic<int> clients_waiting{0};  // the reader, the writer
  std::mutex client_mutex;
  std::condition_variable client_ready;
  std::atomic<int> client_event{-1};        // eventfd, or -1
  std::atomic<bool> event_is_armed{false};  // it is unreadable, and to be written when bytes come

  ~Shared() {
    if (client_event >= 0) ::close(client_event);
  }

  void wake_engine(std::atomic<bool>& waits) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!waits.load(std::memory_order_relaxed) || !waits.exchange(false)) return;
    const std::lock_guard lock(wakeup_mutex);
    if (wakeup) wakeup();
  }

  void wake_client() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (event_is_armed.load(std::memory_order_relaxed) && event_is_armed.exchange(false)) {
      const std::uint64_t one = 1;
      (void)!::write(client_event, &one, sizeof one);
    }
    if (clients_waiting.load(std::memory_order_relaxed) == 0) return;
    const std::lock_guard lock(client_mutex);
    client_ready.notify_all();
  }
};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

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
    announce(shared_->engine_waits_for_bytes);
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
    announce(shared_->engine_waits_for_room);
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
  static void announce(std::atomic<bool>& waits) {
    waits.store(true, std::memory_order_relaxed);
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
      if (deadline != kNoDeadline && Clock::now() >= deadline) {
        return IoResult::of(IoState::kError, ETIMEDOUT);
      }
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
      wait(WaitFor::kWritable, deadline);
    }
    wake_engine();
    return IoResult::moved(written);
  }

  IoResult read_some(std::span<std::byte> buffer) override {
    if (buffer.empty()) return IoResult::moved(0);
    if (const std::size_t n = take(buffer)) return IoResult::moved(n);
    if (shared_->client_event >= 0) {
      arm_event();
      if (const std::size_t n = take(buffer)) return IoResult::moved(n);
    }
    if (!ended()) return IoResult::of(IoState::kWouldBlockRead);
    if (const std::size_t n = take(buffer))
      return IoResult::moved(n);  // written just before closing
    return IoResult::of(IoState::kEndOfStream);
  }

  IoResult write_some(std::span<const std::byte> bytes) override {
    if (ended()) return IoResult::of(IoState::kError, EPIPE);
    const std::size_t n = shared_->to_engine.push(bytes);
    if (n == 0 && !bytes.empty()) return IoResult::of(IoState::kWouldBlockWrite);
    engine_is_behind_.store(true, std::memory_order_relaxed);
    return IoResult::moved(n);
  }

  void wake_engine() override {
    if (!engine_is_behind_.exchange(false)) return;
    shared_->wake_engine(shared_->engine_waits_for_bytes);
  }

  void wait(WaitFor what, Clock::time_point deadline) override {
    const bool to_read = what != WaitFor::kWritable;
    const bool to_write = what != WaitFor::kReadable;
    wait_until(deadline, [this, to_read, to_write] {
      return (to_read && !shared_->to_client.empty()) || (to_write && !shared_->to_engine.full()) ||
             ended();
    });
  }

  void set_helper(Helper helper) override { helper_ = std::move(helper); }

  int descriptor() override {
    if (shared_->client_event < 0) {
      shared_->client_event = ::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    return shared_->client_event;
  }

  void watch(bool has_more) override {
    if (shared_->client_event < 0) return;
    arm_event();
    if (has_more || !shared_->to_client.empty()) shared_->wake_client();
  }

  void close() override {
    shared_->client_closed.store(true);
    shared_->wake_engine(shared_->engine_waits_for_room);
    shared_->wake_engine(shared_->engine_waits_for_bytes);
    shared_->wake_client();
  }

 private:
  std::size_t take(std::span<std::byte> buffer) {
    const std::size_t n = shared_->to_client.pop(buffer);
    if (n > 0) shared_->wake_engine(shared_->engine_waits_for_room);
    return n;
  }

  [[nodiscard]] bool ended() const {
    return shared_->engine_closed.load() || shared_->client_closed.load();
  }

  void arm_event() {
    if (!event_is_idle_.exchange(false) && !shared_->event_is_armed) {
      std::uint64_t count = 0;
      (void)!::read(shared_->client_event, &count, sizeof count);
    }
    shared_->event_is_armed.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (ended()) shared_->wake_client();
  }

  // While a thread waits, the event need not be written.
  void disarm_event() {
    if (shared_->client_event >= 0 && shared_->event_is_armed.exchange(false)) {
      event_is_idle_ = true;
    }
  }

  // The engine sees what was written as soon as it is at work, on this thread or on its own.
  template <typename Ready>
  void wait_until(Clock::time_point deadline, Ready ready) {
    disarm_event();
    const bool has_deadline = deadline != kNoDeadline;
    const auto done = [&] {
      wake_engine();
      return ready() || (has_deadline && Clock::now() >= deadline);
    };
    if (helper_ && helper_(done)) {
      if (ready()) return;
    } else {
      wake_engine();
      if (spin(ready, done)) return;
    }
    sleep_until(deadline, ready);
  }

  // True when it is ready, for this end or because the helper's turn has come.
  template <typename Ready, typename Done>
  bool spin(Ready ready, Done done) {
    static const bool alone = std::thread::hardware_concurrency() == 1;
    for (const auto end = Clock::now() + kSpin; !alone && Clock::now() < end; relax()) {
      if (ready()) return true;
      if (helper_ && helper_(done)) return ready();
    }
    return false;
  }

  template <typename Ready>
  void sleep_until(Clock::time_point deadline, Ready ready) {
    std::unique_lock lock(shared_->client_mutex);
    shared_->clients_waiting.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (deadline == kNoDeadline) {
      shared_->client_ready.wait(lock, ready);
    } else {
      shared_->client_ready.wait_until(lock, deadline, ready);
    }
    shared_->clients_waiting.fetch_sub(1, std::memory_order_relaxed);
  }

  const std::shared_ptr<Shared> shared_;
  Helper helper_;
  std::atomic<bool> engine_is_behind_{false};  // bytes were written that it was not told about
  std::atomic<bool> event_is_idle_{false};     // neither armed nor readable
};

}  // namespace

MemoryPipe MemoryPipe::create(std::size_t capacity_bytes) {
  const auto shared =
      std::make_shared<Shared>(std::bit_ceil(std::max(capacity_bytes, kLeastCapacityBytes)));
  return {.engine_end = std::make_unique<EngineEnd>(shared),
          .client_end = std::make_unique<ClientEnd>(shared)};
}

}  // namespace calf::net
