// The texts of a new cluster's configuration files, made from PostgreSQL's samples as initdb does.
// Text in, text out.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace calf::initdb {

struct Setting {
  std::string name;
  std::string value;  // not quoted
};

// postgresql.conf with `name = value` in the place of the first line that sets it, commented out or
// not; at the end when there is none. The line's comment stays, in its column; the value is quoted
// if it must be. Source: replace_guc_value().
std::string with_setting(std::string_view configuration, const Setting& setting);
std::string with_settings(std::string_view configuration, std::span<const Setting> settings);

struct Authentication {
  std::string_view local;  // method for Unix sockets
  std::string_view host;   // method for TCP
};
// pg_hba.conf from its sample.
std::string client_authentication(std::string_view sample, const Authentication& methods);

// postgresql.auto.conf before the first ALTER SYSTEM.
std::string_view empty_auto_configuration();

}  // namespace calf::initdb
