// SharedKey authorization of Azure Blob Storage.
// Source: "Authorize with Shared Key" of Azure's REST reference, version 2015-02-21 and later.
#pragma once

#include "blob/encoding.h"
#include "blob/http.h"

namespace calf::blob {

struct AzureSigning {
  std::string method{};
  std::string account{};
  std::string path{};  // of the URL, percent-encoded
  Query query{};       // decoded
  Headers headers{};   // names in lower case
  std::size_t content_length = 0;
};

std::string azure_string_to_sign(const AzureSigning& signing);

// The value of the Authorization header; `key` is the account key's bytes. Any thread.
std::string azure_authorization(const AzureSigning& signing, std::string_view key);

}  // namespace calf::blob
