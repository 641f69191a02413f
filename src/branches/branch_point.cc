#include "branches/branch_point.h"

namespace calf::branches {

Result<BranchPoint::Beginning> BranchPoint::begin() {
  std::lock_guard lock(mutex_);
  if (!storage_->clones_are_free()) return Beginning{.files = files_};
  begun_ += 1;
  Beginning beginning{.snapshot = recorded_, .should_record = begun_ == 2};
  CALF_TRY(beginning.files,
           storage_->clone(recorded_ != nullptr ? *recorded_files_ : *files_, "", ""));
  return beginning;
}

bool BranchPoint::is_recorded() {
  std::lock_guard lock(mutex_);
  return recorded_ != nullptr;
}

Result<std::shared_ptr<vfs::FileSystem>> BranchPoint::files() {
  std::lock_guard lock(mutex_);
  if (!storage_->clones_are_free()) return files_;
  return storage_->clone(*files_, "", "");
}

Result<void> BranchPoint::record(LogSink log_sink, const Starter& start, const Recorder& record) {
  constexpr int64_t kStopMs = 10'000;
  std::shared_ptr<vfs::FileSystem> files;
  {
    std::lock_guard lock(mutex_);
    CALF_TRY(files, storage_->clone(*files_, "", ""));
  }
  {
    CALF_TRY(auto recovering, start({.log_sink = std::move(log_sink),
                                     .data = files,
                                     .snapshot = nullptr,
                                     .commands = nullptr}));
    recovering->request_shutdown(postgres::Cluster::Shutdown::kFast);
    CALF_CHECK_OK(recovering->wait_stopped(kStopMs));
  }
  CALF_TRY(auto snapshot, record(files, database_));
  std::lock_guard lock(mutex_);
  recorded_files_ = std::move(files);
  recorded_ = std::move(snapshot);
  return {};
}

}  // namespace calf::branches
