#include "blob/aws_signature.h"

#include <algorithm>

namespace calf::blob {
namespace {

struct SignedHeaders {
  std::string lines{};
  std::string names{};
};

SignedHeaders canonical_headers(Headers headers) {
  std::sort(headers.begin(), headers.end());
  SignedHeaders text;
  for (const auto& [name, value] : headers) {
    text.lines += name + ":" + value + "\n";
    text.names += (text.names.empty() ? "" : ";") + name;
  }
  return text;
}

}  // namespace

std::string aws_authorization(const AwsSigning& signing, const AwsKeys& keys) {
  const SignedHeaders headers = canonical_headers(signing.headers);
  const std::string request = signing.method + "\n" + signing.path + "\n" +
                              canonical_query(signing.query) + "\n" + headers.lines + "\n" +
                              headers.names + "\n" + signing.payload_sha256_hex;
  const std::string date = signing.amazon_time.substr(0, 8);
  const std::string scope = date + "/" + signing.region + "/" + signing.service + "/aws4_request";
  const std::string to_sign =
      "AWS4-HMAC-SHA256\n" + signing.amazon_time + "\n" + scope + "\n" + hex(sha256(request));
  std::string key = "AWS4" + keys.secret_access_key;
  for (const std::string& part : {date, signing.region, signing.service}) {
    key = hmac_sha256(key, part);
  }
  key = hmac_sha256(key, "aws4_request");
  return "AWS4-HMAC-SHA256 Credential=" + keys.access_key_id + "/" + scope +
         ", SignedHeaders=" + headers.names + ", Signature=" + hex(hmac_sha256(key, to_sign));
}

}  // namespace calf::blob
