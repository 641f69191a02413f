#include "blob/http_retry.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>

#include "os/random.h"

namespace calf::blob {
namespace {

constexpr std::size_t kMaxServiceText = 300;

std::string printable(std::string_view text) {
  std::string clean(text.substr(0, kMaxServiceText));
  std::replace_if(
      clean.begin(), clean.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  return clean;
}

// <Error><Code/><Message/></Error>, as S3 and Azure have it. STS wraps it once more. Only these two
// elements: others repeat the request, signature and all.
std::string service_text(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  const pugi::xml_node error = document.find_node(
      [](const pugi::xml_node& node) { return std::string_view(node.name()) == "Error"; });
  const std::string code = printable(error.child_value("Code"));
  // Azure's and S3's messages about signatures quote what was signed.
  if (code.find("Signature") != std::string::npos || code.find("Authent") != std::string::npos) {
    return code;
  }
  const std::string message = printable(error.child_value("Message"));
  return code.empty() || message.empty() ? code + message : code + ": " + message;
}

ErrorCode code_of_status(int status) {
  if (status == 401 || status == 403) return ErrorCode::kPermissionDenied;
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 409 || status == 412) return ErrorCode::kPreconditionFailed;
  if (status == 416 || status == 400) return ErrorCode::kInvalidArgument;
  if (is_transient_status(status)) return ErrorCode::kUnavailable;
  return ErrorCode::kIo;
}

std::int64_t asked_delay_ms(const HttpResponse& response) {
  const std::string text = response.header("retry-after");
  std::int64_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool number = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return number ? std::clamp<std::int64_t>(seconds, 0, 60) * 1000 : 0;
}

}  // namespace

bool is_transient(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

bool is_transient_status(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501);
}

std::int64_t backoff_ms(const RetryPolicy& policy, int attempt) {
  const std::int64_t doubled = policy.first_delay_ms << std::min(attempt - 1, 20);
  const std::int64_t most = std::min(policy.longest_delay_ms, doubled);
  std::uint64_t dice = 0;
  os::random_bytes(std::as_writable_bytes(std::span(&dice, 1)));
  return static_cast<std::int64_t>(dice % (static_cast<std::uint64_t>(most) + 1));
}

Result<Answer> perform_with_retries(HttpClient& client, const RetryPolicy& policy,
                                    const MakeRequest& make, const Limits& limits) {
  Answer answer;
  for (int attempt = 1;; ++attempt) {
    CALF_TRY(const HttpRequest request, make());
    auto response = client.perform(request, limits.at_most(policy.attempt_timeout_ms));
    const bool transient =
        response ? is_transient_status(response->status) : is_transient(response.error());
    const std::int64_t delay_ms =
        std::max(backoff_ms(policy, attempt), response ? asked_delay_ms(*response) : 0);
    const bool last = attempt >= policy.attempts || delay_ms >= limits.remaining_ms();
    if (!transient || last || limits.stop.stop_requested()) {
      if (!response) return fail(std::move(response).error());
      answer.response = std::move(*response);
      return answer;
    }
    answer.uncertain = true;
    limits.sleep_ms(delay_ms);
  }
}

Error answer_error(const std::string& what, const HttpResponse& response) {
  const std::string said = service_text(response.body);
  Error error{.code = code_of_status(response.status),
              .message = what + ": status " + std::to_string(response.status) +
                         (said.empty() ? "" : ", " + said)};
  if (error.code == ErrorCode::kPermissionDenied) {
    error.hint = "check the credentials, their rights, and this machine's clock";
  }
  return error;
}

}  // namespace calf::blob
