// Waiting for PostgreSQL's lightweight locks (lwlock.c). Processes are switched only where they
// wait, so such a lock is found taken only while its holder waits for the disk or sleeps; then the
// others must go on. Each function here waits until the image's own version will not have to.
#include "calf_anchors.h"
#include "postgres/kernel.h"

using calf::postgres::Process;

namespace {

// LWLock: state 4 (32 bits). Each lies in 128 bytes of its own.
constexpr u32 kLockState = 4;
constexpr u32 kLockBytes = 128;
constexpr u32 kHeldExclusively = 1 << 18;
constexpr u32 kHeld = (kHeldExclusively << 1) - 1;
constexpr u32 kExclusive = 0;  // LW_EXCLUSIVE
// lwlocklist.h
constexpr u32 kWalWriteLock = 8;
// WALInsertLockPadded: the lock, insertingAt 16. NUM_XLOGINSERT_LOCKS.
constexpr u32 kInsertingAt = 16;
constexpr u32 kInsertLocks = 8;
// XLogwrtResult: Write 0, Flush 8.
constexpr u32 kFlushed = 8;

u32 wal_write_lock(const Process& process) {
  return process.load<u32>(PG_ADDRESS_MainLWLockArray) + kWalWriteLock * kLockBytes;
}

bool can_take(const Process& process, u32 lock, u64 mode) {
  const u32 state = process.load<u32>(lock + kLockState);
  return (state & (mode == kExclusive ? kHeld : kHeldExclusively)) == 0;
}

// Has everybody finished inserting WAL before `upto`?
bool insertions_finished(const Process& process, u32 insert_locks, u64 upto) {
  for (u32 i = 0; i < kInsertLocks; ++i) {
    const u32 lock = insert_locks + i * kLockBytes;
    const bool held = (process.load<u32>(lock + kLockState) & kHeldExclusively) != 0;
    if (held && process.load<u64>(lock + kInsertingAt) < upto) return false;
  }
  return true;
}

// XLogFlush() takes WALWriteLock right after this without another chance to wait.
bool can_flush_after_insertions(const Process& process, u32 insert_locks, u64 upto) {
  return insertions_finished(process, insert_locks, upto) &&
         can_take(process, wal_write_lock(process), kExclusive);
}

}  // namespace

extern "C" {

u32 pg_LWLockAcquire(u32 lock, u32 mode) {
  Process& process = Process::current();
  if (!can_take(process, lock, mode)) [[unlikely]]
    process.wait_until({can_take, lock, mode});
  return pg_LWLockAcquire_original(lock, mode);
}

u64 pg_WaitXLogInsertionsToFinish(u64 upto) {
  Process& process = Process::current();
  const u32 insert_locks = process.load<u32>(PG_ADDRESS_WALInsertLocks);
  if (!can_flush_after_insertions(process, insert_locks, upto)) [[unlikely]] {
    process.wait_until({can_flush_after_insertions, insert_locks, upto});
  }
  return pg_WaitXLogInsertionsToFinish_original(upto);
}

void pg_XLogFlush(u64 record) {
  Process& process = Process::current();
  // While another process syncs WAL, many can gather here; the first one that goes on syncs for all
  // of them.
  const bool flushed = process.load<u64>(PG_ADDRESS_LogwrtResult + kFlushed) >= record;
  const u32 lock = wal_write_lock(process);
  if (!flushed && !can_take(process, lock, kExclusive))
    process.wait_until({can_take, lock, kExclusive});
  pg_XLogFlush_original(record);
}

}  // extern "C"
