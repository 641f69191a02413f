#include "blob/azure_signature.h"

#include <algorithm>
#include <map>

namespace calf::blob {

std::string azure_string_to_sign(const AzureSigning& signing) {
  const auto value_of = [&](std::string_view name) -> std::string {
    for (const auto& [header, value] : signing.headers) {
      if (header == name) return value;
    }
    return {};
  };
  std::string text =
      signing.method + "\n" + value_of("content-encoding") + "\n" + value_of("content-language") +
      "\n" + (signing.content_length == 0 ? "" : std::to_string(signing.content_length)) + "\n";
  for (const char* name : {"content-md5", "content-type", "date", "if-modified-since", "if-match",
                           "if-none-match", "if-unmodified-since", "range"}) {
    text += value_of(name) + "\n";
  }
  std::map<std::string, std::string> canonical(signing.headers.begin(), signing.headers.end());
  for (const auto& [name, value] : canonical) {
    if (name.starts_with("x-ms-")) text += name + ":" + value + "\n";
  }
  text += "/" + signing.account + signing.path;
  Query query = signing.query;
  std::sort(query.begin(), query.end());
  for (const auto& [name, value] : query) text += "\n" + name + ":" + value;
  return text;
}

std::string azure_authorization(const AzureSigning& signing, std::string_view key) {
  return "SharedKey " + signing.account + ":" +
         base64(hmac_sha256(key, azure_string_to_sign(signing)));
}

}  // namespace calf::blob
