// WaitEventSetWait: where PostgreSQL's processes wait for latches, sockets and time
// (waiteventset.c).
#pragma once

#include <cstdint>

#include "postgres/process.h"

namespace calf::postgres {

// Waits until an event of the set has happened or `timeout_ms` is over (-1: for ever); fills `out`
// (an array of the guest's struct WaitEvent) and returns how many, 0 for a timeout. On the
// process's own stack.
uint32_t wait_for_events(Process& process, uint32_t set, int32_t timeout_ms, uint32_t out,
                         uint32_t max_events);

}  // namespace calf::postgres
