// AWS Signature Version 4 in the Authorization header.
// Source: "Signature Version 4 signing process" of the AWS reference.
#pragma once

#include "blob/encoding.h"
#include "blob/http.h"

namespace calf::blob {

struct AwsKeys {
  std::string access_key_id{};
  std::string secret_access_key{};
  std::string session_token{};  // may be empty
};

struct AwsSigning {
  std::string method{};
  std::string path = "/";  // percent-encoded
  Query query{};
  Headers headers{};  // all that are signed, names in lower case; host and x-amz-date among them
  std::string payload_sha256_hex{};
  std::string region{};
  std::string service{};
  std::string amazon_time{};
};

// The value of the Authorization header. Any thread.
std::string aws_authorization(const AwsSigning& signing, const AwsKeys& keys);

}  // namespace calf::blob
