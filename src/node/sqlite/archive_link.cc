#include "node/sqlite/archive_link.h"

#include <atomic>
#include <thread>

#include "archive/archiver.h"
#include "archive/follower.h"
#include "base/log.h"

namespace calf::node {
namespace {

// Asks an observer now and then, beside work that blocks; its error ends that work.
class Watch {
 public:
  explicit Watch(const cli::WorkObserver& observer) : observer_(observer) {
    if (observer_) thread_ = std::jthread([this](const std::stop_token& over) { run(over); });
  }
  [[nodiscard]] std::stop_token work_must_end() const { return work_.get_token(); }
  [[nodiscard]] bool has_restored() const { return restored_; }
  std::function<void(const archive::RestoreProgress&)> progress() {
    return [this](const archive::RestoreProgress& progress) {
      restored_ = true;
      done_ = progress.bytes;
      total_ = progress.total_bytes;
    };
  }

 private:
  void run(const std::stop_token& over) {
    constexpr std::int64_t kPeriodMs = 100;
    while (!over.stop_requested()) {
      blob::Limits::within(2 * kPeriodMs, over).sleep_ms(kPeriodMs);
      if (!observer_(done_, total_)) work_.request_stop();
    }
  }

  const cli::WorkObserver observer_;
  std::stop_source work_;
  std::atomic<bool> restored_ = false;
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<std::uint64_t> total_ = 0;
  std::jthread thread_;
};

class Writer final : public ArchiveLink {
 public:
  Writer(std::unique_ptr<blob::ObjectStore> store, std::unique_ptr<archive::Archiver> archiver,
         const cli::StorageOptions& storage, bool restored)
      : store_(std::move(store)),
        archiver_(std::move(archiver)),
        wait_for_store_(storage.archive.durability == archive::Durability::kCommit),
        commit_timeout_ms_(storage.commit_timeout_ms),
        restored_(restored) {}

  Result<void> committed(std::uint32_t wal_frames) override {
    archiver_->note_commit(wal_frames);
    if (!wait_for_store_) return {};
    return archiver_->commit_barrier(
        blob::Limits::within(commit_timeout_ms_, impatience_.get_token()));
  }
  void end_waits() override { impatience_.request_stop(); }
  bool may_checkpoint(std::uint32_t) override { return false; }  // the archiver does that
  [[nodiscard]] Result<void> may_write() const override { return archiver_->check_writable(); }
  [[nodiscard]] bool restored() const override { return restored_; }
  Result<void> close(const blob::Limits& limits) override { return archiver_->stop(limits); }

 private:
  const std::unique_ptr<blob::ObjectStore> store_;
  const std::unique_ptr<archive::Archiver> archiver_;
  const bool wait_for_store_;
  const std::int64_t commit_timeout_ms_;
  const bool restored_;
  std::stop_source impatience_;
};

class Replica final : public ArchiveLink {
 public:
  Replica(std::unique_ptr<blob::ObjectStore> store, std::unique_ptr<archive::Follower> follower,
          bool restored)
      : store_(std::move(store)), follower_(std::move(follower)), restored_(restored) {}

  Result<void> committed(std::uint32_t) override { return {}; }
  void end_waits() override {}
  bool may_checkpoint(std::uint32_t) override { return false; }
  [[nodiscard]] Result<void> may_write() const override {
    return fail(ErrorCode::kPermissionDenied, "this server is a read replica",
                "write to the server that the replica follows");
  }
  [[nodiscard]] Result<void> may_read() const override { return follower_->check_fresh(); }
  [[nodiscard]] std::uint64_t foreign_changes() const override { return follower_->states(); }
  [[nodiscard]] bool restored() const override { return restored_; }
  Result<void> close(const blob::Limits&) override { return {}; }

 private:
  const std::unique_ptr<blob::ObjectStore> store_;
  const std::unique_ptr<archive::Follower> follower_;
  const bool restored_;
};

Result<std::unique_ptr<ArchiveLink>> open_writer(const cli::StorageOptions& storage,
                                                 const std::filesystem::path& file,
                                                 const cli::WorkObserver& observer) {
  CALF_TRY(auto store, blob::open_store(storage.store));
  Watch watch(observer);
  archive::ArchiverOptions options = storage.archive;
  options.database = file;
  options.restore_progress = watch.progress();
  options.stop = watch.work_must_end();
  CALF_TRY(auto archiver, archive::Archiver::open(*store, options));
  log::info("{} is kept in {}{}", file.string(), store->describe(),
            watch.has_restored() ? ", and was restored from there" : "");
  return std::make_unique<Writer>(std::move(store), std::move(archiver), storage,
                                  watch.has_restored());
}

Result<std::unique_ptr<ArchiveLink>> open_replica(const cli::StorageOptions& storage,
                                                  const std::filesystem::path& file,
                                                  const cli::WorkObserver& observer) {
  CALF_TRY(auto store, blob::open_store(storage.store));
  Watch watch(observer);
  CALF_TRY(auto follower,
           archive::Follower::open(*store, {.database = file,
                                            .max_staleness_ms = storage.max_staleness_ms,
                                            .restore_progress = watch.progress(),
                                            .stop = watch.work_must_end()}));
  log::info("{} is a replica of {}", file.string(), store->describe());
  return std::make_unique<Replica>(std::move(store), std::move(follower), watch.has_restored());
}

// What the store has not got at the end is kept by the file; a second signal ends the wait.
class ArchivedEngine final : public server::Engine {
 public:
  ArchivedEngine(std::unique_ptr<ArchiveLink> link, std::unique_ptr<server::Engine> engine)
      : link_(std::move(link)), engine_(std::move(engine)) {}
  ~ArchivedEngine() override { (void)engine_->shutdown(server::ShutdownMode::kImmediate); }

  void connect(server::ClientConnection connection) override {
    engine_->connect(std::move(connection));
  }
  void cancel(server::CancelRequest request) override { engine_->cancel(std::move(request)); }
  void set_exit_handler(std::function<void(Error)> on_exit) override {
    engine_->set_exit_handler(std::move(on_exit));
  }

  Result<void> shutdown(server::ShutdownMode mode) override {
    constexpr std::int64_t kTimeoutMs = 120'000;
    const bool at_once =
        mode == server::ShutdownMode::kImmediate || mode == server::ShutdownMode::kHalt;
    if (at_once) hurry_.request_stop();
    CALF_CHECK_OK(end_sessions(mode));
    if (at_once || closed_.exchange(true)) return {};
    auto closed = link_->close(blob::Limits::within(kTimeoutMs, hurry_.get_token()));
    if (closed) return {};
    return fail(std::move(closed).error().with_context("not everything is in storage"));
  }

 private:
  // Sessions that wait for the store cannot hear that they are to end.
  Result<void> end_sessions(server::ShutdownMode mode) {
    constexpr std::int64_t kPatienceMs = 2'000;
    if (mode == server::ShutdownMode::kSmart) return engine_->shutdown(mode);
    std::stop_source ended;
    std::jthread timer([&, token = ended.get_token(), hurry = hurry_.get_token()] {
      if (!hurry.stop_requested()) {
        blob::Limits::within(2 * kPatienceMs, token).sleep_ms(kPatienceMs);
      }
      link_->end_waits();
    });
    auto result = engine_->shutdown(mode);
    ended.request_stop();
    return result;
  }

  std::unique_ptr<ArchiveLink> link_;
  std::unique_ptr<server::Engine> engine_;
  std::atomic<bool> closed_ = false;
  std::stop_source hurry_;
};

}  // namespace

Result<std::unique_ptr<ArchiveLink>> ArchiveLink::open(const cli::StorageOptions& storage,
                                                       const std::filesystem::path& file,
                                                       const cli::WorkObserver& observer) {
  std::error_code ignored;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), ignored);
  return storage.replica ? open_replica(storage, file, observer)
                         : open_writer(storage, file, observer);
}

std::unique_ptr<server::Engine> archived_engine(std::unique_ptr<ArchiveLink> link,
                                                std::unique_ptr<server::Engine> engine) {
  return std::make_unique<ArchivedEngine>(std::move(link), std::move(engine));
}

}  // namespace calf::node
