#include "blob/azure_store.h"

#include <algorithm>
#include <pugixml.hpp>

#include "blob/azure_signature.h"
#include "blob/host_file.h"
#include "blob/ranged_get.h"
#include "blob/store_errors.h"
#include "os/clock.h"

namespace calf::blob {
namespace {

constexpr const char* kVersion = "2021-12-02";
constexpr std::uint64_t kMaxBlocks = 50'000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

bool is_container_name(const std::string& name) {
  return name.size() >= 3 && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-$") == std::string::npos;
}

}  // namespace

Result<std::unique_ptr<AzureStore>> AzureStore::open(AzureOptions options) {
  if (!is_container_name(options.container)) {
    return fail(ErrorCode::kInvalidArgument,
                "\"" + options.container + "\" is not the name of an Azure container");
  }
  CALF_TRY(AzureAccount account, resolve_azure_account(options.access, options.environment));
  CALF_TRY(auto http, HttpClient::create(options.http));
  return std::unique_ptr<AzureStore>(
      new AzureStore(std::move(options), std::move(account), std::move(http)));
}

std::string AzureStore::describe() const {
  return "azure://" + account_.account + "/" + options_.container + "/" + options_.prefix;
}

Result<HttpRequest> AzureStore::request_for(const Call& call, const Limits& limits) {
  std::string url = account_.endpoint + "/" + options_.container;
  if (!call.key.empty()) url += "/" + percent_encode(options_.prefix + call.key, Slash::kKeep);
  Headers headers = call.headers;
  headers.emplace_back("x-ms-version", kVersion);
  headers.emplace_back("x-ms-date", http_time(os::SystemClock().realtime_ns() / kNsPerSecond));
  Query query = call.query;
  if (const auto* sas = std::get_if<AzureSas>(&account_.credential)) {
    query.insert(query.end(), sas->query.begin(), sas->query.end());
  } else if (const auto* shared = std::get_if<AzureSharedKey>(&account_.credential)) {
    const std::string path = url.substr(origin_of(url).size());
    const AzureSigning signing{.method = call.method,
                               .account = account_.account,
                               .path = path,
                               .query = query,
                               .headers = headers,
                               .content_length = call.body.size()};
    headers.emplace_back("authorization", azure_authorization(signing, shared->key));
  } else {
    CALF_TRY(const std::string token, tokens_.token(limits));
    headers.emplace_back("authorization", "Bearer " + token);
  }
  if (!query.empty()) url += "?" + canonical_query(query);
  return HttpRequest{.method = call.method,
                     .url = std::move(url),
                     .headers = std::move(headers),
                     .body = call.body,
                     .sink = call.sink};
}

Result<std::string> AzureStore::put(const std::string& key, Body& body, const Condition& condition,
                                    const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  if (body.size_bytes() > options_.block_bytes) return put_blocks(key, body, condition, limits);
  Call call{
      .method = "PUT",
      .key = key,
      .headers = {{"x-ms-blob-type", "BlockBlob"}, {"content-type", "application/octet-stream"}}};
  add_condition(condition, call.headers);
  CALF_TRY(call.body, read_part(body, 0, body.size_bytes()));
  CALF_TRY(const Answer answer, perform(call, limits));
  return finish_put(key, body, condition, answer, limits);
}

// Blocks that no list names are dropped by Azure after a week.
Result<std::string> AzureStore::put_blocks(const std::string& key, Body& body,
                                           const Condition& condition, const Limits& limits) {
  const std::uint64_t block_bytes =
      std::max(options_.block_bytes, (body.size_bytes() + kMaxBlocks - 1) / kMaxBlocks);
  // Two writers of one key must not mix their blocks; all ids of a blob have one length.
  const std::string upload = random_name("");
  pugi::xml_document list;
  pugi::xml_node root = list.append_child("BlockList");
  int number = 0;
  for (std::uint64_t offset = 0; offset < body.size_bytes(); offset += block_bytes) {
    const std::uint64_t length = std::min(block_bytes, body.size_bytes() - offset);
    const std::string digits = std::to_string(++number);
    const std::string id = base64(upload + std::string(8 - digits.size(), '0') + digits);
    Call call{.method = "PUT", .key = key, .query = {{"comp", "block"}, {"blockid", id}}};
    CALF_TRY(call.body, read_part(body, offset, length));
    CALF_TRY(const Answer answer, perform(call, limits));
    if (answer.response.status != 201) {
      return fail(answer_error("writing block " + digits + " of " + key + " in " + describe(),
                               answer.response));
    }
    root.append_child("Latest").text().set(id.c_str());
  }
  std::ostringstream text;
  list.save(text, "", pugi::format_raw);
  Call call{.method = "PUT",
            .key = key,
            .query = {{"comp", "blocklist"}},
            .headers = {{"content-type", "application/xml"}},
            .body = text.str()};
  add_condition(condition, call.headers);
  CALF_TRY(const Answer answer, perform(call, limits));
  return finish_put(key, body, condition, answer, limits);
}

Result<std::string> AzureStore::finish_put(const std::string& key, Body& body,
                                           const Condition& condition, const Answer& answer,
                                           const Limits& limits) {
  const int status = answer.response.status;
  if (status == 201) return answer.response.header("etag");
  // 409: BlobAlreadyExists, what If-None-Match gets. 404: If-Match on a blob that is gone.
  const bool refused = status == 412 || (condition.is_absent() && status == 409) ||
                       (condition.is_match() && status == 404);
  if (!refused) return fail(answer_error("writing " + key + " in " + describe(), answer.response));
  if (answer.uncertain) return etag_if_same(*this, key, body, limits);
  return condition_failed(describe(), key);
}

// Azure has no "start after": pages are read, and skipped up to it. Prefixes keep that short.
Result<ListPage> AzureStore::list(const ListQuery& query, const Limits& limits) {
  ListPage page;
  std::string marker;
  while (true) {
    Call call{.method = "GET",
              .query = {{"restype", "container"},
                        {"comp", "list"},
                        {"prefix", options_.prefix + query.prefix}}};
    if (!marker.empty()) call.query.emplace_back("marker", marker);
    CALF_TRY(const Answer answer, perform(call, limits));
    if (answer.response.status != 200) {
      return fail(answer_error("listing " + describe(), answer.response));
    }
    pugi::xml_document document;
    document.load_buffer(answer.response.body.data(), answer.response.body.size());
    const pugi::xml_node result = document.child("EnumerationResults");
    if (!result) return fail(ErrorCode::kUnavailable, describe() + " gave no list");
    for (const pugi::xml_node blob : result.child("Blobs").children("Blob")) {
      std::string key = blob.child_value("Name");
      if (!key.starts_with(options_.prefix)) continue;
      key.erase(0, options_.prefix.size());
      if (key <= query.start_after) continue;
      if (page.objects.size() == query.limit) {
        page.more = true;
        return page;
      }
      const pugi::xml_node properties = blob.child("Properties");
      page.objects.push_back({.key = std::move(key),
                              .size_bytes = properties.child("Content-Length").text().as_ullong(),
                              .etag = properties.child_value("Etag")});
    }
    marker = result.child_value("NextMarker");
    if (marker.empty()) return page;
  }
}

Result<void> AzureStore::remove(const std::string& key, const Limits& limits) {
  CALF_CHECK_OK(check_key(key));
  CALF_TRY(const Answer answer, perform({.method = "DELETE", .key = key}, limits));
  const int status = answer.response.status;
  if (status == 202 || status == 404) return {};
  return fail(answer_error("deleting " + key + " in " + describe(), answer.response));
}

}  // namespace calf::blob
