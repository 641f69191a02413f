// What SQL asks of the program around PostgreSQL: the commands of the extension calf
// (guest/extension), which make branches. Not the commands themselves: whoever starts a cluster
// brings them along.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace calf::postgres {

struct HostCommand {
  std::string_view verb, name, argument;
  // Where the newest WAL record is that changed data. As long as this is the same, the files hold
  // the same database.
  uint64_t written_to = 0;
};

struct CommandAnswer {
  static constexpr const char* kDone = "00000";
  // Ask again; or, if there is a text, ask for the verb "await" with it as the name.
  static constexpr const char* kNotYet = "00001";
  std::string sqlstate = kDone;
  std::string text{};  // the answer, or a message and, after a line feed, a hint
};

// Called on the cluster's thread while none of its processes is in the middle of anything; must not
// block, nor start or end the cluster that asks.
class HostCommands {
 public:
  HostCommands() = default;
  HostCommands(const HostCommands&) = delete;
  HostCommands& operator=(const HostCommands&) = delete;
  virtual ~HostCommands() = default;

  // What must have happened to the data directory's files when run() is called: nothing; the WAL
  // has all that was committed; or so have the other files, so that who starts on a copy of them
  // has next to nothing to replay.
  enum class Preparation { kNone, kFlush, kCheckpoint };
  virtual Preparation preparation(const HostCommand& command) = 0;
  virtual CommandAnswer run(const HostCommand& command) = 0;
};

}  // namespace calf::postgres
