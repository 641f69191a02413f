// One SQLite database that sessions share: its file, and what they must agree about.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "sqlite/advisory_locks.h"
#include "sqlite/catalog.h"
#include "sqlite/notifications.h"

struct sqlite3;

namespace calf::sqlite {

// What ships a database to other places, or brings it from there, stands here. Called on the
// threads of sessions, several at once.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  // A transaction is in the WAL, synced as far as SQLite does it; the WAL has `wal_frames` frames.
  // The client hears of its commit when this returns: waiting here delays the acknowledgement. An
  // error ends the session with it: the transaction is committed, but the client may not be told
  // so.
  virtual Result<void> committed(std::uint32_t wal_frames) = 0;
  // Whether the WAL may be written back into the file, and then begin anew.
  virtual bool may_checkpoint(std::uint32_t wal_frames) = 0;
  // Asked before a transaction that has written is committed: an error rolls it back, and the
  // client is told. Must not block.
  [[nodiscard]] virtual Result<void> may_write() const { return {}; }
  // Asked before each statement: an error is the client's answer. Must not block.
  [[nodiscard]] virtual Result<void> may_read() const { return {}; }
  // Rises when the file was changed by others than the sessions.
  [[nodiscard]] virtual std::uint64_t foreign_changes() const { return 0; }
};

struct DatabaseOptions {
  std::filesystem::path file;
  bool ephemeral = false;              // nothing needs to survive: no syncs, removed at the end
  bool read_only = false;              // a file that is there, in WAL mode
  CommitObserver* observer = nullptr;  // outlives the database
};

// Any thread.
class Database {
 public:
  // Opens or creates the file and puts it into WAL mode. kDataCorrupted: not a database; kIo.
  static Result<std::shared_ptr<Database>> open(DatabaseOptions options);
  ~Database();

  struct Close {
    void operator()(sqlite3* connection) const;
  };
  using Handle = std::unique_ptr<sqlite3, Close>;
  // A connection for one session (one thread).
  Result<Handle> connect();

  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] const std::filesystem::path& file() const { return options_.file; }

  [[nodiscard]] bool read_only() const { return options_.read_only; }

  // Rises with each committed change of the schema that this process makes.
  [[nodiscard]] std::uint64_t schema_generation() const {
    return schema_generation_ +
           (options_.observer == nullptr ? 0 : options_.observer->foreign_changes());
  }
  // Held while a change of the schema is committed: who reads meanwhile cannot tell which schema it
  // sees.
  class SchemaChange {
   public:
    explicit SchemaChange(Database& database) : database_(database) { ++database_.schema_changes_; }
    ~SchemaChange() {
      ++database_.schema_generation_;
      --database_.schema_changes_;
    }
    SchemaChange(const SchemaChange&) = delete;
    SchemaChange& operator=(const SchemaChange&) = delete;

   private:
    Database& database_;
  };
  // Whether all that begin to read before this returns see the schema of `generation`.
  [[nodiscard]] bool schema_is(std::uint64_t generation) const {
    return schema_changes_ == 0 && generation == schema_generation();
  }
  // The generation that who begins to read now will see, or one after it. Waits for a change that
  // is being committed.
  std::uint64_t settled_schema_generation();

  // Waits until another session has committed or given up writing, at most `limit`.
  void wait_for_writer(std::chrono::microseconds limit);
  void writer_done();

  // The observer's answers.
  [[nodiscard]] Result<void> may_write() const;
  [[nodiscard]] Result<void> may_read() const;

  // After a commit of `frames` frames in the WAL: tells the observer, and checkpoints when it is
  // time.
  Result<void> after_commit(sqlite3* connection, std::uint32_t frames);

  // CHECKPOINT: writes back what no reader needs and the observer lets go. Waits for nobody.
  void checkpoint(sqlite3* connection, std::uint32_t frames);

  [[nodiscard]] AdvisoryLocks& advisory_locks() { return advisory_locks_; }
  [[nodiscard]] Notifications& notifications() { return notifications_; }

  // Sequences live here: values that were handed out are not handed out again, whatever happens to
  // the transactions. `stored` reads what the database has at first use.
  struct SequenceState {
    std::int64_t last = 0;
    bool called = false;
  };
  std::int64_t next_value(const Sequence& sequence, const std::optional<SequenceState>& stored);
  [[nodiscard]] bool knows_sequence(Oid oid);
  void set_sequence(Oid oid, SequenceState state);
  SequenceState sequence_state(Oid oid);
  void forget_sequence(Oid oid);

 private:
  explicit Database(DatabaseOptions options) : options_(std::move(options)) {}

  DatabaseOptions options_;
  bool created_ = false;
  AdvisoryLocks advisory_locks_;
  Notifications notifications_;
  std::atomic<std::uint64_t> schema_generation_{1};
  std::atomic<int> schema_changes_{0};
  std::mutex writer_mutex_;
  std::condition_variable writer_done_;
  std::mutex sequence_mutex_;
  std::map<Oid, SequenceState> sequences_;
};

}  // namespace calf::sqlite
