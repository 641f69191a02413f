#include "sqlite/settings.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

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
      {"server_version", "18.6", "Shows the server version.", true, true},
      {"server_version_num", "180006", "Shows the server version as an integer.", false, true},
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

struct TimeUnit {
  const char* name;
  std::int64_t ms;
};
constexpr TimeUnit kTimeUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1000}, {"ms", 1}};

// "30s", "1500", "2min" in milliseconds.
std::int64_t milliseconds(const char* name, std::string_view value) {
  const std::string text(value);
  char* end = nullptr;
  const double amount = std::strtod(text.c_str(), &end);
  std::string unit = end;
  std::erase(unit, ' ');
  double factor = unit.empty() ? 1 : -1;
  for (const TimeUnit& known_unit : kTimeUnits) {
    if (unit == known_unit.name) factor = static_cast<double>(known_unit.ms);
  }
  if (factor < 0 || end == text.c_str()) bad_value(name, value);
  const double result = std::round(amount * factor);
  if (!(result >= 0 && result <= INT32_MAX))
    raise("22023", std::to_string(static_cast<std::int64_t>(std::clamp(result, -9e18, 9e18))) +
                       " ms is outside the valid range for parameter \"" + name +
                       "\" (0 ms .. 2147483647 ms)");
  return static_cast<std::int64_t>(result);
}

// In the largest unit that it is a whole number of.
std::string duration_text(std::int64_t ms) {
  if (ms == 0) return "0";
  for (const TimeUnit& unit : kTimeUnits) {
    if (ms % unit.ms == 0) return std::to_string(ms / unit.ms) + unit.name;
  }
  return std::to_string(ms) + "ms";
}

// Identifiers with commas between them; false: that is not what it is.
bool read_names(std::string_view list, std::vector<std::string>& names) {
  const auto skip = [&] {
    list.remove_prefix(std::min(list.find_first_not_of(" \t\n\r"), list.size()));
  };
  for (skip(); !list.empty(); skip()) {
    std::string name;
    if (list[0] == '"') {
      for (list.remove_prefix(1);; list.remove_prefix(1)) {
        if (list.empty()) return false;
        if (list[0] == '"' && !list.starts_with("\"\"")) break;
        if (list[0] == '"') list.remove_prefix(1);
        name += list[0];
      }
      list.remove_prefix(1);
    } else {
      const std::size_t size = std::min(list.find_first_of(", \t\n\r"), list.size());
      name = lower(list.substr(0, size));
      list.remove_prefix(size);
    }
    if (name.empty()) return false;
    names.push_back(std::move(name));
    skip();
    if (list.empty()) return true;
    if (list[0] != ',') return false;
    list.remove_prefix(1);
    skip();
    if (list.empty()) return false;
  }
  return true;
}

}  // namespace

Settings::Settings() {
  for (const SettingInfo& info : known()) defaults_[lower(info.name)] = info.value;
  adopt(std::make_shared<Values>(defaults_));
}

void Settings::adopt(std::shared_ptr<const Values> values) {
  values_ = std::move(values);
  ++changes_;
  const auto time = [&](const char* name) { return milliseconds(name, values_->at(name)); };
  now_ = {.statement_timeout_ms = time("statement_timeout"),
          .lock_timeout_ms = time("lock_timeout"),
          .idle_in_transaction_ms = time("idle_in_transaction_session_timeout"),
          .bytea_escape = values_->at("bytea_output") == "escape",
          .interval_iso = values_->at("intervalstyle") == "iso_8601",
          .time_zone = values_->at("timezone"),
          .environment = values_->at("timezone") + "\n" + values_->at("search_path") + "\n" +
                         values_->at("intervalstyle") + "\n" + values_->at("bytea_output")};
  read_names(values_->at("search_path"), now_.search_path);
}

void Settings::change(const std::string& key, std::string value) {
  auto changed = std::make_shared<Values>(*values_);
  (*changed)[key] = std::move(value);
  adopt(std::move(changed));
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
    if (text == "sql_standard" || text == "postgres_verbose")
      unsupported("IntervalStyle " + std::string(value));
    if (text != "postgres" && text != "iso_8601") bad_value(info->name, value);
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
  if (key.ends_with("_timeout")) return duration_text(milliseconds(info->name, text));
  if (key == "search_path") {
    std::vector<std::string> names;
    if (!read_names(value, names)) bad_value(info->name, value);
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
    const auto before = values_->find(key);
    after_commit_.try_emplace(key, before == values_->end() ? "" : before->second);
  } else {
    after_commit_.erase(key);
  }
  change(key, std::move(accepted));
}

void Settings::set_default(std::string_view name, std::string_view value, bool force) {
  const std::string key = key_of(name);
  defaults_[key] = force ? std::string(value) : checked(key, value);
  change(key, defaults_[key]);
}

void Settings::reset(std::string_view name) {
  const std::string key = key_of(name);
  const auto found = defaults_.find(key);
  if (found == defaults_.end() && key.find('.') == std::string::npos)
    raise("42704", "unrecognized configuration parameter \"" + key + "\"");
  change(key, found == defaults_.end() ? "" : found->second);
}

void Settings::reset_all() {
  adopt(std::make_shared<Values>(defaults_));
}

std::optional<std::string> Settings::get(std::string_view name) const {
  const auto found = values_->find(key_of(name));
  if (found == values_->end()) return std::nullopt;
  return found->second;
}

void Settings::begin() {
  in_transaction_ = true;
  at_begin_ = values_;
  after_commit_.clear();
}

void Settings::commit() {
  for (const auto& [key, value] : after_commit_) change(key, value);
  after_commit_.clear();
  in_transaction_ = false;
}

void Settings::rollback() {
  if (in_transaction_ && values_ != at_begin_) adopt(at_begin_);
  after_commit_.clear();
  in_transaction_ = false;
}

std::vector<std::pair<std::string, std::string>> Settings::take_reports() {
  std::vector<std::pair<std::string, std::string>> out;
  if (std::exchange(reported_changes_, changes_) == changes_) return out;
  for (const SettingInfo& info : known()) {
    if (!info.report) continue;
    const std::string& value = values_->at(lower(info.name));
    auto [entry, fresh] = reported_.try_emplace(info.name, value);
    if (!fresh && entry->second == value) continue;
    entry->second = value;
    out.emplace_back(info.name, value);
  }
  return out;
}

std::vector<std::pair<SettingInfo, std::string>> Settings::all() const {
  std::vector<std::pair<SettingInfo, std::string>> out;
  for (const SettingInfo& info : known()) out.emplace_back(info, values_->at(lower(info.name)));
  return out;
}

}  // namespace calf::sqlite
