// The command of --run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace calf::cli {

// A running shell command. One thread.
class Child {
 public:
  // Starts `/bin/sh -c command` with `variables` added to the environment, default signal handling,
  // and this process's streams. kIo when it cannot be started.
  static Result<Child> start(const std::string& command,
                             const std::vector<std::pair<std::string, std::string>>& variables);

  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();  // does not end the command

  // Readable when the command has ended.
  [[nodiscard]] int descriptor() const { return descriptor_; }

  void signal(int number) const;

  // Waits for the end. The command's exit code, or 128 + the signal that ended it.
  int wait();

 private:
  Child(int pid, int descriptor) : pid_(pid), descriptor_(descriptor) {}
  int pid_;
  int descriptor_;
};

}  // namespace calf::cli
