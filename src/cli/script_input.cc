#include "cli/script_input.h"

#include <cstdlib>

namespace calf::cli {

ScriptInput::~ScriptInput() {
  std::free(line_);
}

std::optional<std::string> ScriptInput::next_line() {
  const ssize_t size = ::getline(&line_, &capacity_, file_);
  if (size < 0) return std::nullopt;
  ++line_number_;
  std::string text(line_, static_cast<std::size_t>(size));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string ScriptInput::prefix() const {
  return name_.empty() ? "" : "calf:" + name_ + ":" + std::to_string(line_number_) + ": ";
}

}  // namespace calf::cli
