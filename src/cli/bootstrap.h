// What `calf serve` does in a cluster through SQL before it lets clients in: role, password,
// database, extensions, scripts.
#pragma once

#include "cli/options.h"
#include "server/engine.h"

namespace calf::cli {

// "scram-sha-256", as pg_hba.conf says it.
std::string method_name(AuthMethod method);

// pg_hba.conf for an authentication method: it holds for Unix sockets and for every address.
std::string hba_text(AuthMethod method);

// Whether clients may be let in at addresses that are not loopback. `loopback_only`: the server
// listens on nothing else. kPermissionDenied with what to do otherwise. Checked before a cluster is
// opened; what only pg_hba.conf can tell is left to check_hba.
Result<void> check_exposure(const ServeOptions& options, bool loopback_only);

// Makes the user, its password, the database and the extensions where they are missing, runs the
// init scripts when the cluster was `created`, and ends with a served query. An existing cluster
// that refuses the superuser `postgres` is served, too, when nothing has to be made. Blocks.
Result<void> bootstrap(server::Engine& engine, const ServeOptions& options, bool created);

// For a cluster that keeps its own pg_hba.conf: kPermissionDenied when it lets other machines in
// without a password, or not in at all.
Result<void> check_hba(server::Engine& engine);

}  // namespace calf::cli
