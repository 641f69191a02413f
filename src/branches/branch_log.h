// The log of one branch: its lines begin with the branch's name.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace calf::branches {

// A line without its line feed.
using LogSink = std::function<void(std::string_view)>;

// Any thread. A cluster may log before anybody knows which branch it will be: such lines wait.
class BranchLog {
 public:
  explicit BranchLog(LogSink sink) : sink_(std::move(sink)) {}

  // Once.
  void set_name(const std::string& name);
  void write(std::string_view line);

 private:
  const LogSink sink_;
  std::mutex mutex_;
  std::string prefix_;  // empty: not known yet
  std::vector<std::string> held_;
};

}  // namespace calf::branches
