#include "archive/lease.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "blob/encoding.h"
#include "blob/host_file.h"
#include "blob/http_retry.h"
#include "os/random.h"

namespace calf::archive {
namespace {

constexpr const char* kKey = "lease";
constexpr std::size_t kMaxBytes = 4096;
constexpr std::int64_t kPollMs = 100;
constexpr std::int64_t kFormat = 1;

// A store that takes this put knows no conditions.
Result<void> check_conditions(blob::ObjectStore& store, const blob::Limits& limits) {
  if (!blob::put_bytes(store, kKey, "x", blob::Condition::matches("\"no-such-etag\""), limits)) {
    return {};
  }
  return fail(ErrorCode::kUnsupported,
              store.describe() + " ignores conditional writes: two writers could not be told apart",
              "use a service with If-Match and If-None-Match for PUT");
}

}  // namespace

struct Lease::Content {
  std::uint64_t epoch = 0;
  std::string archive_id{};  // 32 hexadecimal digits
  std::string owner{};
  std::string description{};
  bool released = false;

  // Never twice the same bytes: the ETag of S3 is a digest of them.
  [[nodiscard]] std::string to_bytes() const {
    return nlohmann::json{{"format", kFormat},
                          {"epoch", epoch},
                          {"archive", archive_id},
                          {"owner", owner},
                          {"description", description},
                          {"released", released},
                          {"nonce", blob::random_name("")}}
        .dump();
  }

  static Result<Content> parse(const std::string& bytes) {
    const auto json = nlohmann::json::parse(bytes, nullptr, false);
    Content content;
    try {
      if (json.at("format").get<std::int64_t>() != kFormat) {
        return fail(ErrorCode::kUnsupported, "the archive has a newer format",
                    "use a newer version of calf");
      }
      content.epoch = json.at("epoch").get<std::uint64_t>();
      content.archive_id = json.at("archive").get<std::string>();
      content.owner = json.at("owner").get<std::string>();
      content.description = json.at("description").get<std::string>();
      content.released = json.at("released").get<bool>();
    } catch (const nlohmann::json::exception&) {
      return fail(ErrorCode::kDataCorrupted, "the archive's lease object is damaged",
                  "bring the object \"lease\" back from a copy of the store");
    }
    const bool hexadecimal =
        content.archive_id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (content.archive_id.size() != 32 || !hexadecimal) {
      return fail(ErrorCode::kDataCorrupted, "the archive's lease object is damaged");
    }
    return content;
  }
};

// Puts, and finds out what became of it when the answer was lost. kPreconditionFailed only when it
// is certain that it is not there.
Result<std::string> Lease::put_settled(blob::ObjectStore& store, const std::string& bytes,
                                       const blob::Condition& condition,
                                       const blob::Limits& limits) {
  while (true) {
    auto etag = blob::put_bytes(store, kKey, bytes, condition, limits);
    const bool refused = !etag && etag.error().code == ErrorCode::kPreconditionFailed;
    if (etag || !(refused || blob::is_transient(etag.error()))) return etag;
    const auto now = blob::fetch(store, kKey, kMaxBytes, limits);
    if (now && now->bytes == bytes) return now->info.etag;
    if (refused && now) return etag;
    CALF_CHECK_OK(limits.check("writing the archive's lease"));
    limits.sleep_ms(kPollMs);
  }
}

// Whose lease it is, as far as one look at the store tells.
struct Lease::Look {
  Content next{};  // to be put by who takes it
  blob::Condition condition = blob::Condition::absent();
  std::string holder{};            // empty: it can be taken
  std::optional<Error> trouble{};  // the store could not be asked
};

// How long nobody has changed the lease, by this machine's own clock.
struct Lease::Silence {
  std::string etag{};
  blob::Limits until = blob::Limits::within(0);

  bool is_over(const std::string& now_etag, std::int64_t ttl_ms) {
    if (now_etag != etag) until = blob::Limits::within(ttl_ms);
    etag = now_etag;
    return until.remaining_ms() == 0;
  }
};

Result<Lease::Look> Lease::look(blob::ObjectStore& store, const LeaseOptions& options,
                                Silence& silence, const blob::Limits& limits) {
  Look found{.next = {.epoch = 1, .owner = options.owner, .description = options.description}};
  auto present = blob::fetch(store, kKey, kMaxBytes, limits);
  if (!present && present.error().code == ErrorCode::kNotFound) {
    std::array<std::byte, 16> id;
    os::random_bytes(id);
    found.next.archive_id = blob::hex({reinterpret_cast<const char*>(id.data()), id.size()});
    return found;
  }
  if (!present) {
    if (!blob::is_transient(present.error())) return fail(std::move(present).error());
    found.trouble = std::move(present).error();
    return found;
  }
  CALF_TRY(const Content content, Content::parse(present->bytes));
  const bool silent = silence.is_over(present->info.etag, options.ttl_ms);
  const bool free = content.released || content.owner == options.owner || silent;
  if (!free) found.holder = content.description;
  found.next.epoch = content.epoch + 1;
  found.next.archive_id = content.archive_id;
  found.condition = blob::Condition::matches(present->info.etag);
  return found;
}

Result<Lease> Lease::acquire(blob::ObjectStore& store, const LeaseOptions& options,
                             const blob::Limits& limits) {
  const blob::Limits waiting = limits.at_most(options.wait_ms + options.ttl_ms);
  Silence silence;
  bool told = false;
  while (true) {
    CALF_TRY(Look found, look(store, options, silence, limits));
    if (found.holder.empty() && !found.trouble) {
      auto etag = put_settled(store, found.next.to_bytes(), found.condition, limits);
      if (etag) {
        CALF_CHECK_OK(check_conditions(store, limits));
        return Lease(options, found.next.epoch, found.next.archive_id, std::move(*etag));
      }
      if (etag.error().code != ErrorCode::kPreconditionFailed) return fail(std::move(etag).error());
    }
    if (!told && !found.holder.empty()) {
      log::info("waiting for {}: another writer has it ({})", store.describe(), found.holder);
      told = true;
    }
    CALF_CHECK_OK(limits.check("waiting for " + store.describe()));
    if (!waiting.check("")) {
      if (found.trouble) return fail(std::move(*found.trouble));
      return fail(ErrorCode::kUnavailable,
                  store.describe() + " has another writer: " + found.holder,
                  "stop it; when it is dead, its lease ends by itself");
    }
    waiting.sleep_ms(kPollMs);
  }
}

Lease::Lease(LeaseOptions options, std::uint64_t epoch, const std::string& archive_id,
             std::string etag)
    : options_(std::move(options)), epoch_(epoch), etag_(std::move(etag)) {
  for (std::size_t i = 0; i < archive_id_.size(); ++i) {
    unsigned value = 0;
    const char* digits = archive_id.data() + 2 * i;
    std::from_chars(digits, digits + 2, value, 16);
    archive_id_[i] = static_cast<char>(value);
  }
}

Result<void> check_archive(blob::ObjectStore& store, const blob::Limits& limits) {
  auto lease = blob::fetch(store, kKey, kMaxBytes, limits);
  if (lease) return {};
  if (lease.error().code != ErrorCode::kNotFound) return fail(std::move(lease).error());
  return fail(ErrorCode::kUnavailable, "the archive in " + store.describe() + " is gone");
}

Result<void> Lease::write(blob::ObjectStore& store, bool released, const blob::Limits& limits) {
  const Content content{.epoch = epoch_,
                        .archive_id = blob::hex({archive_id_.data(), archive_id_.size()}),
                        .owner = options_.owner,
                        .description = options_.description,
                        .released = released};
  auto etag = put_settled(store, content.to_bytes(), blob::Condition::matches(etag_), limits);
  if (etag) {
    etag_ = std::move(*etag);
    return {};
  }
  if (etag.error().code != ErrorCode::kPreconditionFailed) return fail(std::move(etag).error());
  // A renewal whose answer was lost may have been ours all the same.
  CALF_TRY(const auto now, blob::fetch(store, kKey, kMaxBytes, limits));
  CALF_TRY(const Content other, Content::parse(now.bytes));
  if (other.owner == options_.owner && other.epoch == epoch_) {
    etag_ = now.info.etag;
    return {};
  }
  winner_ = other.description;
  return fail(std::move(etag).error());
}

Result<void> Lease::renew(blob::ObjectStore& store, const blob::Limits& limits) {
  return write(store, false, limits);
}

Result<void> Lease::release(blob::ObjectStore& store, const blob::Limits& limits) {
  return write(store, true, limits);
}

}  // namespace calf::archive
