#include "blob/ranged_get.h"

#include <charconv>
#include <pugixml.hpp>

#include "blob/store_errors.h"

namespace calf::blob {

std::optional<std::string> range_header(ByteRange range) {
  if (range.offset == 0 && !range.length) return std::nullopt;
  const std::string begin = "bytes=" + std::to_string(range.offset) + "-";
  return range.length ? begin + std::to_string(range.offset + *range.length - 1) : begin;
}

namespace {

// The object's size: the last number of "bytes 3-9/20", or the whole body's.
std::optional<std::uint64_t> size_in(const HttpResponse& response) {
  std::string text = response.header("content-range");
  if (response.status == 416 && text.empty()) {  // S3 says it in its error
    pugi::xml_document document;
    document.load_buffer(response.body.data(), response.body.size());
    text = document.child("Error").child_value("ActualObjectSize");
    if (text.empty()) return std::nullopt;
  }
  text = text.empty() ? response.header("content-length") : text.substr(text.rfind('/') + 1);
  std::uint64_t size = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), size);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return size;
}

// One get over all its attempts.
struct Progress {
  ByteRange range{};
  bool wants_nothing = false;
  std::uint64_t done = 0;
  std::string etag{};
  bool sink_failed = false;
  bool range_ignored = false;

  [[nodiscard]] ByteRange rest() const {
    ByteRange left{.offset = range.offset + done};
    if (range.length) left.length = *range.length - done;
    return left;
  }
  void see_head(const HttpResponse& response) {
    etag = response.header("etag");
    range_ignored = response.status == 200 && range_header(rest());
  }
  Result<void> take(std::string_view chunk, const Sink& sink) {
    sink_failed = true;
    if (range_ignored) return fail(ErrorCode::kUnsupported, "the store ignores ranges");
    if (!wants_nothing) CALF_CHECK_OK(sink(chunk));
    sink_failed = false;
    done += chunk.size();
    return {};
  }
};

tl::unexpected<Error> changed(const std::string& store, const std::string& key) {
  return fail(ErrorCode::kDataCorrupted, key + " in " + store + " changed while it was read",
              "read it again");
}

Result<ObjectInfo> result_of(const std::string& store, const std::string& key,
                             const Progress& progress, const HttpResponse& response) {
  if (response.status == 404) return not_found(store, key);
  if (response.status == 412) return changed(store, key);
  const auto size = size_in(response);
  if (response.status == 416) {
    // Nothing is left to get: at the very end that is no mistake.
    if (!size || *size != progress.range.offset) return past_the_end(key);
  } else if (response.status != 200 && response.status != 206) {
    return fail(answer_error("reading " + key + " in " + store, response));
  }
  if (!size) {
    return fail(ErrorCode::kUnavailable, store + " does not say how large " + key + " is");
  }
  return ObjectInfo{.key = key, .size_bytes = *size, .etag = response.header("etag")};
}

}  // namespace

Result<ObjectInfo> resumable_get(const std::string& store, const std::string& key, ByteRange range,
                                 const RetryPolicy& policy, const GetOnce& get_once,
                                 const Sink& sink, const Limits& limits) {
  Progress progress{.range = range, .wants_nothing = range.length == 0u};
  // No header asks for a range of nothing; one byte tells the size as well.
  if (progress.wants_nothing) progress.range.length = 1;
  int attempt = 1;
  while (true) {
    const std::uint64_t before = progress.done;
    auto response =
        get_once({.range = progress.rest(),
                  .if_match = progress.etag,
                  .sink = [&](std::string_view chunk) { return progress.take(chunk, sink); },
                  .head = [&](const HttpResponse& head) { progress.see_head(head); }});
    if (progress.done > before) attempt = 1;  // it does get on
    const bool transient = response ? is_transient_status(response->status)
                                    : is_transient(response.error()) && !progress.sink_failed;
    const std::int64_t delay_ms = backoff_ms(policy, attempt);
    const bool last = attempt++ >= policy.attempts || delay_ms >= limits.remaining_ms();
    if (transient && !last && !limits.stop.stop_requested()) {
      limits.sleep_ms(delay_ms);
      continue;
    }
    if (!response) return fail(std::move(response).error());
    return result_of(store, key, progress, *response);
  }
}

Result<std::string> etag_if_same(ObjectStore& store, const std::string& key, Body& body,
                                 const Limits& limits) {
  std::uint64_t offset = 0;
  bool same = true;
  const Sink compare = [&](std::string_view chunk) -> Result<void> {
    if (!same || chunk.size() > body.size_bytes() - offset) {
      same = false;
      return {};
    }
    CALF_TRY(const std::string ours, read_part(body, offset, chunk.size()));
    same = ours == chunk;
    offset += chunk.size();
    return {};
  };
  CALF_TRY(const ObjectInfo info, store.get(key, {}, compare, limits));
  if (same && offset == body.size_bytes()) return info.etag;
  return condition_failed(store.describe(), key);
}

}  // namespace calf::blob
