// Runs the image once as a single process (`postgres --boot`, `postgres --single`), with a given
// standard input, until it exits. For making a data directory and for maintenance of a stopped
// cluster; sessions are cluster.h's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "vfs/namespace.h"

namespace calf::postgres {

struct StandaloneRun {
  std::shared_ptr<vfs::Namespace> tree;
  std::vector<std::string> arguments;  // argv, the program's name first
  std::string input;                   // standard input
};

struct StandaloneOutcome {
  int exit_code = 0;   // 128 + n when signal n ended it
  std::string output;  // standard output
  std::string errors;  // standard error
};

// Blocks; any thread that runs no other guest.
Result<StandaloneOutcome> run_standalone(const StandaloneRun& run);

}  // namespace calf::postgres
