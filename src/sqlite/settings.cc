#include "sqlite/settings.h"

#include <algorithm>
#include <cstdlib>

#include "sqlite/datetime.h"
#include "sqlite/sql_error.h"

namespace calf::sqlite {
namespace {

const std::vector<SettingInfo>& known() {
  static const std::vector<SettingInfo> settings = {
      {"application_name", "", "Sets the application name to be reported in statistics and logs.",
       true},
      {"bytea_output", "hex", "Sets the output format for bytea."},
      {"client_encoding", "UTF8", "Sets the client's character set encoding.", true},
      {"client_min_messages", "notice", "Sets the message levels that are sent to the client."},
      {"DateStyle", "ISO, MDY", "Sets the display format for date and time values.", true},
      {"default_table_access_method", "heap",
       "Sets the default table access method for new tables.", false, true},
      {"default_tablespace", "", "Sets the default tablespace to create tables and indexes in."},
      {"default_transaction_isolation", "read committed",
       "Sets the transaction isolation level of each new transaction."},
      {"default_transaction_read_only", "off",
       "Sets the default read-only status of new transactions.", true},
      {"default_transaction_deferrable", "off",
       "Sets the default deferrable status of new transactions."},
      {"extra_float_digits", "1", "Sets the number of digits displayed for floating-point values."},
      {"idle_in_transaction_session_timeout", "0",
       "Sets the maximum allowed idle time between queries, when in a transaction."},
      {"in_hot_standby", "off", "Shows whether hot standby is currently active.", true, true},
      {"integer_datetimes", "on", "Shows whether datetimes are integer based.", true, true},
      {"IntervalStyle", "postgres", "Sets the display format for interval values.", true},
      {"is_superuser", "on", "Shows whether the current user is a superuser.", true, true},
      {"jit", "off", "Allow JIT compilation."},
      {"lc_collate", "C", "Shows the collation order locale.", false, true},
      {"lc_ctype", "C.UTF-8", "Shows the character classification and case conversion locale.",
       false, true},
      {"lc_messages", "C", "Sets the language in which messages are displayed."},
      {"lc_monetary", "C", "Sets the locale for formatting monetary amounts."},
      {"lc_numeric", "C", "Sets the locale for formatting numbers."},
      {"lc_time", "C", "Sets the locale for formatting date and time values."},
      {"lock_timeout", "0", "Sets the maximum allowed duration of any wait for a lock."},
      {"max_connections", "100", "Sets the maximum number of concurrent connections.", false, true},
      {"max_identifier_length", "63", "Shows the maximum identifier length.", false, true},
      {"max_index_keys", "32", "Shows the maximum number of index keys.", false, true},
      {"port", "5432", "Sets the TCP port the server listens on.", false, true},
      {"row_security", "on", "Enables row security."},
      {"scram_iterations", "4096", "Sets the iteration count for SCRAM secret generation.", true,
       true},
      {"search_path", "\"$user\", public",
       "Sets the schema search order for names that are not schema-qualified.", true},
      {"server_encoding", "UTF8", "Shows the server (database) character set encoding.", true,
       true},
      {"server_version", "18.0", "Shows the server version.", true, true},
      {"server_version_num", "180000", "Shows the server version as an integer.", false, true},
      {"session_authorization", "postgres", "Sets the current session's user name.", true, true},
      {"standard_conforming_strings", "on", "Causes '...' strings to treat backslashes literally.",
       true},
      {"statement_timeout", "0", "Sets the maximum allowed duration of any statement."},
      {"synchronize_seqscans", "on", "Enables synchronized sequential scans."},
      {"synchronous_commit", "on", "Sets the current transaction's synchronization level."},
      {"TimeZone", "Etc/UTC", "Sets the time zone for displaying and interpreting time stamps.",
       true},
      {"transaction_isolation", "read committed",
       "Sets the current transaction's isolation level."},
      {"transaction_read_only", "off", "Sets the current transaction's read-only status."},
      {"transaction_deferrable", "off", "Whether to defer a read-only serializable transaction."},
      {"transaction_timeout", "0",
       "Sets the maximum allowed duration of any transaction within a session."},
      {"work_mem", "4MB", "Sets the maximum memory to be used for query workspaces."},
      {"calf.engine", "sqlite", "Shows which engine answers.", false, true},
      {"calf.transaction_mode", "deferred", "How BEGIN begins: deferred, immediate or exclusive."},
  };
  return settings;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), ::tolower);
  return out;
}

const SettingInfo* find(const std::string& key) {
  for (const SettingInfo& info : known()) {
    if (lower(info.name) == key) return &info;
  }
  return nullptr;
}

[[noreturn]] void bad_value(const char* name, std::string_view value) {
  raise("22023", "invalid value for parameter \"" + std::string(name) + "\": \"" +
                     std::string(value) + "\"");
}

std::string boolean(const char* name, std::string_view value) {
  const std::string text = lower(value);
  if (text == "on" || text == "true" || text == "yes" || text == "1") return "on";
  if (text == "off" || text == "false" || text == "no" || text == "0") return "off";
  raise("22023", std::string("parameter \"") + name + "\" requires a Boolean value");
}

}  // namespace

Settings::Settings() {
  for (const SettingInfo& info : known()) defaults_[lower(info.name)] = info.value;
  values_ = defaults_;
}

std::string Settings::key_of(std::string_view name) {
  return lower(name);
}

std::string Settings::checked(const std::string& key, std::string_view value) const {
  const SettingInfo* info = find(key);
  if (info == nullptr) {
    if (key.find('.') != std::string::npos) return std::string(value);
    raise("42704", "unrecognized configuration parameter \"" + key + "\"");
  }
  if (info->read_only)
    raise("55P02", "parameter \"" + std::string(info->name) + "\" cannot be changed");
  const std::string text = lower(value);
  if (key == "client_encoding") {
    // asyncpg quotes it, and a hyphen does not count.
    std::string name = text;
    std::erase_if(name, [](char c) { return c == '\'' || c == '-'; });
    if (name != "utf8" && name != "unicode" && name != "sql_ascii")
      unsupported("client_encoding " + std::string(value));
    return "UTF8";
  }
  if (key == "datestyle") {
    if (text.find("iso") == std::string::npos || text.find("dmy") != std::string::npos ||
        text.find("ymd") != std::string::npos)
      unsupported("DateStyle " + std::string(value));
    return "ISO, MDY";
  }
  if (key == "intervalstyle") {
    if (text != "postgres") unsupported("IntervalStyle " + std::string(value));
    return text;
  }
  if (key == "standard_conforming_strings") {
    if (boolean(info->name, value) == "off") unsupported("standard_conforming_strings off");
    return "on";
  }
  if (key == "bytea_output") {
    if (text != "hex" && text != "escape") bad_value(info->name, value);
    return text;
  }
  if (key == "timezone") {
    if (Zone::find(value) == nullptr) bad_value(info->name, value);
    return std::string(value);
  }
  if (key == "extra_float_digits") {
    if (std::atoi(text.c_str()) < 1) unsupported("extra_float_digits below 1");
    return text;
  }
  if (key == "calf.transaction_mode") {
    if (text != "deferred" && text != "immediate" && text != "exclusive")
      bad_value(info->name, value);
    return text;
  }
  if (key.ends_with("read_only") || key == "jit" || key == "row_security" ||
      key.ends_with("deferrable"))
    return boolean(info->name, value);
  if (key.ends_with("isolation")) {
    if (text != "read committed" && text != "repeatable read" && text != "serializable" &&
        text != "read uncommitted")
      bad_value(info->name, value);
    return text;
  }
  return std::string(value);
}

void Settings::set(std::string_view name, std::string_view value, bool local) {
  const std::string key = key_of(name);
  std::string accepted = checked(key, value);
  if (local && !in_transaction_) return;
  if (local) {
    if (!after_commit_.contains(key)) after_commit_[key] = values_[key];
  } else {
    after_commit_.erase(key);
  }
  values_[key] = std::move(accepted);
}

void Settings::set_default(std::string_view name, std::string_view value, bool force) {
  const std::string key = key_of(name);
  values_[key] = force ? std::string(value) : checked(key, value);
  defaults_[key] = values_[key];
}

void Settings::reset(std::string_view name) {
  const std::string key = key_of(name);
  const auto found = defaults_.find(key);
  if (found == defaults_.end() && key.find('.') == std::string::npos)
    raise("42704", "unrecognized configuration parameter \"" + key + "\"");
  values_[key] = found == defaults_.end() ? "" : found->second;
}

void Settings::reset_all() {
  values_ = defaults_;
}

std::optional<std::string> Settings::get(std::string_view name) const {
  const auto found = values_.find(key_of(name));
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

void Settings::begin() {
  in_transaction_ = true;
  at_begin_ = values_;
  after_commit_.clear();
}

void Settings::commit() {
  for (const auto& [key, value] : after_commit_) values_[key] = value;
  after_commit_.clear();
  in_transaction_ = false;
}

void Settings::rollback() {
  if (in_transaction_) values_ = at_begin_;
  after_commit_.clear();
  in_transaction_ = false;
}

std::vector<std::pair<std::string, std::string>> Settings::take_reports() {
  std::vector<std::pair<std::string, std::string>> out;
  for (const SettingInfo& info : known()) {
    if (!info.report) continue;
    const std::string& value = values_[lower(info.name)];
    auto [entry, fresh] = reported_.try_emplace(info.name, value);
    if (!fresh && entry->second == value) continue;
    entry->second = value;
    out.emplace_back(info.name, value);
  }
  return out;
}

std::vector<std::pair<SettingInfo, std::string>> Settings::all() const {
  std::vector<std::pair<SettingInfo, std::string>> out;
  for (const SettingInfo& info : known()) out.emplace_back(info, values_.at(lower(info.name)));
  return out;
}

std::int64_t Settings::milliseconds(std::string_view name) const {
  const std::string text = get(name).value_or("0");
  char* end = nullptr;
  const double amount = std::strtod(text.c_str(), &end);
  std::string unit = end;
  unit.erase(std::remove(unit.begin(), unit.end(), ' '), unit.end());
  const double factor = unit.empty() || unit == "ms" ? 1
                        : unit == "s"                ? 1000
                        : unit == "min"              ? 60'000
                        : unit == "h"                ? 3'600'000
                        : unit == "d"                ? 86'400'000
                                                     : -1;
  if (factor < 0 || amount < 0)
    raise("22023", "invalid value for parameter \"" + std::string(name) + "\": \"" + text + "\"");
  return static_cast<std::int64_t>(amount * factor);
}

}  // namespace calf::sqlite
