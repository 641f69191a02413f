// The settings of a session: SET, SHOW, RESET. What clients set at login is accepted when its
// meaning can be kept; a value that would change what comes back, and is not implemented, is
// refused.
#pragma once

#include <map>
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

// One thread.
class Settings {
 public:
  Settings();

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

  // "30s", "1500", "2min" in milliseconds. Raises 22023.
  [[nodiscard]] std::int64_t milliseconds(std::string_view name) const;

 private:
  static std::string key_of(std::string_view name);
  std::string checked(const std::string& key, std::string_view value) const;

  std::map<std::string, std::string> values_;  // by lower-case name
  std::map<std::string, std::string> defaults_;
  std::map<std::string, std::string> at_begin_;
  std::map<std::string, std::string> after_commit_;  // what LOCAL ones were before
  std::map<std::string, std::string> reported_;
  bool in_transaction_ = false;
};

}  // namespace calf::sqlite
