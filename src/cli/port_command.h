// `calf port`: one session over standard input and output, for a program that has started this one
// (an Erlang port, say).
#pragma once

#include "cli/options.h"

namespace calf::cli {

// Opens the cluster, carries bytes between the streams and a session until standard input or the
// session ends, stops the cluster. The process's exit code: 0, or 1 when something failed, which
// was told in a packet "ERROR: …" and on standard error. Never throws.
int run_port(const PortOptions& options);

}  // namespace calf::cli
