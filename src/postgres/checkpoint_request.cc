// RequestCheckpoint(): asks the checkpointer and waits for it, as checkpointer.c does. The image's
// own version makes the checkpoint in the calling process, which cannot work where processes share
// buffers. And XLogWrite() asking for one when enough WAL has been written, which the image has
// lost.
#include <cstring>

#include "calf_anchors.h"
#include "postgres/kernel.h"

using calf::postgres::Process;

extern "C" {
void pg_ConditionVariablePrepareToSleep(u32 variable);
void pg_ConditionVariableSleep(u32 variable, u32 wait_event_info);
u32 pg_ConditionVariableCancelSleep(void);
u32 pg_errstart(u32 level, u32 domain);
u32 pg_errmsg(u32 format, u32 varargs);
u32 pg_errhint(u32 format, u32 varargs);
void pg_errfinish(u32 file, u32 line, u32 function);
u32 pg__emscripten_stack_alloc(u32 size);
}

namespace {

// CheckpointerShmemStruct: ckpt_started 8, ckpt_done 12, ckpt_failed 16, ckpt_flags 20, start_cv
// 24, done_cv 36.
constexpr u32 kStarted = 8;
constexpr u32 kDone = 12;
constexpr u32 kFailed = 16;
constexpr u32 kFlags = 20;
constexpr u32 kStartVariable = 24;
constexpr u32 kDoneVariable = 36;
// PROC_HDR: allProcs 0, checkpointerProc 64. PGPROC: 640 bytes, procLatch 20.
constexpr u32 kAllProcs = 0;
constexpr u32 kCheckpointerProc = 64;
constexpr u32 kProcBytes = 640;
constexpr u32 kProcLatch = 20;
constexpr u32 kInvalidProcNumber = 0xffffffffu;
// xlog.h
constexpr u32 kCheckpointWait = 0x0020;
constexpr u32 kCheckpointRequested = 0x0040;
// wait_event_types.h: the IPC class, and the events' places in it
constexpr u32 kWaitCheckpointDone = 0x08000000 + 11;
constexpr u32 kWaitCheckpointStart = 0x08000000 + 12;

u32 guest_text(Process& process, const char* text) {
  const u32 at = pg__emscripten_stack_alloc(static_cast<u32>(std::strlen(text)) + 1);
  std::strcpy(reinterpret_cast<char*>(process.base() + at), text);
  return at;
}

// CheckPointSegments of xlog.c (CalculateCheckpointSegments).
u64 checkpoint_segments(Process& process) {
  constexpr double kMegabyte = 1024 * 1024;
  const double segment_mb = process.load<u32>(PG_ADDRESS_wal_segment_size) / kMegabyte;
  const double target = process.load<s32>(PG_ADDRESS_max_wal_size_mb) / segment_mb /
                        (1.0 + process.load<f64>(PG_ADDRESS_CheckPointCompletionTarget));
  return target < 1 ? 1 : static_cast<u64>(target);
}

u64 written_segment(Process& process) {
  // As XLByteToPrevSeg: a segment that has just been filled up still counts as the current one.
  return (process.load<u64>(PG_ADDRESS_LogwrtResult) - 1) /
         process.load<u32>(PG_ADDRESS_wal_segment_size);
}

void report_failure(Process& process) {
  constexpr u32 kError = 21;
  pg_errstart(kError, 0);
  pg_errmsg(guest_text(process, "checkpoint request failed"), 0);
  pg_errhint(guest_text(process, "Consult recent messages in the server log for details."), 0);
  pg_errfinish(guest_text(process, "checkpointer.c"), 0, guest_text(process, "RequestCheckpoint"));
}

}  // namespace

extern "C" void pg_XLogWrite(u32 request, u32 timeline, u32 flexible) {
  constexpr u32 kCheckpointCauseXlog = 0x0080;
  Process& process = Process::current();
  const u64 before = written_segment(process);
  pg_XLogWrite_original(request, timeline, flexible);
  const u64 after = written_segment(process);
  if (after == before || process.load<u8>(PG_ADDRESS_IsUnderPostmaster) == 0) return;
  const u64 redo_segment = pg_GetRedoRecPtr() / process.load<u32>(PG_ADDRESS_wal_segment_size);
  if (after >= redo_segment + checkpoint_segments(process) - 1)
    pg_RequestCheckpoint(kCheckpointCauseXlog);
}

extern "C" void pg_RequestCheckpoint(u32 flags) {
  Process& process = Process::current();
  if (process.load<u8>(PG_ADDRESS_IsUnderPostmaster) == 0) {
    pg_RequestCheckpoint_original(flags);
    return;
  }
  const u32 shared = process.load<u32>(PG_ADDRESS_CheckpointerShmem);
  const u32 old_failed = process.load<u32>(shared + kFailed);
  const u32 old_started = process.load<u32>(shared + kStarted);
  process.store(shared + kFlags, process.load<u32>(shared + kFlags) | flags | kCheckpointRequested);
  // The checkpointer may be starting just now: it looks at the flags when it has.
  process.kernel().start_deferred();
  constexpr int kTries = 600;
  for (int i = 0; i < kTries; ++i) {
    const u32 procs = process.load<u32>(PG_ADDRESS_ProcGlobal);
    const u32 number = process.load<u32>(procs + kCheckpointerProc);
    if (number != kInvalidProcNumber) {
      pg_SetLatch(process.load<u32>(procs + kAllProcs) + number * kProcBytes + kProcLatch);
      break;
    }
    if ((flags & kCheckpointWait) == 0) return;
    constexpr int64_t kTryEveryNs = 100'000'000;
    process.sleep_ns(kTryEveryNs);
  }
  if ((flags & kCheckpointWait) == 0) return;
  pg_ConditionVariablePrepareToSleep(shared + kStartVariable);
  while (process.load<u32>(shared + kStarted) == old_started) {
    pg_ConditionVariableSleep(shared + kStartVariable, kWaitCheckpointStart);
  }
  pg_ConditionVariableCancelSleep();
  const u32 started = process.load<u32>(shared + kStarted);
  pg_ConditionVariablePrepareToSleep(shared + kDoneVariable);
  while (static_cast<s32>(process.load<u32>(shared + kDone) - started) < 0) {
    pg_ConditionVariableSleep(shared + kDoneVariable, kWaitCheckpointDone);
  }
  pg_ConditionVariableCancelSleep();
  if (process.load<u32>(shared + kFailed) != old_failed) report_failure(process);
}
