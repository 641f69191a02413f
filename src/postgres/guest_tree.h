// The file tree that a cluster's guests see, and their environment.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "vfs/namespace.h"

namespace calf::postgres {

inline constexpr const char* kGuestDataDirectory = "/pglite/data";
// A pg_hba.conf that trusts everybody, for clients inside this program.
inline constexpr const char* kTrustFile = "/tmp/pg_hba.trust.conf";

// `installation` (PostgreSQL's own read-only files) at /pglite, `data` at /pglite/data, devices,
// and memory for /dev/shm and /tmp. Nothing else of the host can be reached.
Result<std::shared_ptr<vfs::Namespace>> make_guest_tree(
    std::shared_ptr<vfs::FileSystem> installation, std::shared_ptr<vfs::FileSystem> data,
    std::shared_ptr<const os::Clock> clock);

std::vector<std::string> guest_environment();

// The postmaster's command line with these settings, as with `postgres -c name=value`; later ones
// win.
std::vector<std::string> postmaster_arguments(
    const std::vector<std::pair<std::string, std::string>>& settings);

}  // namespace calf::postgres
