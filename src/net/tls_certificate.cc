#include "net/tls_certificate.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

namespace calf::net {
namespace {

constexpr long kValidSeconds = 365L * 24 * 3600;
constexpr long kClockSkewSeconds = 3600;

// PostgreSQL's rule for server.key: nobody but the owner; group may read when root owns it.
Result<void> check_key_is_private(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return fail(Error::from_errno("opening the TLS key " + path.string(), errno));
  }
  const mode_t forbidden = info.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO;
  if ((info.st_mode & forbidden) != 0) {
    return fail(ErrorCode::kPermissionDenied,
                "the TLS key " + path.string() + " can be read by others", "chmod 600 it");
  }
  return {};
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Host names go into OpenSSL's comma-separated syntax: only letters, digits, dots and hyphens may.
std::string alternative_names() {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";
  char host[HOST_NAME_MAX + 1] = {};
  const std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
  if (::gethostname(host, sizeof host - 1) == 0 && host[0] != '\0' &&
      std::string_view(host).find_first_not_of(allowed) == std::string_view::npos) {
    names += ",DNS:" + std::string(host);
  }
  return names;
}

bool fill_certificate(X509* certificate, EVP_PKEY* key) {
  std::uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kClockSkewSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kValidSeconds);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_set_pubkey(certificate, key);
  return add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
         add_extension(certificate, NID_subject_alt_name, alternative_names()) &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown TLS error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "TLS error " + std::to_string(code);
}

Result<void> load_certificate(SSL_CTX* context, const TlsFiles& files) {
  CALF_CHECK_OK(check_key_is_private(files.key));
  if (::access(files.certificate.c_str(), R_OK) != 0) {
    return fail(
        Error::from_errno("opening the TLS certificate " + files.certificate.string(), errno));
  }
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return fail(
        ErrorCode::kInvalidArgument,
        "reading the TLS certificate " + files.certificate.string() + ": " + openssl_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return fail(ErrorCode::kInvalidArgument,
                "reading the TLS key " + files.key.string() + ": " + openssl_error(),
                "it must be an unencrypted PEM file that belongs to the certificate");
  }
  return {};
}

Result<void> make_certificate(SSL_CTX* context) {
  ERR_clear_error();
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  if (!key || !certificate || !fill_certificate(certificate.get(), key.get()) ||
      SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return fail(ErrorCode::kInternal, "making a TLS certificate: " + openssl_error());
  }
  return {};
}

}  // namespace calf::net
