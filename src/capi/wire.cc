// calf_wire: a connection in raw bytes.
#include <cerrno>
#include <chrono>
#include <thread>

#include "capi/session_handle.h"
#include "client/wire_connection.h"

struct calf_wire {
  unsigned generation = 0;
  std::weak_ptr<calf::server::Engine> engine{};
  calf::client::WireConnection connection;
  // One thread each.
  std::atomic<bool> sending{false};
  std::atomic<bool> receiving{false};

  explicit calf_wire(const calf_cluster& cluster)
      : generation(cluster.generation), engine(cluster.engine), connection(*cluster.engine) {}
};

namespace calf::capi {
namespace {

// Holds one direction of the wire for one call.
class Direction {
 public:
  explicit Direction(std::atomic<bool>& taken)
      : taken_(taken), free_(!taken.exchange(true, std::memory_order_acquire)) {}
  ~Direction() {
    if (free_) taken_.store(false, std::memory_order_release);
  }
  Direction(const Direction&) = delete;
  Direction& operator=(const Direction&) = delete;
  [[nodiscard]] bool is_free() const { return free_; }

 private:
  std::atomic<bool>& taken_;
  const bool free_;
};

Answer<std::shared_ptr<server::Engine>> check(const calf_wire* wire) {
  if (wire == nullptr) return fail(CALF_ERROR_INVALID, "the wire is NULL");
  if (wire->generation != process_generation()) {
    return fail(CALF_ERROR_INVALID, "the wire belongs to the parent process");
  }
  auto engine = wire->engine.lock();
  if (engine == nullptr) return fail(CALF_ERROR_CLOSED, "the cluster is closed");
  return engine;
}

client::WireConnection::Clock::time_point deadline_of(int64_t timeout_ms) {
  return deadline_in(timeout_ms).value_or(net::PipeClient::kNoDeadline);
}

Answer<calf_status> moved(const net::IoResult& result, size_t* count) {
  if (count != nullptr) *count = result.bytes;
  if (result.done()) return CALF_OK;
  if (result.state == net::IoState::kEndOfStream) return CALF_DONE;
  if (result.system_errno == ETIMEDOUT) return fail(CALF_ERROR_TIMEOUT, "nothing moved in time");
  return fail(CALF_ERROR_CLOSED, "the backend has closed the connection");
}

void close(std::unique_ptr<calf_wire> wire) {
  wire->connection.close();
  while (wire->sending || wire->receiving) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace
}  // namespace calf::capi

using namespace calf::capi;

extern "C" {

calf_status calf_wire_open(calf_cluster* cluster, calf_wire** wire, calf_error** error) {
  if (wire != nullptr) *wire = nullptr;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_CHECK_OK(check(cluster));
    if (wire == nullptr) return fail(CALF_ERROR_INVALID, "there is no place for the wire");
    *wire = new calf_wire(*cluster);
    return CALF_OK;
  });
}

calf_status calf_wire_send(calf_wire* wire, const void* data, size_t size, int64_t timeout_ms,
                           size_t* sent, calf_error** error) {
  if (sent != nullptr) *sent = 0;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto engine, check(wire));
    if (data == nullptr && size != 0) return fail(CALF_ERROR_INVALID, "the data are NULL");
    const Direction direction(wire->sending);
    if (!direction.is_free()) return fail(CALF_ERROR_BUSY, "another thread is sending");
    const std::span bytes(static_cast<const std::byte*>(data), size);
    return moved(wire->connection.send(bytes, deadline_of(timeout_ms)), sent);
  });
}

calf_status calf_wire_receive(calf_wire* wire, void* data, size_t size, int64_t timeout_ms,
                              size_t* received, calf_error** error) {
  if (received != nullptr) *received = 0;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto engine, check(wire));
    if (data == nullptr || size == 0) {
      return fail(CALF_ERROR_INVALID, "there is no room for what is received");
    }
    const Direction direction(wire->receiving);
    if (!direction.is_free()) return fail(CALF_ERROR_BUSY, "another thread is receiving");
    const std::span buffer(static_cast<std::byte*>(data), size);
    return moved(wire->connection.receive(buffer, deadline_of(timeout_ms)), received);
  });
}

calf_status calf_wire_exchange(calf_wire* wire, const void* data, size_t size, size_t* sent,
                               void* buffer, size_t capacity, int64_t timeout_ms, size_t* received,
                               calf_error** error) {
  if (sent != nullptr) *sent = 0;
  if (received != nullptr) *received = 0;
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto engine, check(wire));
    if (data == nullptr && size != 0) return fail(CALF_ERROR_INVALID, "the data are NULL");
    if (buffer == nullptr || capacity == 0) {
      return fail(CALF_ERROR_INVALID, "there is no room for what is received");
    }
    const Direction out(wire->sending);
    const Direction in(wire->receiving);
    if (!out.is_free() || !in.is_free()) return fail(CALF_ERROR_BUSY, "the wire is in use");
    const std::span bytes(static_cast<const std::byte*>(data), size);
    const std::span room(static_cast<std::byte*>(buffer), capacity);
    std::size_t moved_out = 0;
    const auto got = wire->connection.exchange(bytes, moved_out, room, deadline_of(timeout_ms));
    if (sent != nullptr) *sent = moved_out;
    return moved(got, received);
  });
}

int calf_wire_descriptor(calf_wire* wire) {
  return wire == nullptr ? -1 : wire->connection.descriptor();
}

calf_status calf_wire_cancel(calf_wire* wire, calf_error** error) {
  return guarded(error, [&]() -> Answer<calf_status> {
    CAPI_TRY(const auto engine, check(wire));
    wire->connection.cancel();
    return CALF_OK;
  });
}

void calf_wire_close(calf_wire* wire) {
  if (wire == nullptr || wire->generation != process_generation()) return;
  close(std::unique_ptr<calf_wire>(wire));
}

}  // extern "C"
