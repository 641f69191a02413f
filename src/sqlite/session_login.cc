// From the startup packet to ReadyForQuery: who it is, whether that is true, and what the client is
// told.
#include <openssl/crypto.h>

#include "os/random.h"
#include "pgwire/scram.h"
#include "pgwire/wire.h"
#include "sqlite/session.h"

namespace calf::sqlite {
namespace {

constexpr auto kLoginPatience = std::chrono::seconds(60);
constexpr std::uint32_t kOk = 0, kCleartext = 3, kSasl = 10, kSaslContinue = 11, kSaslFinal = 12;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

[[noreturn]] void fatal(std::string_view sqlstate, std::string message) {
  throw SqlError{.report = {.severity = "FATAL",
                            .sqlstate = std::string(sqlstate),
                            .message = std::move(message)},
                 .fatal = true};
}

}  // namespace

void Session::refuse(const std::string& sqlstate, const std::string& message) {
  pgwire::put_bytes(io_.out(),
                    pgwire::encode_error_response({.sqlstate = sqlstate, .message = message}));
  io_.flush();
}

bool Session::log_in() {
  try {
    pgwire::Reader reader(startup_);
    const std::uint32_t version = reader.u32();
    std::vector<std::string> unknown;
    std::vector<std::pair<std::string, std::string>> wanted;
    while (reader.ok() && reader.left() > 1) {
      const std::string name(reader.cstring());
      const std::string value(reader.cstring());
      if (name == "user")
        user_ = value;
      else if (name == "database")
        database_name_ = value;
      else if (name == "replication") {
        if (value != "false" && value != "off" && value != "0" && value != "no")
          fatal("0A000", "replication is not supported by the sqlite engine");
      } else if (name.starts_with("_pq_."))
        unknown.push_back(name);
      else if (name == "options") {
        // "-c name=value" or "--name=value", as libpq passes PGOPTIONS.
        std::string_view rest = value;
        while (!rest.empty()) {
          const std::size_t end = std::min(rest.find(' '), rest.size());
          std::string_view word = rest.substr(0, end);
          rest.remove_prefix(std::min(end + 1, rest.size()));
          if (word == "-c" || word.empty()) continue;
          while (word.starts_with('-')) word.remove_prefix(word.starts_with("-c") ? 2 : 1);
          const std::size_t equals = word.find('=');
          if (equals != std::string_view::npos)
            wanted.emplace_back(word.substr(0, equals), word.substr(equals + 1));
        }
      } else
        wanted.emplace_back(name, value);
    }
    if (version > pgwire::kProtocol32 || !unknown.empty())
      encoder_.negotiate_protocol_version(pgwire::kProtocol32, unknown);
    if (database_name_.empty()) database_name_ = user_;
    if (!authenticate(user_)) return false;
    if (!in_process_ && database_name_ != options_.database)
      fatal("3D000", "database \"" + database_name_ + "\" does not exist");
    for (const auto& [name, value] : options_.settings) {
      if (settings_.get(name)) settings_.set_default(name, value, true);
    }
    settings_.set_default("session_authorization", user_, true);
    for (const auto& [name, value] : wanted) settings_.set_default(name, value);
    if (!open_connection()) return false;
    key_.resize(version >= pgwire::kProtocol32 ? 32 : 4);
    os::random_bytes(key_);
    greet();
    return true;
  } catch (SqlError& error) {
    error.report.severity = "FATAL";
    report(error, "");
    io_.flush();
    return false;
  }
}

bool Session::authenticate(const std::string& user) {
  if (in_process_ || options_.auth == AuthMethod::kTrust) {
    if (!in_process_ && user != options_.user)
      fatal("28000", "role \"" + user + "\" does not exist");
    encoder_.authentication(kOk);
    return true;
  }
  const bool good = options_.auth == AuthMethod::kPassword ? ask_password(user) : scram(user);
  if (gone_) return false;
  if (!good) fatal("28P01", "password authentication failed for user \"" + user + "\"");
  encoder_.authentication(kOk);
  return true;
}

bool Session::ask_password(const std::string& user) {
  encoder_.authentication(kCleartext);
  pgwire::Message message;
  if (io_.receive(message, ClientIo::Clock::now() + kLoginPatience) != ClientIo::Status::kMessage ||
      message.type != 'p') {
    gone_ = true;
    return false;
  }
  const auto password = pgwire::parse_query(message.body);
  return password && user == options_.user && password->size() == options_.password.size() &&
         CRYPTO_memcmp(password->data(), options_.password.data(), password->size()) == 0;
}

bool Session::scram(const std::string& user) {
  const auto deadline = ClientIo::Clock::now() + kLoginPatience;
  const auto answer = [&](pgwire::Message& message) {
    if (io_.receive(message, deadline) == ClientIo::Status::kMessage && message.type == 'p')
      return true;
    gone_ = true;
    return false;
  };
  using namespace std::string_view_literals;
  encoder_.authentication(kSasl, bytes_of("SCRAM-SHA-256\0\0"sv));
  pgwire::Message message;
  if (!answer(message)) return false;
  const auto initial = pgwire::parse_sasl_initial(message.body);
  if (!initial || initial->mechanism != "SCRAM-SHA-256")
    fatal("08P01", "client selected an invalid SASL authentication mechanism");
  // For a user that does not exist the exchange goes on with a verifier that nothing matches.
  const std::string verifier = user == options_.user
                                   ? options_.verifier
                                   : pgwire::scram_verifier(pgwire::ScramClient::random_nonce());
  auto server = pgwire::ScramServer::create(verifier, pgwire::ScramClient::random_nonce());
  if (!server) fatal("28P01", "password authentication failed for user \"" + user + "\"");
  const auto first = server->first(initial->response);
  if (!first) fatal("08P01", first.error().message);
  encoder_.authentication(kSaslContinue, bytes_of(*first));
  if (!answer(message)) return false;
  const auto final = server->final(pgwire::as_text(message.body));
  if (!final) return false;
  encoder_.authentication(kSaslFinal, bytes_of(*final));
  return user == options_.user;
}

void Session::greet() {
  for (const auto& [name, value] : settings_.take_reports()) encoder_.parameter_status(name, value);
  encoder_.backend_key(pid_, key_);
  ready();
}

}  // namespace calf::sqlite
