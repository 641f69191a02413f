// The storage section as options of blob and archive.
#pragma once

#include "archive/archiver.h"
#include "blob/store_url.h"
#include "config/config.h"

namespace calf::config {

// Nothing for backend "none". kInvalidArgument when the backend's own options are missing.
Result<std::optional<blob::StoreOptions>> store_options(const Config& config);

// Durability, interval, retention, bound; the database is the caller's to set.
archive::ArchiverOptions archiver_options(const Config& config);

}  // namespace calf::config
