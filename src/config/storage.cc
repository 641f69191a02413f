#include "config/storage.h"

namespace calf::config {
namespace {

std::string as_prefix(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  while (text.starts_with('/')) text.erase(0, 1);
  return text.empty() ? text : text + "/";
}

tl::unexpected<Error> missing(const std::string& name, const std::string& backend) {
  return fail(ErrorCode::kInvalidArgument,
              name + " is missing, which storage.backend " + backend + " needs");
}

Result<blob::StoreOptions> s3_options(const Config& config) {
  blob::S3Options s3{.bucket = config.text("storage.s3.bucket"),
                     .prefix = as_prefix(config.text("storage.s3.prefix")),
                     .region = config.text("storage.s3.region"),
                     .endpoint = config.text("storage.s3.endpoint"),
                     .profile = config.text("storage.s3.profile")};
  if (s3.bucket.empty()) return missing("storage.s3.bucket", "s3");
  if (config.given("storage.s3.path_style")) s3.path_style = config.flag("storage.s3.path_style");
  const std::string id = config.text("storage.s3.access_key_id");
  const std::string secret = config.text("storage.s3.secret_access_key");
  if (id.empty() != secret.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "storage.s3.access_key_id and secret_access_key must be given together");
  }
  if (!id.empty()) s3.keys = blob::AwsKeys{id, secret, ""};
  return s3;
}

Result<blob::StoreOptions> azure_options(const Config& config) {
  blob::AzureOptions azure{
      .access = {.account = config.text("storage.azure.account"),
                 .key = config.text("storage.azure.key"),
                 .connection_string = config.text("storage.azure.connection_string"),
                 .sas = config.text("storage.azure.sas"),
                 .endpoint = config.text("storage.azure.endpoint"),
                 .use_managed_identity = config.flag("storage.azure.use_managed_identity")},
      .container = config.text("storage.azure.container"),
      .prefix = as_prefix(config.text("storage.azure.prefix"))};
  if (azure.container.empty()) return missing("storage.azure.container", "azure");
  return azure;
}

}  // namespace

Result<std::optional<blob::StoreOptions>> store_options(const Config& config) {
  const std::string backend = config.text("storage.backend");
  if (backend == "local") return blob::FolderOptions{config.text("storage.local.base_path")};
  if (backend == "s3") return s3_options(config);
  if (backend == "azure") return azure_options(config);
  return std::nullopt;
}

archive::ArchiverOptions archiver_options(const Config& config) {
  const std::string durability = config.text("storage.durability");
  return {.durability = durability == "commit"     ? archive::Durability::kCommit
                        : durability == "shutdown" ? archive::Durability::kShutdown
                                                   : archive::Durability::kInterval,
          .interval_ms = config.duration_ms("storage.interval"),
          .max_unshipped_bytes =
              static_cast<std::uint64_t>(config.number("storage.max_unshipped_mb")) << 20,
          .retention_ms = config.duration_ms("storage.retention")};
}

}  // namespace calf::config
