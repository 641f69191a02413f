// Opens the store that a URL names. Secrets do not belong in a URL: they come from the environment
// or from options.
//
//   s3://BUCKET/PREFIX?region=…&endpoint=…&path_style=true|false&profile=…
//   azure://ACCOUNT/CONTAINER/PREFIX?endpoint=…&managed_identity=true|false
//   file:///FOLDER, or a path
//   memory:                      gone with the program
#pragma once

#include <memory>

#include "blob/azure_store.h"
#include "blob/object_store.h"
#include "blob/s3_store.h"

namespace calf::blob {

struct FolderOptions {
  std::string path{};
};
struct MemoryOptions {};
using StoreOptions = std::variant<FolderOptions, MemoryOptions, S3Options, AzureOptions>;

// kInvalidArgument for another scheme, an unknown parameter, a bad value.
Result<StoreOptions> parse_store_url(const std::string& url,
                                     Environment environment = process_environment());

Result<std::unique_ptr<ObjectStore>> open_store(const StoreOptions& options);

}  // namespace calf::blob
