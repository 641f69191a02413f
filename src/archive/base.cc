#include "archive/base.h"

#include "archive/retry.h"
#include "blob/host_file.h"

namespace calf::archive {
namespace {

Result<void> write_base(Shipper::At& at, const std::filesystem::path& scratch,
                        const blob::Limits& limits) {
  CALF_TRY(const auto file, blob::open_file(scratch, O_WRONLY | O_CREAT | O_TRUNC));
  std::uint64_t offset = 0;
  const auto out = [&](std::string_view bytes) -> Result<void> {
    CALF_CHECK_OK(blob::write_at(file, scratch, offset, bytes));
    offset += bytes.size();
    return {};
  };
  CALF_TRY(auto writer, PageSetWriter::begin(at.header, out));
  for (std::uint32_t number = 1; number <= at.snapshot.page_count(); ++number) {
    CALF_CHECK_OK(limits.check("making a base"));
    CALF_TRY(const std::string page, at.snapshot.read_page(number));
    CALF_CHECK_OK(writer->add(number, page));
  }
  return writer->finish();
}

}  // namespace

Result<std::uint64_t> put_base(blob::ObjectStore& store, Shipper::At at,
                               const std::filesystem::path& scratch, const blob::Limits& limits) {
  const std::string key = base_key(at.header.position);
  auto done = [&]() -> Result<std::uint64_t> {
    CALF_CHECK_OK(write_base(at, scratch, limits));
    {
      const Shipper::At let_go = std::move(at);
    }  // the log may be emptied again
    CALF_TRY(auto body, blob::FileBody::open(scratch));
    CALF_CHECK_OK(
        retrying(limits, [&] { return store.put(key, body, blob::Condition::none(), limits); }));
    return body.size_bytes();
  }();
  std::error_code ignored;
  std::filesystem::remove(scratch, ignored);
  return done;
}

// Bases go first: one without its segments would promise what it cannot keep.
Result<std::uint64_t> delete_unneeded(blob::ObjectStore& store, std::int64_t horizon_ms,
                                      const blob::Limits& limits) {
  CALF_TRY(const auto bases, list_bases(store, limits));
  std::size_t keep = bases.size();
  while (keep > 0) {
    CALF_TRY(const PageSetHeader header, fetch_header(store, base_key(bases[keep - 1]), limits));
    if (header.time_ms <= horizon_ms) break;
    --keep;
  }
  if (keep == 0) return 0;
  const std::string last = segment_key(bases[keep - 1]);
  std::vector<std::string> unneeded;
  for (std::size_t i = 0; i + 1 < keep; ++i) unneeded.push_back(base_key(bases[i]));
  blob::ListQuery query{.prefix = kSegmentPrefix};
  for (bool more = true; more;) {
    CALF_TRY(const auto page, store.list(query, limits));
    more = page.more && !page.objects.empty();
    for (const auto& object : page.objects) {
      if (object.key <= last && position_of_key(object.key)) unneeded.push_back(object.key);
    }
    if (more) query.start_after = page.objects.back().key;
    more = more && query.start_after <= last;
  }
  for (const std::string& key : unneeded) CALF_CHECK_OK(store.remove(key, limits));
  return unneeded.size();
}

Result<ChainSize> measure_chain(blob::ObjectStore& store, const blob::Limits& limits) {
  ChainSize size;
  std::string newest;
  const auto look = [&](const blob::ObjectInfo& object) -> Result<void> {
    size.base_bytes = object.size_bytes;
    newest = object.key;
    return {};
  };
  CALF_CHECK_OK(blob::list_all(store, {.prefix = kBasePrefix}, look, limits));
  blob::ListQuery query{.prefix = kSegmentPrefix};
  if (const auto position = position_of_key(newest)) query.start_after = segment_key(*position);
  const auto add = [&](const blob::ObjectInfo& object) -> Result<void> {
    size.segment_bytes += object.size_bytes;
    ++size.segments;
    return {};
  };
  CALF_CHECK_OK(blob::list_all(store, query, add, limits));
  return size;
}

}  // namespace calf::archive
