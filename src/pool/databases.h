// What the pool needs done with databases.
#pragma once

#include <set>
#include <string>

#include "base/result.h"

namespace calf::pool {

// Functions block, and may be called from any thread. Names are branches' names.
class Databases {
 public:
  Databases() = default;
  Databases(const Databases&) = delete;
  Databases& operator=(const Databases&) = delete;
  virtual ~Databases() = default;

  // A copy of the server's own cluster.
  virtual Result<void> create_template(const std::string& name) = 0;
  // A copy of the template as it is now, which soon needs no moment to wake for its first session.
  virtual Result<void> create_test(const std::string& template_name, const std::string& name) = 0;
  // The same under a name that exists; ends its sessions.
  virtual Result<void> reset_test(const std::string& template_name, const std::string& name) = 0;
  // Ends its sessions, too. A template must have no tests.
  virtual Result<void> drop(const std::string& name) = 0;
  // Those that have sessions.
  virtual Result<std::set<std::string>> in_use() = 0;

  // Calls that wait fail, and so do later ones.
  virtual void close() = 0;
};

}  // namespace calf::pool
