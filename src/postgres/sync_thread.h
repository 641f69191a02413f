// fsync and fdatasync away from the cluster's thread, so that other processes run while one waits
// for the disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "wasm/files/guest_files.h"

namespace calf::postgres {

// One thread per cluster: syncs are done in the order in which they were asked for.
class SyncThread {
 public:
  // `done(pid, errno or 0)` is called on the sync thread after each job.
  explicit SyncThread(std::function<void(int pid, int error)> done);
  ~SyncThread();
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  // Any thread. The job keeps the file open.
  void submit(int pid, wasm::GuestFiles::PendingSync sync);

 private:
  void run();

  struct Job {
    int pid;
    wasm::GuestFiles::PendingSync sync;
  };
  std::function<void(int, int)> done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;  // started by the first job
};

}  // namespace calf::postgres
