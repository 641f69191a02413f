// A session with PostgreSQL over libcalf's wire: requests are queued, answers are collected,
// nothing here waits for longer than it is told to, and nothing knows Python. So one thread can
// block in it without the interpreter's lock, and an event loop can drive it by a descriptor. Not
// here: which request a statement needs (statements.h, session_type.cc), values (encode.h,
// decode.h).
#pragma once

#include <calf/calf.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire.h"

namespace calf::python {

// A column as RowDescription tells it.
struct Column {
  std::string name;
  std::uint32_t table;
  std::uint16_t number;
  std::uint32_t type;
  std::int16_t type_size;
  std::int32_t type_modifier;
};
using Columns = std::vector<Column>;

// An error or a notice: fields by the protocol's letters.
struct Report {
  std::vector<std::pair<char, std::string>> fields;
  std::string_view field(char letter) const;
};

struct Notification {
  std::int32_t pid;
  std::string channel, payload;
};

// What one statement answered. Rows are DataRow bodies, end to end.
struct ResultSet {
  std::shared_ptr<const Columns> columns;  // null: it returns no rows
  std::string bytes;
  std::vector<std::size_t> ends;  // of each row in `bytes`
  std::string tag;
  bool suspended = false;  // there may be more rows

  std::string_view row(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends[index - 1];
    return std::string_view(bytes).substr(begin, ends[index] - begin);
  }
  // The number at the end of the command tag, or -1.
  std::int64_t affected() const;
};

// Parameters of one execution, as Bind wants them. Kept and reused, so that a statement in a loop
// does not allocate.
struct Parameters {
  static constexpr std::int32_t kNull = -1;
  std::vector<std::uint32_t> types;
  std::vector<std::uint16_t> formats;  // 0 text, 1 binary
  std::vector<std::int32_t> sizes;     // or kNull
  std::string bytes;

  void clear() {
    types.clear();
    formats.clear();
    sizes.clear();
    bytes.clear();
  }
  void add(std::uint32_t type, std::uint16_t format, std::string_view value) {
    types.push_back(type);
    formats.push_back(format);
    sizes.push_back(static_cast<std::int32_t>(value.size()));
    bytes.append(value);
  }
  void add_null() {
    types.push_back(0);
    formats.push_back(0);
    sizes.push_back(kNull);
  }
};

// One thread at a time, but for what says "any thread".
class Session {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Progress {
    kWaiting,  // more has to come
    kStopped,  // everything that was asked for has been answered, or a COPY or a notification has
               // come
    kEnded,    // the connection is gone; last_error() may say why
  };
  enum class CopyState { kNone, kIn, kOut };

  // Takes `wire`. The first thing to do is startup().
  explicit Session(calf_wire* wire);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- Requests: they only queue bytes.
  void startup(const std::vector<std::pair<std::string, std::string>>& parameters);
  void simple_query(std::string_view sql, bool keep_results);
  // Sends `sql` when everything queued before has succeeded.
  void simple_query_after(std::string_view sql);
  void parse(std::string_view name, std::string_view sql, const std::vector<std::uint32_t>& types);
  void bind(std::string_view name, const Parameters& parameters);
  void describe_portal();
  // Executes the unnamed portal. `columns`: known ones, when no Describe was sent. `max_rows` 0:
  // all.
  void execute(std::shared_ptr<const Columns> columns, std::uint32_t max_rows, bool keep_results);
  void close_statement(std::string_view name);
  void close_portal();
  void sync();
  void flush();
  void copy_data(std::string_view data);
  void copy_done();
  void copy_fail(std::string_view reason);
  std::size_t unsent_bytes() const { return out_.size() - sent_; }

  // --- Progress.
  // Starts what the queued requests ask for: what the last one left is dropped.
  void begin_operation();
  // Sends and receives what can be without waiting.
  Progress advance();
  // The same, waiting until `until` at most for the first thing to happen.
  Progress wait(Clock::time_point until);
  // wait() also stops at a notification while this is set.
  void stop_at_notification(bool stop) { stop_at_notification_ = stop; }
  // Everything asked for has been answered.
  bool idle() const { return steps_.empty() && deferred_.empty(); }
  // A batch is open that no Sync has ended yet.
  bool in_batch() const { return unsynced_; }

  // --- What came of it.
  std::vector<ResultSet> take_results() { return std::move(results_); }
  std::int64_t discarded_rows() const { return discarded_affected_; }
  const std::optional<Report>& error() const { return error_; }
  // Has the prepared statement gone stale (dropped, or its result changed)? Then the error is to be
  // hidden by a retry.
  bool stale_statement() const;
  CopyState copy_state() const { return copy_; }
  // What COPY TO STDOUT has sent since the last call, in pieces of a row.
  std::vector<std::string> take_copied() {
    copied_bytes_ = 0;
    return std::exchange(copied_, {});
  }
  // A COPY that the next operation begins is wanted; without this it is refused as soon as it
  // begins.
  void want_copy(bool wanted) { copy_wanted_ = wanted; }
  std::vector<Report> take_notices() { return std::exchange(notices_, {}); }
  std::vector<Notification> take_notifications() { return std::exchange(notifications_, {}); }
  bool has_news() const { return !notices_.empty() || !notifications_.empty(); }
  bool has_notifications() const { return !notifications_.empty(); }
  const std::map<std::string, std::string, std::less<>>& parameters() const { return parameters_; }
  std::int32_t pid() const { return pid_; }

  // --- Any thread.
  char transaction() const { return transaction_.load(std::memory_order_relaxed); }
  bool ended() const { return ended_.load(std::memory_order_relaxed); }
  // Cancels what runs. False when the session has ended.
  bool cancel();
  // Readable when advance() can go on; -1 without one.
  int descriptor();
  // Ends the session at once. Not while another thread is in wait().
  void close();

 private:
  struct Step {
    enum class Kind { kExecute, kSimple, kSync } kind;
    std::shared_ptr<const Columns> columns;
    bool keep_results = true;
  };
  enum class Io { kDone, kNothing, kEnded };

  Io exchange(std::int64_t timeout_ms);
  void make_room();
  Progress digest();
  bool handle(char type, std::string_view body);
  void handle_row(std::string_view body);
  void handle_columns(std::string_view body);
  void handle_complete(std::string_view tag, bool suspended);
  void handle_error(std::string_view body);
  void handle_ready(char status);
  void handle_copy_start(CopyState state);
  void handle_notification(std::string_view body);
  void broken(std::string_view why);
  void end();
  ResultSet& current();

  std::mutex wire_mutex_;  // guards the pointer against close() during cancel()
  calf_wire* wire_;
  std::string out_;
  std::size_t sent_ = 0;
  bool wire_is_full_ = false;
  std::string deferred_;
  std::string in_;
  std::size_t in_begin_ = 0, in_end_ = 0;

  std::deque<Step> steps_;
  bool unsynced_ = false;  // extended messages were sent that no Sync follows yet
  bool stopped_ = false;
  bool stop_at_notification_ = false;
  std::shared_ptr<const Columns> described_;
  std::optional<ResultSet> open_result_;
  std::vector<ResultSet> results_;
  std::int64_t discarded_affected_ = 0;
  std::optional<Report> error_;
  CopyState copy_ = CopyState::kNone;
  bool copy_wanted_ = false;
  std::vector<std::string> copied_;
  std::size_t copied_bytes_ = 0;
  std::vector<Report> notices_;
  std::vector<Notification> notifications_;
  std::map<std::string, std::string, std::less<>> parameters_;
  std::int32_t pid_ = 0;
  std::atomic<char> transaction_{'I'};
  std::atomic<bool> ended_{false};
};

// Reads the fields of an ErrorResponse or NoticeResponse.
Report read_report(std::string_view body);

}  // namespace calf::python
