#include "blob/store_url.h"

#include "blob/local_store.h"
#include "blob/memory_store.h"

namespace calf::blob {
namespace {

struct UrlParts {
  std::string first{};  // between "://" and the first slash
  std::string path{};   // after it
  Query query{};
};

UrlParts split(const std::string& rest) {
  UrlParts parts;
  const std::size_t question = std::min(rest.find('?'), rest.size());
  const std::string location = rest.substr(0, question);
  const std::size_t slash = std::min(location.find('/'), location.size());
  parts.first = location.substr(0, slash);
  if (slash < location.size()) parts.path = location.substr(slash + 1);
  for (std::size_t begin = question + 1; begin < rest.size();) {
    const std::size_t end = std::min(rest.find('&', begin), rest.size());
    const std::string item = rest.substr(begin, end - begin);
    const std::size_t equals = std::min(item.find('='), item.size());
    parts.query.emplace_back(item.substr(0, equals),
                             percent_decode(item.substr(std::min(equals + 1, item.size()))));
    begin = end + 1;
  }
  return parts;
}

std::string as_prefix(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text.empty() ? text : text + "/";
}

tl::unexpected<Error> unknown_parameter(const std::string& name) {
  return fail(ErrorCode::kInvalidArgument, "a store's URL has no parameter \"" + name + "\"",
              "s3: region, endpoint, path_style, profile; azure: endpoint, managed_identity");
}

Result<bool> parse_flag(const std::string& name, const std::string& value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return fail(ErrorCode::kInvalidArgument, name + " must be true or false, not \"" + value + "\"");
}

Result<StoreOptions> parse_s3(const UrlParts& parts, Environment environment) {
  S3Options options{.bucket = parts.first,
                    .prefix = as_prefix(parts.path),
                    .environment = std::move(environment)};
  for (const auto& [name, value] : parts.query) {
    if (name == "region") {
      options.region = value;
    } else if (name == "endpoint") {
      options.endpoint = value;
    } else if (name == "profile") {
      options.profile = value;
    } else if (name == "path_style") {
      CALF_TRY(options.path_style, parse_flag(name, value));
    } else {
      return unknown_parameter(name);
    }
  }
  return options;
}

Result<StoreOptions> parse_azure(const UrlParts& parts, Environment environment) {
  const std::size_t slash = std::min(parts.path.find('/'), parts.path.size());
  AzureOptions options{
      .access = {.account = parts.first},
      .container = parts.path.substr(0, slash),
      .prefix = as_prefix(slash < parts.path.size() ? parts.path.substr(slash + 1) : std::string()),
      .environment = std::move(environment)};
  for (const auto& [name, value] : parts.query) {
    if (name == "endpoint") {
      options.access.endpoint = value;
    } else if (name == "managed_identity") {
      CALF_TRY(options.access.use_managed_identity, parse_flag(name, value));
    } else {
      return unknown_parameter(name);
    }
  }
  return options;
}

template <typename Store, typename Options>
Result<std::unique_ptr<ObjectStore>> open_as(const Options& options) {
  CALF_TRY(auto store, Store::open(options));
  return std::unique_ptr<ObjectStore>(std::move(store));
}

struct Opener {
  Result<std::unique_ptr<ObjectStore>> operator()(const FolderOptions& options) const {
    return open_as<LocalStore>(options.path);
  }
  Result<std::unique_ptr<ObjectStore>> operator()(const MemoryOptions&) const {
    return std::make_unique<MemoryStore>();
  }
  Result<std::unique_ptr<ObjectStore>> operator()(const S3Options& options) const {
    return open_as<S3Store>(options);
  }
  Result<std::unique_ptr<ObjectStore>> operator()(const AzureOptions& options) const {
    return open_as<AzureStore>(options);
  }
};

}  // namespace

Result<StoreOptions> parse_store_url(const std::string& url, Environment environment) {
  const auto after = [&](std::string_view scheme) { return split(url.substr(scheme.size())); };
  if (url == "memory:" || url == "memory://") return MemoryOptions{};
  if (url.starts_with("s3://")) return parse_s3(after("s3://"), std::move(environment));
  if (url.starts_with("azure://")) return parse_azure(after("azure://"), std::move(environment));
  constexpr std::string_view kFile = "file://";
  const std::string path = url.starts_with(kFile) ? url.substr(kFile.size()) : url;
  if (path.empty() || path.find("://") != std::string::npos) {
    return fail(ErrorCode::kInvalidArgument, "\"" + url + "\" is not a store",
                "give s3://bucket/prefix, azure://account/container/prefix, or a folder");
  }
  return FolderOptions{path};
}

Result<std::unique_ptr<ObjectStore>> open_store(const StoreOptions& options) {
  return std::visit(Opener{}, options);
}

}  // namespace calf::blob
