#include "blob/s3_store.h"

#include <algorithm>
#include <pugixml.hpp>

#include "blob/ranged_get.h"
#include "blob/store_errors.h"
#include "os/clock.h"

namespace calf::blob {
namespace {

constexpr std::uint64_t kMaxParts = 10'000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

bool is_bucket_name(const std::string& name) {
  return name.size() >= 3 && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos;
}

std::string choose_region(const S3Options& options) {
  if (!options.region.empty()) return options.region;
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (const auto value = options.environment(name)) return *value;
  }
  return profile_region(options.environment, options.profile).value_or("us-east-1");
}

std::string choose_endpoint(const S3Options& options) {
  if (!options.endpoint.empty()) return options.endpoint;
  for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    if (const auto value = options.environment(name)) return *value;
  }
  return {};
}

pugi::xml_node parse(const std::string& body, pugi::xml_document& document, const char* root) {
  document.load_buffer(body.data(), body.size());
  return document.child(root);
}

// 409: two conditional puts at the same time. 404: If-Match on an object that is gone.
bool is_refused(const HttpResponse& response, const Condition& condition) {
  return response.status == 412 || response.status == 409 ||
         (condition.is_match() && response.status == 404);
}

}  // namespace

Result<std::unique_ptr<S3Store>> S3Store::open(S3Options options) {
  if (!is_bucket_name(options.bucket)) {
    return fail(ErrorCode::kInvalidArgument, "\"" + options.bucket + "\" is not a bucket's name");
  }
  options.region = choose_region(options);
  const std::string endpoint = choose_endpoint(options);
  if (!endpoint.empty() && !endpoint.starts_with("http://") && !endpoint.starts_with("https://")) {
    return fail(ErrorCode::kInvalidArgument, "the S3 endpoint \"" + endpoint + "\" is not a URL",
                "write it as https://host:port");
  }
  const bool path_style = options.path_style.value_or(
      !endpoint.empty() || options.bucket.find('.') != std::string::npos);
  std::string origin = endpoint;
  if (origin.empty()) {
    origin = "https://s3." + options.region + ".amazonaws.com" +
             (options.region.starts_with("cn-") ? ".cn" : "");
  }
  while (origin.ends_with('/')) origin.pop_back();
  if (!path_style) origin.insert(origin.find("://") + 3, options.bucket + ".");
  if (options.http.ca_file.empty()) {
    options.http.ca_file = options.environment("AWS_CA_BUNDLE").value_or("");
  }
  CALF_TRY(auto http, HttpClient::create(options.http));
  const std::string path = path_style ? "/" + options.bucket : "";
  return std::unique_ptr<S3Store>(new S3Store(std::move(options), origin, path, std::move(http)));
}

S3Store::S3Store(S3Options options, std::string host, std::string path,
                 std::shared_ptr<HttpClient> http)
    : RemoteStore(std::move(http), options.retry),
      options_(std::move(options)),
      host_(std::move(host)),
      path_(std::move(path)),
      credentials_({.configured = options_.keys,
                    .profile = options_.profile,
                    .region = options_.region,
                    .environment = options_.environment,
                    .http = http_}) {}

std::string S3Store::describe() const {
  return "s3://" + options_.bucket + "/" + options_.prefix;
}

Result<HttpRequest> S3Store::request_for(const Call& call, const Limits& limits) {
  CALF_TRY(const AwsKeys keys, credentials_.keys(limits));
  const std::string path =
      path_ + "/" +
      (call.key.empty() ? "" : percent_encode(options_.prefix + call.key, Slash::kKeep));
  AwsSigning signing{.method = call.method,
                     .path = path,
                     .query = call.query,
                     .headers = call.headers,
                     .payload_sha256_hex = hex(sha256(call.body)),
                     .region = options_.region,
                     .service = "s3",
                     .amazon_time = amazon_time(os::SystemClock().realtime_ns() / kNsPerSecond)};
  signing.headers.emplace_back("x-amz-content-sha256", signing.payload_sha256_hex);
  signing.headers.emplace_back("x-amz-date", signing.amazon_time);
  if (!keys.session_token.empty()) {
    signing.headers.emplace_back("x-amz-security-token", keys.session_token);
  }
  HttpRequest request{.method = call.method,
                      .url = host_ + path,
                      .headers = signing.headers,
                      .body = call.body,
                      .sink = call.sink};
  if (!call.query.empty()) request.url += "?" + canonical_query(call.query);
  signing.headers.emplace_back("host", host_.substr(host_.find("://") + 3));
  request.headers.emplace_back("authorization", aws_authorization(signing, keys));
  return request;
}

Result<std::string> S3Store::put(const std::string& key, Body& body, const Condition& condition,
                                 const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  if (body.size_bytes() <= options_.part_bytes) return put_once(key, body, condition, limits);
  return put_parts(key, body, condition, limits);
}

Result<std::string> S3Store::put_once(const std::string& key, Body& body,
                                      const Condition& condition, const Limits& limits) {
  Call call{.method = "PUT", .key = key};
  add_condition(condition, call.headers);
  CALF_TRY(call.body, read_part(body, 0, body.size_bytes()));
  CALF_TRY(const Answer answer, perform(call, limits));
  if (answer.response.status == 200) return answer.response.header("etag");
  if (!is_refused(answer.response, condition)) {
    return fail(answer_error("writing " + key + " in " + describe(), answer.response));
  }
  if (answer.uncertain) return etag_if_same(*this, key, body, limits);
  return condition_failed(describe(), key);
}

Result<std::string> S3Store::put_parts(const std::string& key, Body& body,
                                       const Condition& condition, const Limits& limits) {
  const std::string what = "writing " + key + " in " + describe();
  CALF_TRY(const Answer begun,
           perform({.method = "POST", .key = key, .query = {{"uploads", ""}}}, limits));
  if (begun.response.status != 200) return fail(answer_error(what, begun.response));
  pugi::xml_document document;
  const std::string upload =
      parse(begun.response.body, document, "InitiateMultipartUploadResult").child_value("UploadId");
  if (upload.empty()) return fail(ErrorCode::kUnavailable, what + ": no upload was begun");
  auto done = [&]() -> Result<std::string> {
    const std::uint64_t part_bytes =
        std::max(options_.part_bytes, (body.size_bytes() + kMaxParts - 1) / kMaxParts);
    std::vector<std::string> etags;
    for (std::uint64_t offset = 0; offset < body.size_bytes(); offset += part_bytes) {
      const std::uint64_t length = std::min(part_bytes, body.size_bytes() - offset);
      CALF_TRY(std::string bytes, read_part(body, offset, length));
      CALF_TRY(std::string etag, upload_part(key, upload, static_cast<int>(etags.size()) + 1,
                                             std::move(bytes), limits));
      etags.push_back(std::move(etag));
    }
    return complete(key, body, upload, etags, condition, limits);
  }();
  if (!done) {
    // Best effort, with a little time of its own: parts that stay cost money. The put's error says
    // more than this one's.
    (void)perform({.method = "DELETE", .key = key, .query = {{"uploadId", upload}}},
                  Limits::within(2'000));
  }
  return done;
}

Result<std::string> S3Store::upload_part(const std::string& key, const std::string& upload,
                                         int number, std::string bytes, const Limits& limits) {
  CALF_TRY(const Answer answer,
           perform({.method = "PUT",
                    .key = key,
                    .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}},
                    .body = std::move(bytes)},
                   limits));
  if (answer.response.status == 200) return answer.response.header("etag");
  return fail(
      answer_error("writing part " + std::to_string(number) + " of " + key + " in " + describe(),
                   answer.response));
}

Result<std::string> S3Store::complete(const std::string& key, Body& body, const std::string& upload,
                                      const std::vector<std::string>& etags,
                                      const Condition& condition, const Limits& limits) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  for (std::size_t i = 0; i < etags.size(); ++i) {
    pugi::xml_node part = root.append_child("Part");
    part.append_child("PartNumber").text().set(static_cast<unsigned>(i + 1));
    part.append_child("ETag").text().set(etags[i].c_str());
  }
  std::ostringstream text;
  document.save(text, "", pugi::format_raw);
  Call call{.method = "POST",
            .key = key,
            .query = {{"uploadId", upload}},
            .headers = {{"content-type", "application/xml"}},
            .body = text.str()};
  add_condition(condition, call.headers);
  CALF_TRY(const Answer answer, perform(call, limits));
  // The answer may begin with 200 and be an error all the same.
  pugi::xml_document result;
  const pugi::xml_node completed =
      parse(answer.response.body, result, "CompleteMultipartUploadResult");
  if (answer.response.status == 200 && completed) return std::string(completed.child_value("ETag"));
  const bool gone = answer.uncertain && answer.response.status == 404;
  if (answer.uncertain && (gone || is_refused(answer.response, condition))) {
    return etag_if_same(*this, key, body, limits);
  }
  if (is_refused(answer.response, condition)) return condition_failed(describe(), key);
  HttpResponse failed = answer.response;
  if (failed.status == 200) failed.status = 500;
  return fail(answer_error("writing " + key + " in " + describe(), failed));
}

Result<ListPage> S3Store::list(const ListQuery& query, const Limits& limits) {
  Call call{
      .method = "GET",
      .query = {{"list-type", "2"},
                {"prefix", options_.prefix + query.prefix},
                {"max-keys", std::to_string(std::min(query.limit, ListQuery::kMaxListPage))}}};
  if (!query.start_after.empty()) {
    call.query.emplace_back("start-after", options_.prefix + query.start_after);
  }
  CALF_TRY(const Answer answer, perform(call, limits));
  if (answer.response.status != 200) {
    return fail(answer_error("listing " + describe(), answer.response));
  }
  pugi::xml_document document;
  const pugi::xml_node result = parse(answer.response.body, document, "ListBucketResult");
  if (!result) return fail(ErrorCode::kUnavailable, describe() + " gave no list");
  ListPage page{.more = std::string_view(result.child_value("IsTruncated")) == "true"};
  for (const pugi::xml_node object : result.children("Contents")) {
    const std::string key = object.child_value("Key");
    if (!key.starts_with(options_.prefix)) continue;
    page.objects.push_back({.key = key.substr(options_.prefix.size()),
                            .size_bytes = object.child("Size").text().as_ullong(),
                            .etag = object.child_value("ETag")});
  }
  return page;
}

Result<void> S3Store::remove(const std::string& key, const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  CALF_TRY(const Answer answer, perform({.method = "DELETE", .key = key}, limits));
  const int status = answer.response.status;
  if (status == 204 || status == 200 || status == 404) return {};
  return fail(answer_error("deleting " + key + " in " + describe(), answer.response));
}

}  // namespace calf::blob
