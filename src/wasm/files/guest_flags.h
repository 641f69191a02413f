// Constants of the guest's C library: Emscripten's musl (arch/emscripten/bits/fcntl.h, fcntl.h,
// poll.h).
#pragma once

#include <cstdint>

namespace calf::wasm::guest {

inline constexpr int kOpenAccess = 03;  // 0 read, 1 write, 2 both
inline constexpr int kOpenCreate = 0100;
inline constexpr int kOpenExclusive = 0200;
inline constexpr int kOpenTruncate = 01000;
inline constexpr int kOpenAppend = 02000;
inline constexpr int kOpenNonBlocking = 04000;
inline constexpr int kOpenDataSync = 010000;  // also a bit of O_SYNC
inline constexpr int kOpenAsync = 020000;
inline constexpr int kOpenDirect = 040000;
inline constexpr int kOpenDirectory = 0200000;
inline constexpr int kOpenNoFollow = 0400000;
inline constexpr int kOpenNoAccessTime = 01000000;
inline constexpr int kOpenCloseOnExec = 02000000;
inline constexpr int kOpenTemporary = 020000000;

// What F_SETFL may change.
inline constexpr int kMutableStatus =
    kOpenAppend | kOpenNonBlocking | kOpenAsync | kOpenDirect | kOpenNoAccessTime;
// What concerns only the call to open; F_GETFL does not report it.
inline constexpr int kOpenOnly = kOpenCreate | kOpenExclusive | 0400 /* O_NOCTTY */ |
                                 kOpenTruncate | kOpenNoFollow | kOpenCloseOnExec;

inline constexpr int kDupFd = 0;
inline constexpr int kGetFd = 1;
inline constexpr int kSetFd = 2;
inline constexpr int kGetStatus = 3;
inline constexpr int kSetStatus = 4;
inline constexpr int kGetLock = 12;
inline constexpr int kSetLock = 13;
inline constexpr int kSetLockWait = 14;
inline constexpr int kGetLockOfDescription = 36;
inline constexpr int kSetLockOfDescription = 37;
inline constexpr int kSetLockOfDescriptionWait = 38;
inline constexpr int kDupFdCloseOnExec = 1030;
inline constexpr int16_t kUnlocked = 2;

inline constexpr int kAtWorkingDirectory = -100;
inline constexpr int kAtNoFollow = 0x100;
inline constexpr int kAtRemoveDirectory = 0x200;
inline constexpr int kAtFollow = 0x400;
inline constexpr int kAtEmptyPath = 0x1000;

inline constexpr int kSeekSet = 0;
inline constexpr int kSeekCurrent = 1;
inline constexpr int kSeekEnd = 2;

inline constexpr int kMayExecute = 1;
inline constexpr int kMayWrite = 2;
inline constexpr int kMayRead = 4;

inline constexpr int16_t kPollIn = 1;
inline constexpr int16_t kPollOut = 4;
inline constexpr int16_t kPollHangUp = 16;
inline constexpr int16_t kPollInvalid = 32;

}  // namespace calf::wasm::guest
