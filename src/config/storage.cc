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

Result<void> add_credentials(const Config& config, blob::S3Options& s3) {
  const std::string id = config.text("storage.s3.access_key_id");
  const std::string secret = config.text("storage.s3.secret_access_key");
  if (id.empty() != secret.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "storage.s3.access_key_id and secret_access_key must be given together");
  }
  if (!id.empty()) s3.keys = blob::AwsKeys{id, secret, ""};
  return {};
}

Result<blob::StoreOptions> s3_options(const Config& config, const std::string& database) {
  blob::S3Options s3{.bucket = config.text("storage.s3.bucket"),
                     .prefix = as_prefix(config.text("storage.s3.prefix")) + database + "/",
                     .region = config.text("storage.s3.region"),
                     .endpoint = config.text("storage.s3.endpoint"),
                     .profile = config.text("storage.s3.profile")};
  if (s3.bucket.empty()) return missing("storage.s3.bucket", "s3");
  if (config.given("storage.s3.path_style")) s3.path_style = config.flag("storage.s3.path_style");
  CALF_CHECK_OK(add_credentials(config, s3));
  return s3;
}

Result<blob::StoreOptions> azure_options(const Config& config, const std::string& database) {
  blob::AzureOptions azure{
      .access = {.account = config.text("storage.azure.account"),
                 .key = config.text("storage.azure.key"),
                 .connection_string = config.text("storage.azure.connection_string"),
                 .sas = config.text("storage.azure.sas"),
                 .endpoint = config.text("storage.azure.endpoint"),
                 .use_managed_identity = config.flag("storage.azure.use_managed_identity")},
      .container = config.text("storage.azure.container"),
      .prefix = as_prefix(config.text("storage.azure.prefix")) + database + "/"};
  if (azure.container.empty()) return missing("storage.azure.container", "azure");
  return azure;
}

}  // namespace

Result<std::optional<blob::StoreOptions>> store_options(const Config& config,
                                                        const std::string& database) {
  const std::string backend = config.text("storage.backend");
  if (backend == "none") return std::nullopt;
  if (!blob::check_key(database) || database.find('/') != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument,
                "database \"" + database + "\" cannot be kept in storage under its name",
                "use letters, digits, '.', '_' and '-' only");
  }
  if (backend == "s3") return s3_options(config, database);
  if (backend == "azure") return azure_options(config, database);
  return blob::FolderOptions{config.text("storage.local.base_path") + "/" + database};
}

Result<blob::StoreOptions> store_options_at(const std::string& url, const Config& config) {
  CALF_TRY(blob::StoreOptions options, blob::parse_store_url(url));
  if (auto* s3 = std::get_if<blob::S3Options>(&options)) {
    CALF_CHECK_OK(add_credentials(config, *s3));
  } else if (auto* azure = std::get_if<blob::AzureOptions>(&options)) {
    azure->access.key = config.text("storage.azure.key");
    azure->access.sas = config.text("storage.azure.sas");
  }
  return options;
}

archive::ArchiverOptions archiver_options(const Config& config) {
  const std::string durability = config.text("storage.durability");
  return {.durability = durability == "commit"     ? archive::Durability::kCommit
                        : durability == "shutdown" ? archive::Durability::kShutdown
                                                   : archive::Durability::kInterval,
          .interval_ms = config.duration_ms("storage.interval"),
          .max_unshipped_bytes =
              static_cast<std::uint64_t>(config.number("storage.max_unshipped_mb")) << 20,
          .retention_ms = config.duration_ms("storage.retention"),
          .lease_ttl_ms = config.duration_ms("storage.lease_ttl"),
          .lease_wait_ms = config.duration_ms("storage.lease_wait")};
}

}  // namespace calf::config
