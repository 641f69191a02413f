// A client's session: login, simple and extended protocol, transactions, COPY. One thread runs it
// and waits in it; cancel() and terminate() may come from others.
#pragma once

#include <atomic>
#include <exception>
#include <initializer_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "pgwire/backend.h"
#include "server/engine.h"
#include "sqlite/analyzer.h"
#include "sqlite/client_io.h"
#include "sqlite/database.h"
#include "sqlite/kept_rows.h"
#include "sqlite/notifications.h"
#include "sqlite/settings.h"
#include "sqlite/sql_error.h"

struct sqlite3_stmt;

namespace calf::sqlite {

enum class AuthMethod { kTrust, kPassword, kScram };

struct SessionOptions {
  AuthMethod auth = AuthMethod::kTrust;
  std::string user = "postgres";
  std::string database = "postgres";
  std::string verifier{};  // of the password, as pgwire::scram_verifier makes it
  std::string password{};  // for AuthMethod::kPassword
  std::vector<std::pair<std::string, std::string>> settings{};
  std::int64_t started_micros = 0;
};

// A statement as a client prepared it, or as it came in a simple query.
struct Prepared {
  std::shared_ptr<const Script> script;
  std::size_t index = 0;
  std::vector<Oid> declared_types{};
  std::vector<Oid> parameter_types{};
  bool query = false;        // SELECT, INSERT, …: for SQLite. Otherwise the session does it
  bool fixed_result = true;  // its columns were told to the client
  Statement statement{};
  std::uint64_t generation = 0;  // of the schema that it was analyzed for
  std::string environment{};     // settings that it depends on
  sqlite3_stmt* compiled = nullptr;
  bool in_use = false;
  ~Prepared();
  Prepared() = default;
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  [[nodiscard]] const pg::Node& node() const { return script->statement(index); }
};

struct Portal {
  std::shared_ptr<Prepared> prepared;
  std::vector<Datum> parameters{};
  std::vector<std::int16_t> formats{};
  sqlite3_stmt* statement = nullptr;  // running
  bool owns_statement = false;
  bool started = false;
  bool finished = false;
  bool row_ready = false;
  bool alone = false;  // its transaction began with it, and ends with it
  std::string tag{};
  std::int64_t rows = 0;
  // Of a statement that the session does itself.
  std::vector<OutputColumn> columns{};
  std::vector<std::vector<Datum>> results{};
  std::size_t next_result = 0;
  bool collected = false;    // of a query whose rows are all in `results`
  std::int64_t changed = 0;  // rows, by such a query
  ~Portal();
};

class Session final : public FunctionHost {
 public:
  Session(std::shared_ptr<Database> database, const SessionOptions& options,
          server::ClientConnection connection, std::uint32_t pid);
  ~Session() override;

  // Until the client leaves or the session is terminated.
  void run();
  // Says 53300 and ends: for a client that waited too long for a place.
  void refuse(const std::string& sqlstate, const std::string& message);

  [[nodiscard]] std::uint32_t pid() const { return pid_; }
  [[nodiscard]] const std::vector<std::byte>& key() const { return key_; }
  void cancel();     // any thread
  void terminate();  // any thread: 57P01

  // FunctionHost
  [[nodiscard]] const ConversionContext& conversion() const override { return conversion_; }
  std::string setting(const std::string& name, bool missing_ok) override;
  void set_setting(const std::string& name, const std::string& value, bool local) override;
  std::int64_t next_value(Oid sequence) override;
  std::int64_t current_value(Oid sequence) override;
  void set_value(Oid sequence, std::int64_t value, bool called) override;
  std::int64_t last_value() override;
  void sleep(double seconds) override;
  bool try_advisory_lock(const AdvisoryKey& key, AdvisoryMode mode, AdvisoryScope scope) override;
  void await_advisory_lock() override;
  bool advisory_unlock(const AdvisoryKey& key, AdvisoryMode mode) override;
  void advisory_unlock_all() override;
  void notify(const std::string& channel, const std::string& payload) override;
  std::vector<std::string> listening_channels() override;
  Datum ask(std::string_view question, std::span<const Datum> arguments) override;

 private:
  friend class Utility;
  friend class SystemTables;
  friend class Copy;
  friend class Declarations;
  enum class Block { kNone, kImplicit, kOpen, kFailed };

  // session_login.cc
  bool log_in();
  bool authenticate(const std::string& user);
  bool ask_password(const std::string& user);
  bool scram(const std::string& user);
  void greet();

  // session.cc
  bool open_connection();
  void serve();
  bool handle(const pgwire::Message& message);
  void simple_query(std::string_view sql);
  void run_simple(const std::shared_ptr<const Script>& script, std::size_t index);
  void report(const SqlError& error, std::string_view sql);
  void notice(const std::string& sqlstate, const std::string& message,
              const char* severity = "NOTICE");
  void ready();
  template <typename Body>
  bool guarded(std::string_view sql, Body body);
  SqlError sqlite_error(int code);
  SqlError constraint_error(const std::string& message);

  // session_extended.cc
  void parse_message(const pgwire::ParseMessage& message);
  void bind_message(const pgwire::BindMessage& message);
  void describe_message(const pgwire::NamedObject& message);
  void execute_message(const pgwire::ExecuteMessage& message);
  void close_message(const pgwire::NamedObject& message);
  void sync();
  std::shared_ptr<Prepared> prepared_named(std::string_view name);
  Portal& portal_named(std::string_view name);

  // session_execute.cc
  std::shared_ptr<Prepared> prepare(std::shared_ptr<const Script> script, std::size_t index,
                                    std::vector<Oid> types);
  void analyze(Prepared& prepared, const std::vector<Oid>& types);
  void refresh(Prepared& prepared);
  void check_block(const pg::Node& node) const;
  bool execute(Portal& portal, std::uint32_t max_rows, bool describe);
  void start(Portal& portal);
  bool start_query(Portal& portal);
  void start_steps(Portal& portal);
  void run_step(const Step& step, Portal& portal, std::vector<std::vector<Datum>>* rows);
  Datum fitting(Datum value, const OutputColumn& column) const;
  static std::int16_t format_of(const Portal& portal, std::size_t column);
  sqlite3_stmt* compile(const std::string& sql);
  void stop(Portal& portal);
  bool send_rows(Portal& portal, std::uint32_t max_rows);
  void send_row(const Portal& portal, sqlite3_stmt* statement);
  void send_values(const Portal& portal, const std::vector<Datum>& values);
  void put_value(const Datum& value, Oid type, std::int16_t format);
  void describe(const std::vector<OutputColumn>& columns, const std::vector<std::int16_t>& formats);
  int step(sqlite3_stmt* statement);
  int first_step(sqlite3_stmt* statement, const std::string& once = {});
  void begin_statement();
  void run_query_statement(Prepared& prepared);
  void apply_settings();

  // session_transaction.cc
  void begin_implicit();
  void end_implicit(bool success);
  void begin_block(const std::string& mode);
  void commit_block(bool chain);
  void rollback_block(bool chain);
  void savepoint(const std::string& name);
  void release(const std::string& name);
  void rollback_to(const std::string& name);
  void end_temporary();
  void commit_now();
  void rollback_now();
  void after_commit();
  void fail_block();
  void store_sequences();
  bool await_writer();
  void take_writers_place();
  void check_interrupts();
  void release_transaction_locks();
  void close_portals();
  void raw(const std::string& sql);
  void often(const std::string& sql, std::initializer_list<Datum> parameters = {});
  [[nodiscard]] bool in_sqlite_transaction() const;
  [[nodiscard]] bool snapshot_is_fixed() const;
  [[nodiscard]] char status() const;

  // session_notify.cc
  struct NotificationMark {
    std::size_t actions = 0;
    std::size_t notifications = 0;
  };
  void listen(ListenAction action);
  void publish_notifications();
  void forget_notifications(NotificationMark keep);
  void deliver_notifications();

  // The catalog as this session's transaction sees it.
  const Catalog& catalog();
  void schema_changed();
  std::uint64_t own_generation();
  void forget_catalog();
  void ensure_catalog_table(bool temporary);

  std::shared_ptr<Database> database_;
  const SessionOptions& options_;
  std::vector<std::byte> startup_;
  ClientIo io_;
  pgwire::BackendEncoder encoder_;
  std::uint32_t pid_;
  std::vector<std::byte> key_;
  KeptRows kept_rows_;
  Database::Handle connection_;
  std::exception_ptr pending_;
  Settings settings_;
  ConversionContext conversion_;
  NameRules names_;
  std::uint64_t applied_settings_ = 0;
  std::string user_;
  std::string database_name_;
  bool in_process_ = false;
  bool trusted_ = false;

  Block block_ = Block::kNone;
  struct Savepoint {
    std::string name;
    NotificationMark mark{};
  };
  std::vector<Savepoint> savepoints_;
  std::vector<ListenAction> listen_actions_;  // of this transaction
  std::vector<Notification> notifications_;   // the same
  bool skip_until_sync_ = false;
  bool schema_dirty_ = false;  // changed in this transaction
  std::shared_ptr<const Catalog> catalog_;
  std::uint64_t catalog_generation_ = 0;  // the database's, or one of our own
  std::uint64_t own_generations_ = 0;
  bool catalog_settled_ = false;  // it is that of the transaction's snapshot
  // Replaced while a statement may still look at them.
  std::vector<std::shared_ptr<const Catalog>> old_catalogs_;
  std::unordered_map<std::string, sqlite3_stmt*> own_statements_;  // compiled once
  std::uint32_t wal_frames_ = 0;  // set by the hook when something was committed
  bool committed_ = false;
  std::set<Oid> dirty_sequences_;
  std::map<Oid, std::int64_t> sequence_values_;
  std::optional<std::int64_t> last_value_;

  std::unordered_map<std::string, std::shared_ptr<Prepared>> prepared_;
  std::map<std::string, Portal, std::less<>> portals_;
  std::list<std::pair<std::string, std::shared_ptr<Prepared>>> recent_;  // of simple queries

  std::atomic<bool> cancelled_{false};
  std::atomic<bool> terminated_{false};
  std::optional<ClientIo::Clock::time_point> deadline_;
  std::optional<ClientIo::Clock::time_point> lock_deadline_;
  bool timed_out_ = false;
  bool lock_nowait_ = false;
  bool transaction_locks_ = false;  // advisory ones, to be released at its end
  bool gone_ = false;               // the client
  std::string current_sql_;
};

}  // namespace calf::sqlite
