#include "sqlite/engine.h"

#include <pthread.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "pgwire/scram.h"

namespace calf::sqlite {
namespace {

constexpr auto kFastShutdown = std::chrono::seconds(5);

// One thread per session, and no more sessions than places; the others stand in a queue.
class SqliteEngine final : public server::Engine {
 public:
  SqliteEngine(std::shared_ptr<Database> database, SessionOptions sessions, std::size_t places,
               std::chrono::milliseconds patience)
      : database_(std::move(database)),
        session_options_(std::move(sessions)),
        places_(places),
        patience_(patience) {
    doorman_ = std::thread([this] { watch_queue(); });
  }

  ~SqliteEngine() override { (void)shutdown(server::ShutdownMode::kImmediate); }

  void connect(server::ClientConnection connection) override {
    const std::lock_guard lock(mutex_);
    auto session =
        std::make_shared<Session>(database_, session_options_, std::move(connection), next_pid_++);
    if (stopping_) return refuse(*session, "57P03", "the database system is shutting down");
    if (running_.size() < places_) return start(std::move(session));
    queue_.emplace_back(std::chrono::steady_clock::now() + patience_, std::move(session));
    changed_.notify_all();
  }

  void cancel(server::CancelRequest request) override {
    const std::lock_guard lock(mutex_);
    for (const auto& session : running_) {
      if (session->pid() == request.pid && !session->key().empty() && session->key() == request.key)
        session->cancel();
    }
  }

  Result<void> shutdown(server::ShutdownMode mode) override {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    if (mode == server::ShutdownMode::kSmart) {
      changed_.wait(lock, [&] { return running_.empty() || hurry_; });
    }
    hurry_ = true;
    changed_.notify_all();
    for (const auto& session : running_) session->terminate();
    const bool ended = changed_.wait_for(lock, kFastShutdown * 2, [&] { return running_.empty(); });
    std::list<std::thread> threads;
    threads.swap(threads_);
    std::thread doorman;
    doorman.swap(doorman_);
    lock.unlock();
    if (doorman.joinable()) doorman.join();
    for (std::thread& thread : threads) {
      if (!ended) {
        thread.detach();
      } else {
        thread.join();
      }
    }
    if (!ended) return fail(ErrorCode::kDeadlineExceeded, "a session did not end in time");
    return {};
  }

  void set_exit_handler(std::function<void(Error)>) override {}

 private:
  // Under mutex_.
  void start(std::shared_ptr<Session> session) {
    running_.push_back(session);
    threads_.emplace_back([this, session]() mutable { run(std::move(session)); });
  }

  void run(std::shared_ptr<Session> session) {
    try {
      session->run();
    } catch (const std::exception& error) {
      log::error("a session has ended by {}", error.what());
    } catch (const SqlError& error) {
      log::error("a session has ended by {}", error.report.message);
    }
    std::unique_lock lock(mutex_);
    std::erase(running_, session);
    // The thread is joined by the doorman: it cannot do so itself.
    finished_.push_back(std::this_thread::get_id());
    lock.unlock();
    session.reset();
    lock.lock();
    changed_.notify_all();
  }

  static void refuse(Session& session, const std::string& sqlstate, const std::string& message) {
    session.refuse(sqlstate, message);
  }

  // Gives places to those that wait, sends away those that have waited too long, joins threads.
  void watch_queue() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      const auto wake_up = queue_.empty() ? std::chrono::steady_clock::now() + std::chrono::hours(1)
                                          : queue_.front().first;
      changed_.wait_until(lock, wake_up);
      join_finished(lock);
      while (!queue_.empty() && running_.size() < places_ && !stopping_) {
        auto session = std::move(queue_.front().second);
        queue_.pop_front();
        start(std::move(session));
      }
      while (!queue_.empty() && queue_.front().first <= std::chrono::steady_clock::now()) {
        auto session = std::move(queue_.front().second);
        queue_.pop_front();
        lock.unlock();
        refuse(*session, "53300", "sorry, too many clients already");
        session.reset();
        lock.lock();
      }
    }
    for (auto& [deadline, session] : queue_)
      refuse(*session, "57P03", "the database system is shutting down");
    queue_.clear();
  }

  void join_finished(std::unique_lock<std::mutex>& lock) {
    std::vector<std::thread::id> finished;
    finished.swap(finished_);
    for (const std::thread::id id : finished) {
      const auto found =
          std::find_if(threads_.begin(), threads_.end(),
                       [&](const std::thread& thread) { return thread.get_id() == id; });
      if (found == threads_.end()) continue;
      std::thread thread = std::move(*found);
      threads_.erase(found);
      lock.unlock();
      thread.join();
      lock.lock();
    }
  }

  std::shared_ptr<Database> database_;
  const SessionOptions session_options_;
  const std::size_t places_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Session>> running_;
  std::list<std::pair<std::chrono::steady_clock::time_point, std::shared_ptr<Session>>> queue_;
  std::list<std::thread> threads_;
  std::vector<std::thread::id> finished_;
  std::thread doorman_;
  std::uint32_t next_pid_ = 1000;
  bool stopping_ = false;
  bool hurry_ = false;
};

// Deep statements are walked by recursion (tree.cc bounds them). Reserved, not used: memory is
// taken as the stack grows.
void reserve_stacks() {
  constexpr std::size_t kStackBytes = 64U << 20;
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

// In memory: a file in a directory of its own where memory is a file system.
Result<std::filesystem::path> memory_file() {
  for (const char* place : {"/dev/shm", "/tmp"}) {
    std::string name = std::string(place) + "/calf-sqlite-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) return std::filesystem::path(name) / "memory.sqlite";
  }
  return fail(Error::from_errno("making a directory for a database in memory", errno));
}

}  // namespace

Result<OpenedEngine> open_engine(EngineOptions options) {
  reserve_stacks();
  DatabaseOptions database_options{
      .ephemeral = !options.file, .read_only = options.read_only, .observer = options.observer};
  if (options.file) {
    database_options.file = *options.file;
  } else {
    CALF_TRY(database_options.file, memory_file());
  }
  CALF_TRY(auto database, Database::open(std::move(database_options)));
  SessionOptions sessions{.auth = options.auth,
                          .user = options.user,
                          .database = options.database,
                          .password = options.password,
                          .settings = options.settings,
                          .started_micros = system_now_micros()};
  if (!options.password.empty()) sessions.verifier = pgwire::scram_verifier(options.password);
  sessions.settings.emplace_back("calf.transaction_mode", options.transaction_mode);
  sessions.settings.emplace_back("max_connections", std::to_string(options.connection_pool_size));
  const bool created = database->created();
  return OpenedEngine{
      .engine = std::make_unique<SqliteEngine>(std::move(database), std::move(sessions),
                                               options.connection_pool_size, options.pool_timeout),
      .created = created};
}

}  // namespace calf::sqlite
