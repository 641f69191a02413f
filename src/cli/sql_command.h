// `calf sql`: runs commands and scripts in a session and prints what psql would.
#pragma once

#include <cstdio>

#include "cli/options.h"
#include "client/session.h"

namespace calf::cli {

// psql's exit codes.
constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;  // a failed -c, a file that cannot be read
constexpr int kExitBadConnection = 2;
constexpr int kExitUser = 3;  // a failed script, with ON_ERROR_STOP

struct SqlStreams {
  std::FILE* in = stdin;
  std::FILE* out = stdout;
  std::FILE* err = stderr;
};

// Runs options.inputs, or `streams.in` when there are none, and returns the exit code.
int run_inputs(client::Session& session, const SqlOptions& options, SqlStreams streams);

// Opens the cluster, logs in, runs everything, stops the cluster. The process's exit code. Never
// throws.
int run_sql(const SqlOptions& options);

}  // namespace calf::cli
