// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as PostgreSQL speaks it inside SASL
// messages. No I/O.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace calf::pgwire {

// One exchange: first() is sent, final() answers the server's first message, verify() checks the
// server's last one. The password is not run through SASLprep: it must be ASCII or already
// normalised, as PostgreSQL accepts it. One thread.
class ScramClient {
 public:
  // `nonce` must be fresh, printable ASCII without commas; see random_nonce(). `password` is kept
  // until verify().
  ScramClient(std::string password, std::string nonce);

  [[nodiscard]] std::string first() const;

  // kDataCorrupted when the server's message is malformed or does not continue our nonce.
  Result<std::string> final(std::string_view server_first);

  // kPermissionDenied when the server does not know the password's verifier.
  Result<void> verify(std::string_view server_final) const;

  static std::string random_nonce();

 private:
  std::string password_;
  std::string nonce_;
  std::string server_signature_;
};

// The server's side of one exchange, for an engine that keeps verifiers itself. One thread.
class ScramServer {
 public:
  // `verifier` as scram_verifier() makes it; `nonce` as random_nonce() does. kInvalidArgument when
  // the verifier is malformed.
  static Result<ScramServer> create(std::string_view verifier, std::string nonce);

  // Answers the client's first message. kDataCorrupted: malformed, or it wants channel binding.
  Result<std::string> first(std::string_view client_first);

  // Answers the client's last message. kPermissionDenied: the password is wrong; kDataCorrupted:
  // malformed.
  Result<std::string> final(std::string_view client_final) const;

 private:
  ScramServer() = default;
  std::string nonce_, salt_base64_, stored_key_, server_key_;
  int iterations_ = 0;
  std::string client_first_bare_, server_first_;
};

// What PostgreSQL stores for a password ("SCRAM-SHA-256$4096:salt$stored key:server key"): ALTER
// ROLE takes it in place of the password, which then appears in no statement and no log. Takes some
// milliseconds.
std::string scram_verifier(std::string_view password);

// The same with a given salt, for tests.
std::string scram_verifier(std::string_view password, std::string_view salt);

}  // namespace calf::pgwire
