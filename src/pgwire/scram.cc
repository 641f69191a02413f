#include "pgwire/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <charconv>

#include "base/assert.h"

namespace calf::pgwire {
namespace {

constexpr std::string_view kHeader = "n,,";  // no channel binding
constexpr std::string_view kHeaderBase64 = "biws";
constexpr int kIterations = 4096;  // PostgreSQL's scram_iterations
constexpr std::size_t kSaltBytes = 16;
constexpr int kMaxIterations = 10'000'000;  // a hostile server may not keep us busy for minutes

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string hmac(std::string_view key, std::string_view data) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(data), data.size(),
       bytes_of(out), &size);
  return out;
}

std::string sha256(std::string_view data) {
  std::string out(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(data), data.size(), bytes_of(out));
  return out;
}

std::string to_base64(std::string_view data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(bytes_of(out), bytes_of(data), static_cast<int>(data.size()))));
  return out;
}

Result<std::string> from_base64(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(bytes_of(out), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) return fail(ErrorCode::kDataCorrupted, "malformed base64 in a SCRAM message");
  std::size_t padding = 0;
  while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string salted_password(std::string_view password, std::string_view salt, int iterations) {
  std::string salted(SHA256_DIGEST_LENGTH, '\0');
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                    static_cast<int>(salt.size()), iterations, EVP_sha256(), SHA256_DIGEST_LENGTH,
                    bytes_of(salted));
  return salted;
}

// The value of "x=…" at the front of `rest`, up to the next comma, which is consumed.
Result<std::string_view> take_attribute(std::string_view& rest, char name) {
  if (rest.size() < 2 || rest[0] != name || rest[1] != '=') {
    return fail(ErrorCode::kDataCorrupted, "malformed SCRAM message");
  }
  const std::size_t comma = std::min(rest.find(','), rest.size());
  const std::string_view value = rest.substr(2, comma - 2);
  rest.remove_prefix(std::min(comma + 1, rest.size()));
  return value;
}

}  // namespace

ScramClient::ScramClient(std::string password, std::string nonce)
    : password_(std::move(password)), nonce_(std::move(nonce)) {}

std::string ScramClient::random_nonce() {
  std::string raw(18, '\0');
  ASSERT(RAND_bytes(bytes_of(raw), static_cast<int>(raw.size())) == 1);
  return to_base64(raw);
}

// The user name stays empty: PostgreSQL takes the one of the startup packet.
std::string ScramClient::first() const {
  return std::string(kHeader) + "n=,r=" + nonce_;
}

Result<std::string> ScramClient::final(std::string_view server_first) {
  std::string_view rest = server_first;
  CALF_TRY(const std::string_view nonce, take_attribute(rest, 'r'));
  CALF_TRY(const std::string_view salt_text, take_attribute(rest, 's'));
  CALF_TRY(const std::string_view iterations_text, take_attribute(rest, 'i'));
  CALF_TRY(const std::string salt, from_base64(salt_text));
  int iterations = 0;
  std::from_chars(iterations_text.data(), iterations_text.data() + iterations_text.size(),
                  iterations);
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size() || iterations < 1 ||
      iterations > kMaxIterations) {
    return fail(ErrorCode::kDataCorrupted, "malformed SCRAM message from the server");
  }
  const std::string salted = salted_password(password_, salt, iterations);
  const std::string without_proof = "c=" + std::string(kHeaderBase64) + ",r=" + std::string(nonce);
  const std::string signed_text =
      first().substr(kHeader.size()) + "," + std::string(server_first) + "," + without_proof;
  std::string proof = hmac(salted, "Client Key");
  const std::string signature = hmac(sha256(proof), signed_text);
  for (std::size_t i = 0; i < proof.size(); ++i)
    proof[i] = static_cast<char>(proof[i] ^ signature[i]);
  server_signature_ = hmac(hmac(salted, "Server Key"), signed_text);
  return without_proof + ",p=" + to_base64(proof);
}

Result<void> ScramClient::verify(std::string_view server_final) const {
  std::string_view rest = server_final;
  CALF_TRY(const std::string_view text, take_attribute(rest, 'v'));
  CALF_TRY(const std::string signature, from_base64(text));
  if (server_signature_.empty() || signature.size() != server_signature_.size() ||
      CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) != 0) {
    return fail(ErrorCode::kPermissionDenied, "the server does not know this password's verifier");
  }
  return {};
}

Result<ScramServer> ScramServer::create(std::string_view verifier, std::string nonce) {
  constexpr std::string_view kMethod = "SCRAM-SHA-256$";
  const auto malformed = [] { return fail(ErrorCode::kInvalidArgument, "malformed verifier"); };
  if (!verifier.starts_with(kMethod)) return malformed();
  verifier.remove_prefix(kMethod.size());
  const std::size_t colon = verifier.find(':');
  const std::size_t dollar = verifier.find('$');
  const std::size_t last = verifier.rfind(':');
  if (colon > dollar || dollar > last || last == std::string_view::npos) return malformed();
  ScramServer server;
  server.nonce_ = std::move(nonce);
  std::from_chars(verifier.data(), verifier.data() + colon, server.iterations_);
  server.salt_base64_ = verifier.substr(colon + 1, dollar - colon - 1);
  CALF_TRY(server.stored_key_, from_base64(verifier.substr(dollar + 1, last - dollar - 1)));
  CALF_TRY(server.server_key_, from_base64(verifier.substr(last + 1)));
  return server;
}

Result<std::string> ScramServer::first(std::string_view client_first) {
  // "n,,n=user,r=nonce": 'y' means that the client could bind to a channel but saw no offer.
  const std::size_t first_comma = client_first.find(',');
  const std::size_t second_comma = client_first.find(',', first_comma + 1);
  if (second_comma == std::string_view::npos ||
      (client_first[0] != 'n' && client_first[0] != 'y')) {
    return fail(ErrorCode::kDataCorrupted, "malformed SCRAM message");
  }
  std::string_view rest = client_first.substr(second_comma + 1);
  client_first_bare_ = rest;
  CALF_TRY(const std::string_view user, take_attribute(rest, 'n'));
  (void)user;  // PostgreSQL takes the one of the startup packet
  CALF_TRY(const std::string_view nonce, take_attribute(rest, 'r'));
  if (nonce.empty()) return fail(ErrorCode::kDataCorrupted, "malformed SCRAM message");
  nonce_ = std::string(nonce) + nonce_;
  server_first_ = "r=" + nonce_ + ",s=" + salt_base64_ + ",i=" + std::to_string(iterations_);
  return server_first_;
}

Result<std::string> ScramServer::final(std::string_view client_final) const {
  std::string_view rest = client_final;
  CALF_TRY(const std::string_view binding, take_attribute(rest, 'c'));
  CALF_TRY(const std::string_view nonce, take_attribute(rest, 'r'));
  const std::string_view without_proof = client_final.substr(0, client_final.rfind(",p="));
  CALF_TRY(const std::string_view proof_text, take_attribute(rest, 'p'));
  CALF_TRY(const std::string proof, from_base64(proof_text));
  const bool known_header = binding == kHeaderBase64 || binding == "eSws";  // "n,," or "y,,"
  if (!known_header || nonce != nonce_ || proof.size() != SHA256_DIGEST_LENGTH) {
    return fail(ErrorCode::kDataCorrupted, "malformed SCRAM message");
  }
  const std::string signed_text =
      client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  std::string client_key = hmac(stored_key_, signed_text);
  for (std::size_t i = 0; i < client_key.size(); ++i) {
    client_key[i] = static_cast<char>(client_key[i] ^ proof[i]);
  }
  const std::string stored = sha256(client_key);
  if (stored_key_.size() != stored.size() ||
      CRYPTO_memcmp(stored.data(), stored_key_.data(), stored.size()) != 0) {
    return fail(ErrorCode::kPermissionDenied, "password authentication failed");
  }
  return "v=" + to_base64(hmac(server_key_, signed_text));
}

std::string scram_verifier(std::string_view password, std::string_view salt) {
  const std::string salted = salted_password(password, salt, kIterations);
  return "SCRAM-SHA-256$" + std::to_string(kIterations) + ":" + to_base64(salt) + "$" +
         to_base64(sha256(hmac(salted, "Client Key"))) + ":" +
         to_base64(hmac(salted, "Server Key"));
}

std::string scram_verifier(std::string_view password) {
  std::string salt(kSaltBytes, '\0');
  ASSERT(RAND_bytes(bytes_of(salt), static_cast<int>(salt.size())) == 1);
  return scram_verifier(password, salt);
}

}  // namespace calf::pgwire
