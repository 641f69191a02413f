// Tries a request again until it is answered or the time is over: exponential backoff with full
// jitter. Also how answers become errors.
#pragma once

#include "blob/http.h"

namespace calf::blob {

struct RetryPolicy {
  std::int64_t first_delay_ms = 50;  // the longest delay before the second attempt; then doubling
  std::int64_t longest_delay_ms = 5'000;
  std::int64_t attempt_timeout_ms = 60'000;
  int attempts = 10;
};

struct Answer {
  HttpResponse response{};
  // An earlier attempt ended without an answer, or with one that does not say whether the request
  // was carried out.
  bool uncertain = false;
};

// Performs what `make` gives (a new one for every attempt: signatures have a time) while the answer
// is 408, 429 or 5xx, or the connection fails. An answer of the last attempt is returned whatever
// its status; errors as HttpClient::perform. Blocks.
using MakeRequest = std::function<Result<HttpRequest>()>;
Result<Answer> perform_with_retries(HttpClient& client, const RetryPolicy& policy,
                                    const MakeRequest& make, const Limits& limits);

// The delay before attempt number `attempt` (1 is the first repetition), in [0, limit].
std::int64_t backoff_ms(const RetryPolicy& policy, int attempt);

// True for what may be gone at the next attempt.
bool is_transient(const Error& error);
bool is_transient_status(int status);

// The error for an answer that is not a success: code by status, `code` and `message` as the
// service's XML has them, cut to a sane length.
Error answer_error(const std::string& what, const HttpResponse& response);

}  // namespace calf::blob
