#include "net/tls_context.h"

#include <openssl/err.h>

#include <cerrno>

#include "net/tls_bio.h"
#include "net/tls_certificate.h"

namespace calf::net {
namespace {

// One connection's TLS state on top of its clear transport.
struct TlsStream {
  std::unique_ptr<Transport> clear;
  SslPtr ssl;
  bool broken =
      false;  // after a fatal error OpenSSL must not be called again, not even for close_notify

  // What an SSL_* call that did not succeed means.
  IoResult state_of(int returned) {
    switch (SSL_get_error(ssl.get(), returned)) {
      case SSL_ERROR_WANT_READ:
        return IoResult::of(IoState::kWouldBlockRead);
      case SSL_ERROR_WANT_WRITE:
        return IoResult::of(IoState::kWouldBlockWrite);
      case SSL_ERROR_ZERO_RETURN:
        return IoResult::of(IoState::kEndOfStream);
      case SSL_ERROR_SYSCALL:
        broken = true;
        return IoResult::of(IoState::kError, errno != 0 ? errno : ECONNRESET);
      default:
        broken = true;
        return IoResult::of(IoState::kError, EPROTO);
    }
  }
};

class TlsTransport final : public Transport {
 public:
  explicit TlsTransport(TlsStream stream) : stream_(std::move(stream)) {
    SSL* ssl = stream_.ssl.get();
    details_ = {.version = SSL_get_version(ssl),
                .cipher = SSL_get_cipher_name(ssl),
                .bits = SSL_get_cipher_bits(ssl, nullptr)};
  }

  IoResult read_some(std::span<std::byte> buffer) override {
    if (buffer.empty()) return IoResult::moved(0);
    if (stream_.broken) return IoResult::of(IoState::kError, EPROTO);
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int returned = SSL_read_ex(stream_.ssl.get(), buffer.data(), buffer.size(), &n);
    starved_ = returned != 1;
    return returned == 1 ? IoResult::moved(n) : stream_.state_of(returned);
  }

  IoResult write_some(std::span<const std::byte> bytes) override {
    if (bytes.empty()) return IoResult::moved(0);
    if (stream_.broken) return IoResult::of(IoState::kError, EPIPE);
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int returned = SSL_write_ex(stream_.ssl.get(), bytes.data(), bytes.size(), &n);
    return returned == 1 ? IoResult::moved(n) : stream_.state_of(returned);
  }

  int descriptor() const override { return stream_.clear->descriptor(); }
  // SSL_has_pending() counts the first part of a record, too, which nobody can read yet.
  bool has_buffered_input() const override {
    return !starved_ && SSL_has_pending(stream_.ssl.get()) == 1;
  }
  bool peer_has_closed() const override { return stream_.clear->peer_has_closed(); }
  void set_wakeup(std::function<void()> wakeup) override {
    stream_.clear->set_wakeup(std::move(wakeup));
  }
  const Address& peer() const override { return stream_.clear->peer(); }
  const Address& local() const override { return stream_.clear->local(); }
  std::optional<TlsDetails> tls() const override { return details_; }

  void shutdown() override {
    if (!stream_.broken) {
      ERR_clear_error();
      SSL_shutdown(stream_.ssl.get());
      stream_.broken = true;
    }
    stream_.clear->shutdown();
  }

 private:
  TlsStream stream_;
  TlsDetails details_;
  bool starved_ = false;  // the last read found no whole record
};

class Handshake final : public TlsHandshake {
 public:
  explicit Handshake(TlsStream stream) : stream_(std::move(stream)) {}

  IoResult step() override {
    ERR_clear_error();
    errno = 0;
    const int returned = SSL_accept(stream_.ssl.get());
    if (returned == 1) {
      note_alpn();
      return IoResult::moved(0);
    }
    const IoResult result = stream_.state_of(returned);
    if (result.closed()) failure_ = openssl_error();
    return result;
  }

  std::string failure() const override { return failure_; }

  bool alpn_postgresql() const override { return alpn_; }

  std::unique_ptr<Transport> into_transport() override {
    return std::make_unique<TlsTransport>(std::move(stream_));
  }

 private:
  void note_alpn() {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(stream_.ssl.get(), &name, &size);
    alpn_ = size > 0;  // only "postgresql" is ever selected
  }

  TlsStream stream_;
  std::string failure_;
  bool alpn_ = false;
};

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned int offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x0apostgresql";
  unsigned char* selected = nullptr;
  const int found =
      SSL_select_next_proto(&selected, out_size, kOurs, sizeof kOurs - 1, offered, offered_size);
  *out = selected;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

class Context final : public TlsContext {
 public:
  static Result<std::unique_ptr<Context>> make() {
    SslContextPtr context(SSL_CTX_new(TLS_server_method()));
    if (!context) return fail(ErrorCode::kInternal, "starting TLS: " + openssl_error());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                           SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
    return std::make_unique<Context>(std::move(context));
  }

  explicit Context(SslContextPtr context) : context_(std::move(context)) {}

  SSL_CTX* get() { return context_.get(); }

  Result<std::unique_ptr<TlsHandshake>> accept(std::unique_ptr<Transport> clear) override {
    TlsStream stream{.clear = std::move(clear), .ssl = SslPtr(SSL_new(context_.get()))};
    if (!stream.ssl) return fail(ErrorCode::kResourceExhausted, "starting TLS: " + openssl_error());
    BIO* bio = make_transport_bio(*stream.clear);
    SSL_set_bio(stream.ssl.get(), bio, bio);
    return std::make_unique<Handshake>(std::move(stream));
  }

  std::string fingerprint() const override {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    const X509* certificate = SSL_CTX_get0_certificate(context_.get());
    if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), digest, &size) != 1) {
      return {};
    }
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      if (i > 0) text += ':';
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  SslContextPtr context_;
};

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::from_files(const TlsFiles& files) {
  CALF_TRY(auto context, Context::make());
  CALF_CHECK_OK(load_certificate(context->get(), files));
  return context;
}

Result<std::unique_ptr<TlsContext>> TlsContext::self_signed() {
  CALF_TRY(auto context, Context::make());
  CALF_CHECK_OK(make_certificate(context->get()));
  return context;
}

}  // namespace calf::net
