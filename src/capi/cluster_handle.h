// A cluster behind calf_cluster, and what its sessions need of it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capi/failure.h"
#include "cli/engine_factory.h"
#include "cli/options.h"
#include "net/tls_context.h"
#include "server/engine.h"
#include "server/server.h"

struct calf_cluster {
  unsigned generation = 0;                        // of the process (fork)
  calf::cli::ServeOptions options{};              // location, user, password, database, auth
  std::shared_ptr<calf::server::Engine> engine;   // shared with the calls that use it right now
  calf::cli::SnapshotSaver* snapshots = nullptr;  // the engine's

  struct Listener {
    std::unique_ptr<calf::net::TlsContext> tls;
    std::unique_ptr<calf::server::Server> server;
  };
  std::mutex mutex;
  std::vector<Listener> listeners;  // under `mutex`
};

namespace calf::capi {

// How often this process is a fork of the one that has loaded the library: handles of another
// generation are dead.
unsigned process_generation();

// The cluster, if `cluster` is one of this process.
Answer<calf_cluster*> check(calf_cluster* cluster);

// A struct of options as this version has it: what a caller of an older one does not know is zero.
template <typename Options>
Answer<Options> read_options(const Options* given, size_t least_size) {
  Options options = {};
  if (given == nullptr) return options;
  if (given->struct_size < least_size || given->struct_size > sizeof(Options)) {
    return fail(CALF_ERROR_INVALID,
                "struct_size is " + std::to_string(given->struct_size) + ", which no version had",
                "set it to sizeof the struct; a library older than the header cannot serve it");
  }
  __builtin_memcpy(&options, given, given->struct_size);
  return options;
}

inline std::string text_or(const char* text, const char* otherwise) {
  return text == nullptr ? otherwise : text;
}

// "name=value" strings.
Answer<std::vector<std::pair<std::string, std::string>>> read_pairs(const char* const* texts,
                                                                    size_t count);

}  // namespace calf::capi
