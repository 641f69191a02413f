#include "blob/http.h"

#include <algorithm>
#include <cctype>

#include "base/assert.h"
#include "blob/curl_library.h"

namespace calf::blob {
namespace {

// One request under way: what libcurl's callbacks see.
struct Exchange {
  const CurlLibrary& curl;
  CURL* handle;
  const HttpRequest& request;
  const Limits& limits;
  HttpResponse response{};
  Result<void> stopped{};  // why a callback ended it
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) exchange.response.headers.clear();  // after a 100
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  exchange.response.headers[name] = trimmed(line.substr(colon + 1));
  return size;
}

Result<void> take_body(Exchange& exchange, std::string_view chunk) {
  long status = 0;
  exchange.curl.easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
  if (exchange.request.sink && (status == 200 || status == 206)) {
    if (exchange.response.status == 0) {
      exchange.response.status = static_cast<int>(status);
      if (exchange.request.head) exchange.request.head(exchange.response);
    }
    return exchange.request.sink(chunk);
  }
  std::string& body = exchange.response.body;
  if (chunk.size() > HttpResponse::kMaxBodyBytes - body.size()) {
    return fail(ErrorCode::kResourceExhausted,
                "the answer of " + origin_of(exchange.request.url) + " is too large");
  }
  body.append(chunk);
  return {};
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.stopped = take_body(exchange, {data, size});
  return exchange.stopped ? size : 0;  // anything but `size` ends the transfer
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (!exchange.stopped) return 1;  // the sink's reason stays
  exchange.stopped = exchange.limits.check("a request to " + origin_of(exchange.request.url));
  return exchange.stopped ? 0 : 1;
}

ErrorCode code_of(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorCode::kDeadlineExceeded;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return ErrorCode::kPermissionDenied;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return ErrorCode::kInvalidArgument;
    case CURLE_OUT_OF_MEMORY:
      return ErrorCode::kResourceExhausted;
    default:
      return ErrorCode::kUnavailable;
  }
}

curl_slist* header_list(const CurlLibrary& curl, const HttpRequest& request) {
  // libcurl would add these two by itself: the one costs a round trip, the other is wrong.
  curl_slist* list = curl.slist_append(nullptr, "Expect:");
  const auto is_type = [](const auto& header) { return header.first == "content-type"; };
  if (std::none_of(request.headers.begin(), request.headers.end(), is_type)) {
    list = curl.slist_append(list, "Content-Type:");
  }
  for (const auto& [name, value] : request.headers) {
    // "name;" is libcurl's way to send a header with an empty value.
    list = curl.slist_append(list, (value.empty() ? name + ";" : name + ": " + value).c_str());
  }
  return list;
}

void prepare(Exchange& exchange, const HttpOptions& options, curl_slist* headers) {
  const auto set = [&](CURLoption option, auto value) {
    exchange.curl.easy_setopt(exchange.handle, option, value);
  };
  const HttpRequest& request = exchange.request;
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);  // what was signed is what is sent
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout_ms));
  set(CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::max<std::int64_t>(1, exchange.limits.remaining_ms())));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_timeout_s));
  set(CURLOPT_SSL_VERIFYPEER, options.verify_tls ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, options.verify_tls ? 2L : 0L);
  if (!options.ca_file.empty()) set(CURLOPT_CAINFO, options.ca_file.c_str());
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "POST") {
    set(CURLOPT_POSTFIELDS, request.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &exchange);
}

}  // namespace

std::string HttpResponse::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string() : found->second;
}

std::string origin_of(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::string origin = url.substr(0, url.find_first_of("/?#", begin));
  const std::size_t user = origin.find('@', begin);
  return user == std::string::npos ? origin : origin.substr(0, begin) + origin.substr(user + 1);
}

Result<std::shared_ptr<HttpClient>> HttpClient::create(const HttpOptions& options) {
  CALF_CHECK_OK(curl_library());
  return std::shared_ptr<HttpClient>(new HttpClient(options));
}

HttpClient::~HttpClient() {
  for (void* handle : idle_) (*curl_library())->easy_cleanup(handle);
}

void* HttpClient::take_handle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return (*curl_library())->easy_init();
  void* handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void HttpClient::give_back(void* handle) {
  const CurlLibrary& curl = **curl_library();
  curl.easy_reset(handle);  // options go, connections stay
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) {
    idle_.push_back(handle);
  } else {
    curl.easy_cleanup(handle);
  }
}

Result<HttpResponse> HttpClient::perform(const HttpRequest& request, const Limits& limits) {
  CALF_CHECK_OK(limits.check("a request to " + origin_of(request.url)));
  const CurlLibrary& curl = **curl_library();
  CURL* handle = take_handle();
  if (handle == nullptr) return fail(ErrorCode::kResourceExhausted, "libcurl has no memory");
  Exchange exchange{curl, handle, request, limits};
  curl_slist* headers = header_list(curl, request);
  prepare(exchange, options_, headers);
  const CURLcode code = curl.easy_perform(handle);
  long status = 0;
  curl.easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  give_back(handle);
  curl.slist_free_all(headers);
  if (code == CURLE_OK) return std::move(exchange.response);
  if (!exchange.stopped) return fail(std::move(exchange.stopped).error());
  return fail(code_of(code), origin_of(request.url) + ": " + curl.easy_strerror(code));
}

}  // namespace calf::blob
