// Certificates and keys for TLS: loaded from files or made in memory. OpenSSL's types stay inside
// src/net.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "net/tls_context.h"

namespace calf::net {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SslPtr = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;

// The oldest error in OpenSSL's queue of this thread, in words; empties the queue.
std::string openssl_error();

// Puts a certificate chain and its key into `context`. Errors as TlsContext::from_files.
Result<void> load_certificate(SSL_CTX* context, const TlsFiles& files);

// Makes a P-256 key and a certificate for this host and puts them into `context`.
Result<void> make_certificate(SSL_CTX* context);

}  // namespace calf::net
