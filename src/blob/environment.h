// Environment variables, as a function so that tests can have their own.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace calf::blob {

// Nothing for a variable that is not set or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The process's own. Any thread, as long as none changes it.
Environment process_environment();

}  // namespace calf::blob
