// What is fed to the image: the bootstrap script (BKI) and the SQL that follows it. Text in, text
// out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace calf::initdb {

inline constexpr std::string_view kMajorVersion = "18";

// The facts that postgres.bki leaves open.
struct ClusterFacts {
  std::string superuser;
  int encoding = 0;
  std::string collate;         // pg_database.datcollate: the C library's locale
  std::string character_type;  // pg_database.datctype
  std::string locale;          // pg_database.datlocale, of the builtin provider
};

// postgres.bki with its placeholders filled in. kDataCorrupted when it is not of kMajorVersion.
Result<std::string> bootstrap_script(std::string_view bki, const ClusterFacts& facts);

// The contents of PostgreSQL's own files that the SQL script is made of.
struct SqlFiles {
  std::string system_constraints;
  std::string system_functions;
  std::string system_views;
  std::string snowball_create;
  std::string information_schema;
  std::string sql_features_path;  // where the guest finds sql_features.txt
};

struct SqlFacts {
  std::string superuser;
  std::optional<std::string> password;
  int encoding = 0;
};

// Everything that initdb feeds to `--single -j … template1`, in its order; statements end in
// ";\n\n".
std::string post_bootstrap_script(const SqlFiles& files, const SqlFacts& facts);

}  // namespace calf::initdb
