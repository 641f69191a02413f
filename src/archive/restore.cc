#include "archive/restore.h"

#include <algorithm>

#include "archive/base.h"
#include "blob/host_file.h"

namespace calf::archive {
namespace {

namespace fs = std::filesystem;

// A database is at least one page; what is written must not keep bytes of an earlier state.
Result<void> truncate(const os::FileDescriptor& file, const fs::path& path, std::uint64_t bytes) {
  if (const auto done = blob::host_files().ftruncate(file.get(), bytes); !done) {
    return fail(os::to_error("truncating " + path.string(), done.error()));
  }
  return {};
}

RestoreOptions with_total(RestoreOptions options, std::uint64_t total_bytes) {
  if (!options.progress) return options;
  options.progress = [told = std::move(options.progress), total_bytes](RestoreProgress progress) {
    progress.total_bytes = std::max(total_bytes, progress.bytes);
    told(progress);
  };
  return options;
}

}  // namespace

Result<Replay> Replay::begin(blob::ObjectStore& store, const fs::path& file,
                             const RestoreOptions& options, const blob::Limits& limits) {
  CALF_TRY(auto descriptor, blob::open_file(file, O_RDWR | O_CREAT | O_TRUNC));
  Replay replay(file, std::move(descriptor), options);
  CALF_TRY(const auto bases, list_bases(store, limits));
  for (auto base = bases.rbegin(); base != bases.rend(); ++base) {
    CALF_TRY(const PageSetHeader header, fetch_header(store, base_key(*base), limits));
    if (header.kind != PageSetKind::kBase || header.position != *base) {
      return fail(ErrorCode::kDataCorrupted, "object " + base_key(*base) + " is not a base");
    }
    if (options.at_ms && header.time_ms > *options.at_ms) continue;
    CALF_CHECK_OK(replay.load_base(store, *base, limits));
    return replay;
  }
  if (bases.empty()) return replay;  // then the chain is there from its beginning
  // Without a base that is old enough only an archive that still has its first segment will do.
  Position first{};
  ReadAhead segments(std::bind_front(fetch_segment, std::ref(store)), limits);
  auto link = next_link(store, segments, first, limits);
  if (!link && link.error().code == ErrorCode::kDataCorrupted) {
    return fail(ErrorCode::kNotFound, store.describe() + " has nothing of that time any more",
                "its oldest state is that of " + base_key(bases.front()));
  }
  if (!link) return fail(std::move(link).error());
  return replay;
}

Result<void> Replay::load_base(blob::ObjectStore& store, Position base,
                               const blob::Limits& limits) {
  PageSetHeader header;
  PageSetReader reader(
      base_key(base),
      [&](const PageSetHeader& found) -> Result<void> {
        header = found;
        return {};
      },
      [&](std::uint32_t number, std::string_view page) {
        return blob::write_at(file_, path_, std::uint64_t{number - 1} * header.page_size, page);
      });
  const blob::Sink feed = [&](std::string_view chunk) -> Result<void> {
    progress_.bytes += chunk.size();
    if (options_.progress) options_.progress(progress_);
    return reader.feed(chunk);
  };
  CALF_CHECK_OK(store.get(base_key(base), {}, feed, limits));
  CALF_CHECK_OK(reader.finish());
  at_ = base;
  return settle(header);
}

Result<void> Replay::settle(const PageSetHeader& header) {
  CALF_CHECK_OK(truncate(file_, path_, header.database_bytes()));
  state_ = header;
  progress_.time_ms = header.time_ms;
  if (options_.progress) options_.progress(progress_);
  return {};
}

Result<void> Replay::apply(const Link& link) {
  CALF_TRY(const PageList list, decode_pages(segment_key(link.header.position), link.bytes));
  if (state_ && link.header.archive_id != state_->archive_id) {
    return fail(ErrorCode::kDataCorrupted,
                "object " + segment_key(link.header.position) + " is of another archive");
  }
  for (const auto& [number, page] : list.pages) {
    CALF_CHECK_OK(
        blob::write_at(file_, path_, std::uint64_t{number - 1} * link.header.page_size, page));
  }
  progress_.bytes += link.bytes.size();
  ++progress_.segments;
  return {};
}

// Only a complete group changes the file: its parts are looked through first, then applied.
Result<bool> Replay::apply_group(blob::ObjectStore& store, ReadAhead& segments, const Link& first,
                                 Position at, const blob::Limits& limits, bool& ended) {
  Position end = at;
  ReadAhead headers(std::bind_front(fetch_segment_header, std::ref(store)), limits);
  PageSetHeader last = first.header;
  while (!last.last_part) {
    const Position next{end.epoch, end.sequence + 1};
    CALF_TRY(const auto bytes, headers.take(next));
    if (!bytes) {
      ended = true;  // its writer is not done, or never will be
      return false;
    }
    const auto header = parse_header(segment_key(next), *bytes);
    if (!header) return fail(header.error());
    if (header->kind == PageSetKind::kSeal) {
      at_ = end;  // its writer was replaced in the middle: these parts never counted
      return false;
    }
    last = *header;
    ++end.sequence;
  }
  if (options_.at_ms && last.time_ms > *options_.at_ms) {
    ended = true;
    return false;
  }
  CALF_CHECK_OK(apply(first));
  while (at < end) {
    CALF_TRY(const auto link, next_link(store, segments, at, limits));
    if (!link) return fail(ErrorCode::kUnavailable, segment_key(end) + " is gone");
    CALF_CHECK_OK(apply(*link));
  }
  at_ = end;
  CALF_CHECK_OK(settle(last));
  return true;
}

Result<bool> Replay::advance(blob::ObjectStore& store, const blob::Limits& limits) {
  bool changed = false;
  ReadAhead segments(std::bind_front(fetch_segment, std::ref(store)), limits);
  for (bool ended = false; !ended;) {
    Position at = at_;
    CALF_TRY(const auto link, next_link(store, segments, at, limits));
    if (!link) break;
    CALF_TRY(const bool applied, apply_group(store, segments, *link, at, limits, ended));
    changed = changed || applied;
  }
  if (changed) CALF_CHECK_OK(blob::sync(file_, path_));
  return changed;
}

Result<PageSetHeader> restore(blob::ObjectStore& store, const fs::path& file,
                              const RestoreOptions& options, const blob::Limits& limits) {
  std::error_code error;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    if (fs::exists(file.string() + suffix, error)) {
      return fail(ErrorCode::kAlreadyExists, file.string() + suffix + " exists already",
                  "give another name, or move it away");
    }
  }
  const fs::path fresh = file.string() + blob::random_name(".restoring-");
  auto header = [&]() -> Result<PageSetHeader> {
    CALF_TRY(const ChainSize size, measure_chain(store, limits));
    CALF_TRY(auto replay,
             Replay::begin(store, fresh, with_total(options, size.base_bytes + size.segment_bytes),
                           limits));
    CALF_CHECK_OK(replay.advance(store, limits));
    if (!replay.state()) {
      return fail(ErrorCode::kNotFound, options.at_ms
                                            ? store.describe() + " has nothing of that time"
                                            : "there is no archive in " + store.describe());
    }
    CALF_TRY(const auto synced, blob::open_file(fresh, O_RDWR));
    CALF_CHECK_OK(blob::sync(synced, fresh));
    return *replay.state();
  }();
  if (header) fs::rename(fresh, file, error);
  if (!header || error) {
    std::error_code ignored;
    fs::remove(fresh, ignored);
    if (header) return fail(Error::from_errno("renaming to " + file.string(), error.value()));
    return header;
  }
  CALF_CHECK_OK(blob::sync_directory(file.parent_path().empty() ? "." : file.parent_path()));
  return header;
}

}  // namespace calf::archive
