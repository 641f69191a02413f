#include "pool/routes.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace calf::pool {
namespace {

using Kind = Call::Kind;

tl::unexpected<Answer> refuse(int status, std::string_view message) {
  return tl::unexpected(Answer::error(status, message));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// The parts of a path between its slashes; one slash at its end is nothing.
std::vector<std::string_view> split_path(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

tl::expected<std::string, Answer> checked_hash(std::string hash) {
  if (hash.empty()) return refuse(400, "hash is required");
  if (hash.size() > kMaxHashBytes) return refuse(400, "hash is too long");
  return hash;
}

tl::expected<Call, Answer> parse_initialize(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return refuse(400, "the body is not a JSON object with a \"hash\"");
  const auto hash = json.find("hash");
  if (hash == json.end() || !hash->is_string()) return refuse(400, "hash is required");
  auto checked = checked_hash(hash->get<std::string>());
  if (!checked) return tl::unexpected(std::move(checked).error());
  return Call{.kind = Kind::kInitialize, .hash = std::move(*checked)};
}

std::optional<int> parse_id(std::string_view text) {
  int id = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return id;
}

// `method` of a path that has the methods of `kinds`.
struct MethodKind {
  std::string_view method;
  Kind kind;
};
tl::expected<Kind, Answer> choose(std::string_view method,
                                  std::initializer_list<MethodKind> kinds) {
  for (const MethodKind& one : kinds) {
    if (one.method == method) return one.kind;
  }
  return refuse(405, "Method Not Allowed");
}

tl::expected<Kind, Answer> kind_of(std::string_view method,
                                   const std::vector<std::string_view>& rest) {
  switch (rest.size()) {
    case 1:
      return choose(method, {{"PUT", Kind::kFinalize}, {"DELETE", Kind::kDiscard}});
    case 2:
      if (rest[1] == "tests") return choose(method, {{"GET", Kind::kTake}});
      break;
    case 3:
      if (rest[1] == "tests") return choose(method, {{"DELETE", Kind::kUnlock}});
      break;
    case 4:
      if (rest[1] != "tests") break;
      if (rest[3] == "unlock") return choose(method, {{"POST", Kind::kUnlock}});
      if (rest[3] == "recreate") return choose(method, {{"POST", Kind::kRecreate}});
      break;
    default:
      break;
  }
  return refuse(404, "Not Found");
}

// What follows /api/v1/templates/.
tl::expected<Call, Answer> parse_template_call(std::string_view method,
                                               const std::vector<std::string_view>& rest) {
  auto kind = kind_of(method, rest);
  if (!kind) return tl::unexpected(std::move(kind).error());
  auto decoded = percent_decoded(rest[0]);
  if (!decoded) return refuse(400, "the hash is not percent-encoded properly");
  auto hash = checked_hash(std::move(*decoded));
  if (!hash) return tl::unexpected(std::move(hash).error());
  Call call{.kind = *kind, .hash = std::move(*hash)};
  if (rest.size() >= 3) {
    const auto id = parse_id(rest[2]);
    if (!id) return refuse(400, "invalid test database ID");
    call.id = *id;
  }
  return call;
}

}  // namespace

Answer Answer::error(int status, std::string_view message) {
  const nlohmann::json json = {{"message", message}};
  return {.status = status,
          .body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

tl::expected<Call, Answer> parse_call(std::string_view method, std::string_view target,
                                      std::string_view body) {
  std::vector<std::string_view> parts = split_path(target);
  if (parts.size() < 3 || parts[0] != "api" || parts[1] != "v1") return refuse(404, "Not Found");
  if (parts[2] == "admin" && parts.size() == 4 && parts[3] == "templates") {
    auto kind = choose(method, {{"DELETE", Kind::kDiscardAll}});
    if (!kind) return tl::unexpected(std::move(kind).error());
    return Call{.kind = *kind};
  }
  if (parts[2] != "templates") return refuse(404, "Not Found");
  if (parts.size() == 3) {
    auto kind = choose(method, {{"POST", Kind::kInitialize}});
    if (!kind) return tl::unexpected(std::move(kind).error());
    return parse_initialize(body);
  }
  parts.erase(parts.begin(), parts.begin() + 3);
  return parse_template_call(method, parts);
}

}  // namespace calf::pool
