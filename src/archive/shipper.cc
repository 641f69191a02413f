#include "archive/shipper.h"

#include <algorithm>
#include <map>

#include "blob/http_retry.h"
#include "os/clock.h"

namespace calf::archive {
namespace {

// Of pages that are taken from the log at once. One commit may be larger; it becomes parts.
constexpr std::uint64_t kScanBytes = kPartBytes;
// More than this is not taken over while writers wait.
constexpr std::uint64_t kMaxTakenOverBytes = 64u << 20;
constexpr std::int64_t kRetryDelayMs = 50;

std::int64_t now_ms() {
  return os::SystemClock().realtime_ns() / 1'000'000;
}

}  // namespace

Shipper::Shipper(blob::ObjectStore& store, Source source, std::uint64_t epoch,
                 const std::array<char, 16>& archive_id, const Head& head)
    : store_(store),
      source_(std::move(source)),
      epoch_(epoch),
      archive_id_(archive_id),
      shipped_{epoch, head.next.sequence - 1},
      encoded_(shipped_),
      time_ms_(head.time_ms) {}

Result<bool> Shipper::find_place(const PageSetHeader& last) {
  CALF_TRY(const bool found, source_.log().contains(last.wal));
  if (!found) return false;
  place_ = last.wal;
  return true;
}

void Shipper::start_at_empty_log() {
  place_ = {};
}

PageSetHeader Shipper::next_header() {
  // After what is in it: a state at a time has everything that was committed before that time.
  time_ms_ = std::max(time_ms_, now_ms());
  const Position position{epoch_, encoded_.sequence + 1};
  return {.kind = PageSetKind::kSegment,
          .position = position,
          .previous = encoded_,
          .time_ms = time_ms_,
          .archive_id = archive_id_};
}

// Cuts pages into parts; only the last one ends the group.
Result<void> Shipper::encode(const std::vector<std::uint32_t>& pages, const PageSource& read,
                             PageSetHeader header,
                             const std::function<Result<void>(Object)>& each) {
  const std::size_t part_pages = std::max<std::size_t>(1, kPartBytes / header.page_size);
  std::size_t index = 0;
  do {
    const std::size_t end = std::min(index + part_pages, pages.size());
    header.last_part = end == pages.size();
    Object object{.header = header};
    CALF_TRY(auto writer, PageSetWriter::begin(header, [&](std::string_view bytes) -> Result<void> {
               object.bytes.append(bytes);
               return {};
             }));
    for (; index < end; ++index) {
      CALF_TRY(const std::string page, read(index));
      CALF_CHECK_OK(writer->add(pages[index], page));
    }
    CALF_CHECK_OK(writer->finish());
    encoded_ = header.position;
    CALF_CHECK_OK(each(std::move(object)));
    header.previous = encoded_;
    ++header.position.sequence;
  } while (index < pages.size());
  return {};
}

// The newest version of every page counts, as far as the database still has it.
Result<void> Shipper::take_commits(const WalCommits& commits) {
  std::map<std::uint32_t, std::uint64_t> newest;
  for (const WalFrame& frame : commits.frames) {
    if (frame.page <= commits.database_pages) newest[frame.page] = frame.page_offset;
  }
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> offsets;
  for (const auto& [page, offset] : newest) {
    pages.push_back(page);
    offsets.push_back(offset);
  }
  WalFile& log = source_.log();
  CALF_CHECK_OK(log.sync());
  PageSetHeader header = next_header();
  header.page_size = log.page_size();
  header.database_pages = commits.database_pages;
  header.wal = commits.end;
  const auto read = [&](std::size_t index) {
    return log.read_page({.page = pages[index], .page_offset = offsets[index]});
  };
  const Position before = encoded_;
  const std::size_t waiting = pending_.size();
  auto done = encode(pages, read, header, [&](Object object) -> Result<void> {
    pending_.push_back(std::move(object));
    return {};
  });
  if (!done) {
    encoded_ = before;
    pending_.resize(waiting);
    return done;
  }
  place_ = commits.end;
  return {};
}

// Finds out whether the log is the one that was read last, or a new one.
Result<void> Shipper::meet_log() {
  CALF_TRY(const auto start, source_.log().start());
  if (!start) return {};
  const bool same = place_.end_offset != 0 && place_.salt[0] == start->salt[0] &&
                    place_.salt[1] == start->salt[1];
  if (!same) place_ = *start;  // the pin let go of the old one only after all of it was taken
  return {};
}

// Takes some commits out of the log; false when there are none.
Result<bool> Shipper::scan_once() {
  CALF_CHECK_OK(meet_log());
  if (place_.end_offset == 0) return false;
  CALF_TRY(const WalCommits commits, source_.log().commits_after(place_, kScanBytes));
  if (commits.frames.empty()) return false;
  CALF_CHECK_OK(take_commits(commits));
  return true;
}

Result<void> Shipper::put(const Object& object, const blob::Limits& limits) {
  const std::string key = segment_key(object.header.position);
  while (true) {
    const auto done = blob::put_bytes(store_, key, object.bytes, blob::Condition::absent(), limits);
    if (done) return {};
    if (done.error().code != ErrorCode::kPreconditionFailed) return fail(done.error());
    // Ours, when an earlier acknowledgement was lost.
    const auto there = blob::fetch(store_, key, kMaxSegmentObjectBytes, limits);
    if (there && there->bytes == object.bytes) return {};
    if (there) return fail(done.error());
    if (!blob::is_transient(there.error())) return fail(there.error());
    CALF_CHECK_OK(limits.check("writing " + key));
    limits.sleep_ms(kRetryDelayMs);
  }
}

Result<void> Shipper::put_pending(const blob::Limits& limits) {
  while (!pending_.empty()) {
    CALF_CHECK_OK(put(pending_.front(), limits));
    shipped_ = pending_.front().header.position;
    cost_put_ += pending_.front().bytes.size() + kObjectCostBytes;
    pending_.pop_front();
  }
  return {};
}

Result<void> Shipper::ship(const blob::Limits& limits) {
  CALF_CHECK_OK(put_pending(limits));
  if (pin_covered_) {
    CALF_CHECK_OK(source_.advance_pin());
    pin_covered_ = false;
  }
  // Up to what is there now, not for as long as others write.
  CALF_CHECK_OK(unshipped_bytes());
  const WalPlace target = seen_;
  while (place_.end_offset < target.end_offset || place_.salt[0] != target.salt[0]) {
    CALF_TRY(const bool more, scan_once());
    if (!more) break;
    CALF_CHECK_OK(put_pending(limits));
  }
  pin_covered_ = true;
  return {};
}

// Everything that is in the log, into memory.
Result<void> Shipper::take_over_log() {
  std::uint64_t bytes = 0;
  while (true) {
    CALF_TRY(const bool more, scan_once());
    if (!more) return {};
    bytes += pending_.back().bytes.size();
    if (bytes > kMaxTakenOverBytes) {
      return fail(ErrorCode::kUnavailable, "too much was written meanwhile");
    }
  }
}

Result<void> Shipper::checkpoint_if_larger(std::uint64_t bytes) {
  CALF_TRY(const std::uint64_t size, source_.log().size_bytes());
  if (size < bytes || !pin_covered_ || place_.end_offset < bytes || place_ == emptied_) return {};
  CALF_TRY(const bool all, source_.checkpoint([this] { return take_over_log(); }));
  if (all) emptied_ = place_;
  return {};
}

Result<Shipper::At> Shipper::snapshot_for_base() {
  PageSetHeader header;
  auto snapshot = source_.snapshot([&]() -> Result<void> {
    CALF_CHECK_OK(take_over_log());
    header = {.kind = PageSetKind::kBase,
              .position = encoded_,
              .previous = encoded_,
              .time_ms = time_ms_,
              .archive_id = archive_id_};
    header.wal = place_;
    return {};
  });
  if (!snapshot) return fail(std::move(snapshot).error());
  header.page_size = snapshot->page_size();
  header.database_pages = snapshot->page_count();
  return At{std::move(*snapshot), header};
}

Result<void> Shipper::ship_everything(const blob::Limits& limits) {
  PageSetHeader header;
  CALF_TRY(auto snapshot, source_.snapshot([&]() -> Result<void> {
    // The log up to here is in the snapshot: what follows is shipped from it.
    CALF_TRY(const auto start, source_.log().start());
    place_ = {};
    if (start) {
      CALF_TRY(const auto commits, source_.log().commits_after(*start, UINT64_MAX));
      CALF_CHECK_OK(source_.log().sync());
      place_ = commits.end;
    }
    header = next_header();
    header.wal = place_;
    return {};
  }));
  header.page_size = snapshot.page_size();
  header.database_pages = snapshot.page_count();
  std::vector<std::uint32_t> pages(snapshot.page_count());
  for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::uint32_t>(i + 1);
  return encode(
      pages, [&](std::size_t index) { return snapshot.read_page(pages[index]); }, header,
      [&](Object object) -> Result<void> {
        pending_.push_back(std::move(object));
        return put_pending(limits);
      });
}

Result<std::uint64_t> Shipper::unshipped_bytes() {
  std::uint64_t bytes = 0;
  for (const Object& object : pending_) bytes += object.bytes.size();
  CALF_CHECK_OK(meet_log());
  if (place_.end_offset == 0) return bytes;
  const bool ahead = seen_.salt[0] == place_.salt[0] && seen_.salt[1] == place_.salt[1] &&
                     seen_.end_offset > place_.end_offset;
  if (!ahead) seen_ = place_;
  CALF_TRY(const WalCommits commits, source_.log().commits_after(seen_, UINT64_MAX));
  seen_ = commits.end;
  return bytes + seen_.end_offset - place_.end_offset;
}

}  // namespace calf::archive
