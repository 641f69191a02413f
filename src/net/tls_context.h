// The server's TLS settings and handshakes, with OpenSSL. One context serves all connections.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/transport.h"

namespace calf::net {

struct TlsFiles {
  std::filesystem::path certificate;  // PEM, with its chain
  std::filesystem::path
      key;  // PEM, unencrypted; not readable by group (unless owned by root) or others
};

// A TLS handshake on a connected, non-blocking descriptor; becomes a Transport. One thread at a
// time.
class TlsHandshake {
 public:
  virtual ~TlsHandshake() = default;

  // Goes on with the handshake. kDone: finished. Would-block states: wait, then step again.
  // kError/kEndOfStream: failed; failure() says why.
  virtual IoResult step() = 0;
  [[nodiscard]] virtual std::string failure() const = 0;

  // After kDone: whether the client negotiated ALPN "postgresql".
  [[nodiscard]] virtual bool alpn_postgresql() const = 0;

  // After kDone: the encrypted connection; takes the descriptor with it.
  virtual std::unique_ptr<Transport> into_transport() = 0;
};

// Any thread may begin handshakes.
class TlsContext {
 public:
  // Loads a certificate and its key. Errors: kNotFound, kPermissionDenied (also for a key that
  // others can read), kInvalidArgument when they do not parse or do not belong together.
  static Result<std::unique_ptr<TlsContext>> from_files(const TlsFiles& files);

  // Makes a P-256 key and a certificate for localhost, 127.0.0.1, ::1 and this host's name, valid
  // for a year, in memory only.
  static Result<std::unique_ptr<TlsContext>> self_signed();

  virtual ~TlsContext() = default;

  // Takes over `clear`'s descriptor (a plain socket of socket_transport.h). Nothing of the TLS
  // bytes may have been read from it.
  virtual Result<std::unique_ptr<TlsHandshake>> accept(std::unique_ptr<Transport> clear) = 0;

  // SHA-256 of the certificate, as "AB:CD:…", for people to compare.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
};

}  // namespace calf::net
