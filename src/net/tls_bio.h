// OpenSSL's window on a Transport: its reads and writes become read_some and write_some, so that no
// SIGPIPE is raised and anything that is a Transport can carry TLS.
#pragma once

#include <openssl/bio.h>

#include "net/transport.h"

namespace calf::net {

// The caller owns the BIO (or gives it to an SSL). `transport` must outlive it.
BIO* make_transport_bio(Transport& transport);

}  // namespace calf::net
