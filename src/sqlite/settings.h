// The settings of a session: SET, SHOW, RESET. What clients set at login is accepted when its
// meaning can be kept; a value that would change what comes back, and is not implemented, is
// refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace calf::sqlite {

struct SettingInfo {
  const char* name;  // as SHOW and ParameterStatus write it
  const char* value;
  const char* description;
  bool report = false;  // the client is told of changes
  bool read_only = false;
};

// What every statement looks at, worked out when a setting changes. Times: 0 is none.
struct StatementSettings {
  std::int64_t statement_timeout_ms = 0;
  std::int64_t lock_timeout_ms = 0;
  std::int64_t idle_in_transaction_ms = 0;
  bool bytea_escape = false;
  bool interval_iso = false;
  std::string time_zone{};
  std::vector<std::string> search_path{};  // names of schemas; "$user" as it stands
  // What a statement's translation depends on, in one string.
  std::string environment{};
};

// One thread.
class Settings {
 public:
  Settings();

  [[nodiscard]] const StatementSettings& now() const { return now_; }
  // Rises with each change.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

  // Raises 42704 for an unknown name (unless it has a dot), 22023 for a bad value, 0A000.
  void set(std::string_view name, std::string_view value, bool local);
  void reset(std::string_view name);
  void reset_all();
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  // Like set, for the value that RESET goes back to.
  void set_default(std::string_view name, std::string_view value, bool force = false);

  void begin();     // of a transaction
  void commit();    // what was LOCAL goes
  void rollback();  // and what was set since begin(), too

  // Reported settings that have changed since the last call: for ParameterStatus.
  std::vector<std::pair<std::string, std::string>> take_reports();
  [[nodiscard]] std::vector<std::pair<SettingInfo, std::string>> all() const;

 private:
  using Values = std::map<std::string, std::string>;  // by lower-case name

  static std::string key_of(std::string_view name);
  std::string checked(const std::string& key, std::string_view value) const;
  void change(const std::string& key, std::string value);
  void adopt(std::shared_ptr<const Values> values);

  std::shared_ptr<const Values> values_;  // shared with at_begin_: a transaction copies nothing
  std::shared_ptr<const Values> at_begin_;
  Values defaults_;
  Values after_commit_;  // what LOCAL ones were before
  Values reported_;
  StatementSettings now_;
  std::uint64_t changes_ = 0;
  std::uint64_t reported_changes_ = 0;
  bool in_transaction_ = false;
};

}  // namespace calf::sqlite
