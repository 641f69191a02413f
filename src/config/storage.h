// The storage section as options of blob and archive.
#pragma once

#include "archive/archiver.h"
#include "blob/store_url.h"
#include "config/config.h"

namespace calf::config {

// Where the archive of `database` is: below what the storage section names, since several databases
// share a bucket. Nothing for backend "none". kInvalidArgument when the backend's own options are
// missing, or when the database's name cannot be part of an object's.
Result<std::optional<blob::StoreOptions>> store_options(const Config& config,
                                                        const std::string& database);

// The store that `url` names, exactly there, with the storage section's credentials.
Result<blob::StoreOptions> store_options_at(const std::string& url, const Config& config);

// Durability, interval, bounds, retention, lease; the database is the caller's to set.
archive::ArchiverOptions archiver_options(const Config& config);

}  // namespace calf::config
