// Where a script's lines come from: a file, standard input, or a text.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

namespace calf::cli {

// Line by line, so that COPY's inline data can be taken by whoever runs the statement. One thread.
class ScriptInput {
 public:
  // `file` is borrowed. `name` goes in front of messages; empty: nothing does.
  ScriptInput(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  ~ScriptInput();
  ScriptInput(const ScriptInput&) = delete;
  ScriptInput& operator=(const ScriptInput&) = delete;

  // The next line without its line feed; nothing at the end.
  std::optional<std::string> next_line();

  // "calf:name:line: ", or nothing without a name.
  [[nodiscard]] std::string prefix() const;

 private:
  std::FILE* file_;
  std::string name_;
  char* line_ = nullptr;  // getline's
  std::size_t capacity_ = 0;
  std::size_t line_number_ = 0;
};

}  // namespace calf::cli
