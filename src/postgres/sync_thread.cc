#include "postgres/sync_thread.h"

#include "os/thread_signals.h"

namespace calf::postgres {

SyncThread::SyncThread(std::function<void(int, int)> done) : done_(std::move(done)) {}

SyncThread::~SyncThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void SyncThread::submit(int pid, wasm::GuestFiles::PendingSync sync) {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  jobs_.push_back({pid, std::move(sync)});
  wake_.notify_one();
}

void SyncThread::run() {
  os::block_signals_on_this_thread();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;  // what was asked for is done even when stopping
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    const auto synced = job.sync.file->sync(job.sync.kind);
    done_(job.pid, synced ? 0 : static_cast<int>(synced.error()));
    lock.lock();
  }
}

}  // namespace calf::postgres
