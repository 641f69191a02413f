#include "postgres/wait_event_set.h"

#include "postgres/kernel.h"

namespace calf::postgres {
namespace {

// struct WaitEventSet: nevents 4, events 12 (pointer), latch 16 (pointer), latch_pos 20.
constexpr u32 kSetCount = 4;
constexpr u32 kSetEvents = 12;
constexpr u32 kSetLatch = 16;
// struct WaitEvent: pos 0, events 4, fd 8, user_data 12.
constexpr u32 kEventBytes = 16;
constexpr u32 kEventPos = 0;
constexpr u32 kEventEvents = 4;
constexpr u32 kEventFd = 8;
constexpr u32 kEventUserData = 12;
// struct Latch: is_set 0, maybe_sleeping 4.
constexpr u32 kLatchIsSet = 0;
constexpr u32 kLatchMaybeSleeping = 4;
// waiteventset.h
constexpr u32 kLatchSet = 1 << 0;
constexpr u32 kSocketReadable = 1 << 1;
constexpr u32 kSocketWriteable = 1 << 2;
constexpr u32 kSocketClosed = 1 << 7;

// What has happened of `wanted` on the process's socket.
u32 socket_events(Process& process, u32 wanted) {
  if (process.is_postmaster()) {
    const bool accepts =
        (wanted & kSocketReadable) != 0 && process.kernel().has_pending_connection();
    return accepts ? kSocketReadable : 0;
  }
  ClientSocket* client = process.client();
  if (client == nullptr) return 0;
  u32 happened = 0;
  if ((wanted & kSocketReadable) != 0 && client->readable()) happened |= kSocketReadable;
  if ((wanted & kSocketWriteable) != 0 && client->writable()) happened |= kSocketWriteable;
  if ((wanted & kSocketClosed) != 0 && client->peer_has_closed()) happened |= kSocketClosed;
  return happened;
}

u32 collect(Process& process, u32 set, u32 out, u32 max_events) {
  const u32 count = process.load<u32>(set + kSetCount);
  const u32 events = process.load<u32>(set + kSetEvents);
  const u32 latch = process.load<u32>(set + kSetLatch);
  u32 found = 0;
  for (u32 i = 0; i < count && found < max_events; ++i) {
    const u32 event = events + i * kEventBytes;
    const u32 wanted = process.load<u32>(event + kEventEvents);
    u32 happened = 0;
    if ((wanted & kLatchSet) != 0) {
      if (latch != 0 && process.load<u32>(latch + kLatchIsSet) != 0) happened = kLatchSet;
    } else {
      happened = socket_events(process, wanted);
    }
    if (happened == 0) continue;
    const u32 at = out + found * kEventBytes;
    process.store(at + kEventPos, process.load<u32>(event + kEventPos));
    process.store(at + kEventEvents, happened);
    process.store(at + kEventFd,
                  happened == kLatchSet ? ~u32{0} : process.load<u32>(event + kEventFd));
    process.store(at + kEventUserData, process.load<u32>(event + kEventUserData));
    found += 1;
  }
  return found;
}

}  // namespace

uint32_t wait_for_events(Process& process, uint32_t set, int32_t timeout_ms, uint32_t out,
                         uint32_t max_events) {
  constexpr int64_t kMillisecondNs = 1'000'000;
  const int64_t deadline =
      timeout_ms < 0 ? Process::kNever : process.kernel().now_ns() + timeout_ms * kMillisecondNs;
  for (;;) {
    process.deliver_signals();
    const u32 found = collect(process, set, out, max_events);
    if (found > 0) return found;
    if (timeout_ms == 0 || (deadline != Process::kNever && process.kernel().now_ns() >= deadline))
      return 0;
    // SetLatch() by another process sends SIGURG only to sleepers. The set's latch can change in a
    // signal handler.
    const u32 latch = process.load<u32>(set + kSetLatch);
    if (latch != 0) process.store<u32>(latch + kLatchMaybeSleeping, 1);
    process.wait(deadline);
    if (latch != 0) process.store<u32>(latch + kLatchMaybeSleeping, 0);
  }
}

}  // namespace calf::postgres
