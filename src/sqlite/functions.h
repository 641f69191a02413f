// The functions and operators of this engine: one table for the rewriter (which overload, which
// type) and for SQLite (what to call). The families are in functions_*.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sqlite/advisory_locks.h"
#include "sqlite/datum.h"
#include "sqlite/types.h"

struct sqlite3;

namespace calf::sqlite {

// What functions ask of the session that they run in. One thread: the session's.
class FunctionHost {
 public:
  virtual ~FunctionHost() = default;
  [[nodiscard]] virtual const ConversionContext& conversion() const = 0;
  virtual std::string setting(const std::string& name, bool missing_ok) = 0;
  virtual void set_setting(const std::string& name, const std::string& value, bool local) = 0;
  virtual std::int64_t next_value(Oid sequence) = 0;
  virtual std::int64_t current_value(Oid sequence) = 0;
  virtual void set_value(Oid sequence, std::int64_t value, bool called) = 0;
  virtual std::int64_t last_value() = 0;
  virtual void sleep(double seconds) = 0;  // raises 57014 when cancelled
  virtual bool try_advisory_lock(const AdvisoryKey& key, AdvisoryMode mode,
                                 AdvisoryScope scope) = 0;
  virtual void await_advisory_lock() = 0;  // raises 57014, 55P03
  virtual bool advisory_unlock(const AdvisoryKey& key, AdvisoryMode mode) = 0;
  virtual void advisory_unlock_all() = 0;
  virtual void notify(const std::string& channel, const std::string& payload) = 0;
  virtual std::vector<std::string> listening_channels() = 0;
  // What the catalog knows: "user", "database", "backend_pid", "definition of oid", ….
  virtual Datum ask(std::string_view question, std::span<const Datum> arguments) = 0;
};

struct Call {
  std::span<const Datum> arguments;
  FunctionHost& host;

  [[nodiscard]] std::size_t size() const { return arguments.size(); }
  [[nodiscard]] bool null(std::size_t i) const { return arguments[i].null(); }
  [[nodiscard]] std::int64_t integer(std::size_t i) const { return arguments[i].integer; }
  [[nodiscard]] double real(std::size_t i) const { return arguments[i].as_real(); }
  [[nodiscard]] const std::string& text(std::size_t i) const { return arguments[i].text; }
  [[nodiscard]] const Clock& clock() const { return host.conversion().clock; }
};

using Implementation = Datum (*)(const Call&);

// The rows of a set-returning function, one at a time.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual bool next(std::vector<Datum>& row) = 0;
};
using RowsImplementation = std::unique_ptr<RowSource> (*)(const Call&);

// The state of an aggregate over one group (or window frame).
class Aggregate {
 public:
  virtual ~Aggregate() = default;
  virtual void step(std::span<const Datum> arguments) = 0;
  // Takes back the oldest step. Only called for window frames.
  virtual void inverse(std::span<const Datum> arguments) = 0;
  virtual Datum value() = 0;
};
using AggregateFactory = std::unique_ptr<Aggregate> (*)(FunctionHost&);

struct Function {
  enum class Kind { kScalar, kAggregate, kWindow, kRows };
  std::string name;
  std::vector<Oid> arguments;
  Oid result = 0;
  Kind kind = Kind::kScalar;
  bool variadic = false;   // the last argument may be repeated (its type is the element's)
  bool strict = true;      // NULL in, NULL out
  bool stable = true;      // same arguments, same result (within a statement)
  bool ordered = false;    // aggregate: gets a spec of its order first, the keys last
  std::string sql{};       // of SQLite, with $1, $2 … for arguments; empty: `internal` is called
  std::string internal{};  // what SQLite knows it as: name(type,type)
  Implementation implementation = nullptr;
  AggregateFactory aggregate = nullptr;
  RowsImplementation rows = nullptr;
  std::vector<std::pair<std::string, Oid>> columns{};  // of kRows
};

// Immutable once made; any thread.
class FunctionTable {
 public:
  static const FunctionTable& get();

  // Overloads of a name; functions and operators ("+") alike.
  [[nodiscard]] const std::vector<const Function*>& named(std::string_view name) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Function>>& all() const { return functions_; }

  // `signature`: "lower(text) text"; "concat(any...) text". Each returns the entry for flags.
  Function& scalar(std::string_view signature, Implementation implementation);
  Function& nullable(std::string_view signature, Implementation implementation);  // not strict
  Function& native(std::string_view signature, std::string_view sql);
  Function& aggregate(std::string_view signature, AggregateFactory factory);
  Function& window(std::string_view signature, std::string_view sql);
  Function& rows(std::string_view signature, RowsImplementation implementation,
                 std::vector<std::pair<std::string, Oid>> columns = {});

 private:
  FunctionTable();
  Function& add(std::string_view signature);

  std::vector<std::unique_ptr<Function>> functions_;
  std::unordered_map<std::string, std::vector<const Function*>> by_name_;
};

// One of each family.
void add_math_functions(FunctionTable& table);
void add_text_functions(FunctionTable& table);
void add_regex_functions(FunctionTable& table);
void add_time_functions(FunctionTable& table);
void add_json_functions(FunctionTable& table);
void add_array_functions(FunctionTable& table);
void add_system_functions(FunctionTable& table);
void add_aggregates(FunctionTable& table);
void add_window_functions(FunctionTable& table);
void add_row_functions(FunctionTable& table);
void add_keyword_functions(FunctionTable& table);
void add_lock_functions(FunctionTable& table);

// to_char and its inverses.
std::string format_moment(std::int64_t local_micros, std::string_view pattern,
                          const std::string& zone_name, int zone_offset_s);
std::string format_interval(const struct Interval& interval, std::string_view pattern);
std::string format_number(const class Decimal& value, std::string_view pattern);
std::int64_t parse_moment(std::string_view text, std::string_view pattern);

// extract(field from …) as numeric text.
std::string lower_text(std::string_view text);
std::string upper_text(std::string_view text);

// Makes collations and functions known to a connection. `host` lives as long as the connection;
// an exception of a function is kept in `pending` for the session.
void install_functions(sqlite3* connection, FunctionHost& host, std::exception_ptr& pending);

}  // namespace calf::sqlite
