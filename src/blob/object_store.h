// What Calf needs of object storage, in seven calls: S3, Azure Blob, a folder and memory are behind
// it. Conditional puts are the only synchronisation between machines, so a store that ignores
// conditions must not pretend to have kept them (see conditional_writes.h).
//
// Not here: what is stored. Formats, leases and retention are src/archive.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "blob/body.h"
#include "blob/limits.h"

namespace calf::blob {

struct ObjectInfo {
  std::string key{};
  std::uint64_t size_bytes = 0;  // of the whole object, also after a ranged get
  std::string etag{};            // opaque; differs when the content does
};

// The bytes [offset, offset + length) of an object; `length` cut at its end.
struct ByteRange {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length{};  // nothing: to the end
};

// A put happens only if this holds, atomically.
class Condition {
 public:
  static Condition none() { return {Kind::kNone, {}}; }
  static Condition absent() { return {Kind::kAbsent, {}}; }
  static Condition matches(std::string etag) { return {Kind::kMatches, std::move(etag)}; }

  [[nodiscard]] bool is_none() const { return kind_ == Kind::kNone; }
  [[nodiscard]] bool is_absent() const { return kind_ == Kind::kAbsent; }
  [[nodiscard]] bool is_match() const { return kind_ == Kind::kMatches; }
  [[nodiscard]] const std::string& etag() const { return etag_; }

 private:
  enum class Kind { kNone, kAbsent, kMatches };
  Condition(Kind kind, std::string etag) : kind_(kind), etag_(std::move(etag)) {}
  Kind kind_;
  std::string etag_;
};

struct ListQuery {
  std::string prefix{};
  std::string start_after{};  // only keys greater than this one, bytewise
  std::uint32_t limit = kMaxListPage;
  static constexpr std::uint32_t kMaxListPage = 1000;
};

struct ListPage {
  std::vector<ObjectInfo> objects{};  // ascending by key, bytewise
  bool more = false;                  // ask again with start_after = the last key
};

// Receives an object's bytes in order, some at a time. An error from it ends the get with it.
using Sink = std::function<Result<void>(std::string_view chunk)>;

// Keys: 1 to kMaxKeyBytes bytes of [A-Za-z0-9._-] in parts between single slashes, no part "." or
// "..", none that begins with ".calf". Others are kInvalidArgument.
//
// All calls block, until `limits` at the latest, and may be made by any thread at the same time.
// Errors of all: kDeadlineExceeded, kCancelled, kUnavailable (after retries), kPermissionDenied,
// kInvalidArgument, kIo. None names a secret.
class ObjectStore {
 public:
  static constexpr std::size_t kMaxKeyBytes = 512;

  virtual ~ObjectStore() = default;

  // Feeds the range to `sink`. kNotFound when there is no such object; kInvalidArgument when the
  // range begins past its end (an empty object has one empty range); kDataCorrupted when the object
  // changed while it was read.
  virtual Result<ObjectInfo> get(const std::string& key, ByteRange range, const Sink& sink,
                                 const Limits& limits) = 0;

  // Makes or replaces the object, whole or not at all; durable when it returns. The new ETag.
  // kPreconditionFailed when the condition did not hold. After kDeadlineExceeded, kCancelled or
  // kUnavailable the put may have happened, or may still happen: read to know.
  virtual Result<std::string> put(const std::string& key, Body& body, const Condition& condition,
                                  const Limits& limits) = 0;

  virtual Result<ListPage> list(const ListQuery& query, const Limits& limits) = 0;

  // Removes the object; one that is not there is removed already.
  virtual Result<void> remove(const std::string& key, const Limits& limits) = 0;

  // Where this is, for messages: "s3://bucket/prefix".
  [[nodiscard]] virtual std::string describe() const = 0;
};

// kInvalidArgument unless `key` is one (see ObjectStore).
Result<void> check_key(std::string_view key);

// The whole object in memory; kResourceExhausted when it is larger than `max_bytes`.
struct Fetched {
  ObjectInfo info{};
  std::string bytes{};
};
Result<Fetched> fetch(ObjectStore& store, const std::string& key, std::size_t max_bytes,
                      const Limits& limits);

Result<std::string> put_bytes(ObjectStore& store, const std::string& key, std::string_view bytes,
                              const Condition& condition, const Limits& limits);

// Every object with the prefix, over all pages; `each` may end it with an error.
Result<void> list_all(ObjectStore& store, const ListQuery& query,
                      const std::function<Result<void>(const ObjectInfo&)>& each,
                      const Limits& limits);

}  // namespace calf::blob
