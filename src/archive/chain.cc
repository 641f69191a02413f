#include "archive/chain.h"

#include "archive/retry.h"

#include <algorithm>
#include <charconv>

#include <spdlog/fmt/fmt.h>

namespace calf::archive {
namespace {

constexpr std::size_t kEpochDigits = 8;
constexpr std::size_t kSequenceDigits = 16;

std::string numbers(Position position) {
  return fmt::format("{:08x}-{:016x}", position.epoch, position.sequence);
}

bool parse_hex(std::string_view text, std::uint64_t& value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

Result<void> expect_link(const PageSetHeader& header, Position position) {
  if (header.kind != PageSetKind::kBase && header.position == position &&
      header.previous.sequence + 1 == position.sequence) {
    return {};
  }
  return fail(ErrorCode::kDataCorrupted,
              "object " + segment_key(position) + " is not the segment that its name says");
}

tl::unexpected<Error> missing_link(Position position, const std::string& later) {
  return fail(ErrorCode::kDataCorrupted,
              "object " + segment_key(position) + " is missing, though there is " + later,
              "bring it back from a copy of the store, or restore to a time before it");
}

Result<std::optional<std::string>> first_key_after(blob::ObjectStore& store, Position position,
                                                   const blob::Limits& limits) {
  const blob::ListQuery query{
      .prefix = kSegmentPrefix, .start_after = segment_key(position), .limit = 1};
  CALF_TRY(const auto page, retrying(limits, [&] { return store.list(query, limits); }));
  if (page.objects.empty()) return std::nullopt;
  return page.objects[0].key;
}

}  // namespace

std::string segment_key(Position position) {
  return kSegmentPrefix + numbers(position);
}

std::string base_key(Position position) {
  return kBasePrefix + numbers(position);
}

std::optional<Position> position_of_key(const std::string& key) {
  const std::string_view name = std::string_view(key).substr(key.rfind('/') + 1);
  Position position;
  if (name.size() != kEpochDigits + 1 + kSequenceDigits || name[kEpochDigits] != '-' ||
      !parse_hex(name.substr(0, kEpochDigits), position.epoch) ||
      !parse_hex(name.substr(kEpochDigits + 1), position.sequence)) {
    return std::nullopt;
  }
  return position;
}

Result<PageSetHeader> parse_header(const std::string& key, std::string_view bytes) {
  auto header = parse_page_set_header(bytes);
  if (!header) return fail(std::move(header).error().with_context("object " + key + " is damaged"));
  return header;
}

static Result<std::string> fetch_header_bytes(blob::ObjectStore& store, const std::string& key,
                                              const blob::Limits& limits) {
  std::string bytes;
  const blob::Sink collect = [&](std::string_view chunk) -> Result<void> {
    bytes.append(chunk.substr(0, kPageSetHeaderBytes));
    return {};
  };
  CALF_CHECK_OK(retrying(limits, [&] {
    bytes.clear();
    return store.get(key, {.length = kPageSetHeaderBytes}, collect, limits);
  }));
  return bytes;
}

Result<PageSetHeader> fetch_header(blob::ObjectStore& store, const std::string& key,
                                   const blob::Limits& limits) {
  CALF_TRY(const std::string bytes, fetch_header_bytes(store, key, limits));
  return parse_header(key, bytes);
}

static Result<std::optional<std::string>> nothing_if_not_found(Result<std::string> bytes) {
  if (bytes) return std::move(*bytes);
  if (bytes.error().code == ErrorCode::kNotFound) return std::nullopt;
  return fail(std::move(bytes).error());
}

Result<std::optional<std::string>> fetch_segment_header(blob::ObjectStore& store, Position position,
                                                        const blob::Limits& limits) {
  return nothing_if_not_found(fetch_header_bytes(store, segment_key(position), limits));
}

Result<std::vector<Position>> list_bases(blob::ObjectStore& store, const blob::Limits& limits) {
  std::vector<Position> bases;
  const auto take = [&](const blob::ObjectInfo& object) -> Result<void> {
    if (const auto position = position_of_key(object.key)) bases.push_back(*position);
    return {};
  };
  CALF_CHECK_OK(retrying(limits, [&] {
    bases.clear();
    return blob::list_all(store, {.prefix = kBasePrefix}, take, limits);
  }));
  return bases;
}

// Segments of one epoch after `at`, as far as they are there without a gap.
static Result<Position> last_of_epoch(blob::ObjectStore& store, Position at,
                                      const blob::Limits& limits) {
  const auto take = [&](const blob::ObjectInfo& object) -> Result<void> {
    const auto position = position_of_key(object.key);
    if (!position || position->epoch != at.epoch) return {};
    if (position->sequence != at.sequence + 1) {
      return missing_link({at.epoch, at.sequence + 1}, object.key);
    }
    at = *position;
    return {};
  };
  const std::string prefix = segment_key(at).substr(0, sizeof("seg/") - 1 + kEpochDigits + 1);
  // A list that broke off goes on from where it had come.
  CALF_CHECK_OK(retrying(limits, [&] {
    return blob::list_all(store, {.prefix = prefix, .start_after = segment_key(at)}, take, limits);
  }));
  return at;
}

// Goes back from `last` to the newest segment that ends a group, not before `first`.
static Result<std::optional<PageSetHeader>> last_complete(blob::ObjectStore& store, Position last,
                                                          std::uint64_t first,
                                                          const blob::Limits& limits) {
  for (; last.sequence >= first && last.sequence > 0; --last.sequence) {
    CALF_TRY(const PageSetHeader header, fetch_header(store, segment_key(last), limits));
    CALF_CHECK_OK(expect_link(header, last));
    if (header.kind == PageSetKind::kSegment && header.last_part) return header;
  }
  return std::nullopt;
}

Result<Head> find_head(blob::ObjectStore& store, const blob::Limits& limits) {
  CALF_TRY(const auto bases, list_bases(store, limits));
  Head head;
  Position at{};
  if (!bases.empty()) {
    at = bases.back();
    CALF_TRY(head.segment, fetch_header(store, base_key(at), limits));
  }
  while (true) {
    const std::uint64_t first = at.sequence + 1;
    CALF_TRY(const Position last, last_of_epoch(store, at, limits));
    head.last = last;
    head.next = {last.epoch, last.sequence + 1};
    if (last.sequence < first) break;  // nothing more in this epoch
    CALF_TRY(const PageSetHeader header, fetch_header(store, segment_key(last), limits));
    CALF_CHECK_OK(expect_link(header, last));
    const bool sealed = header.kind == PageSetKind::kSeal;
    const Position end{last.epoch, sealed ? last.sequence - 1 : last.sequence};
    CALF_TRY(auto segment, last_complete(store, end, first, limits));
    if (segment) head.segment = std::move(segment);
    if (!sealed) break;
    at = {header.next_epoch, last.sequence - 1};
    head.next = {at.epoch, at.sequence + 1};
    head.last = last;
  }
  if (head.segment) head.time_ms = head.segment->time_ms;
  return head;
}

Result<std::string> make_seal(Position position, Position previous, std::uint64_t next_epoch,
                              const std::array<char, 16>& archive_id, std::int64_t time_ms) {
  std::string bytes;
  const auto collect = [&](std::string_view part) -> Result<void> {
    bytes.append(part);
    return {};
  };
  CALF_TRY(auto writer, PageSetWriter::begin({.kind = PageSetKind::kSeal,
                                              .position = position,
                                              .previous = previous,
                                              .time_ms = time_ms,
                                              .next_epoch = next_epoch,
                                              .archive_id = archive_id},
                                             collect));
  CALF_CHECK_OK(writer->finish());
  return bytes;
}

Result<std::optional<std::string>> fetch_segment(blob::ObjectStore& store, Position position,
                                                 const blob::Limits& limits) {
  return nothing_if_not_found(retrying(limits, [&]() -> Result<std::string> {
    CALF_TRY(auto fetched,
             blob::fetch(store, segment_key(position), kMaxSegmentObjectBytes, limits));
    return std::move(fetched.bytes);
  }));
}

Result<std::optional<Link>> next_link(blob::ObjectStore& store, ReadAhead& segments, Position& at,
                                      const blob::Limits& limits) {
  while (true) {
    const Position next{at.epoch, at.sequence + 1};
    CALF_TRY(auto bytes, segments.take(next));
    if (!bytes) {
      CALF_TRY(const auto later, first_key_after(store, next, limits));
      if (!later) return std::nullopt;
      // It may have been put between the two looks.
      CALF_TRY(bytes, fetch_segment(store, next, limits));
      if (!bytes) return missing_link(next, *later);
    }
    const auto header = parse_header(segment_key(next), *bytes);
    if (!header) return fail(header.error());
    CALF_CHECK_OK(expect_link(*header, next));
    if (header->kind == PageSetKind::kSegment) {
      at = next;
      return Link{*header, std::move(*bytes)};
    }
    if (header->next_epoch <= at.epoch) {
      return fail(ErrorCode::kDataCorrupted, "the seal " + segment_key(next) + " leads back");
    }
    at.epoch = header->next_epoch;
  }
}

Result<PageList> decode_pages(const std::string& name, const std::string& bytes) {
  PageList list;
  PageSetReader reader(
      name, [](const PageSetHeader&) -> Result<void> { return {}; },
      [&](std::uint32_t number, std::string_view page) -> Result<void> {
        list.pages.emplace_back(number, page);
        return {};
      });
  CALF_CHECK_OK(reader.feed(bytes));
  CALF_CHECK_OK(reader.finish());
  return list;
}

}  // namespace calf::archive
