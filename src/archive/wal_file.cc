#include "archive/wal_file.h"

#include <bit>
#include <cstring>

namespace calf::archive {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::uint32_t kMagic = 0x377f0682;  // + 1: checksums of big-endian words
constexpr std::uint32_t kVersion = 3007000;

std::uint32_t big_endian(std::string_view bytes, std::size_t offset) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return __builtin_bswap32(value);
}

void add_checksum(std::string_view bytes, bool big_endian_words, std::uint32_t sum[2]) {
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    std::uint32_t words[2];
    std::memcpy(words, bytes.data() + i, sizeof words);
    if (big_endian_words) {
      words[0] = __builtin_bswap32(words[0]);
      words[1] = __builtin_bswap32(words[1]);
    }
    sum[0] += words[0] + sum[1];
    sum[1] += words[1] + sum[0];
  }
}

}  // namespace

// SQLite may remove and make the file again, so the name is looked up when it is needed.
Result<bool> WalFile::open() {
  auto file = blob::open_file(path_, O_RDONLY);
  if (!file && file.error().code == ErrorCode::kNotFound) {
    file_.reset();
    return false;
  }
  if (!file) return fail(std::move(file).error());
  file_ = std::move(*file);
  return true;
}

Result<std::uint64_t> WalFile::size_bytes() {
  CALF_TRY(const bool there, open());
  if (!there) return 0;
  return blob::file_size(file_, path_);
}

Result<std::optional<WalPlace>> WalFile::start() {
  CALF_TRY(const bool there, open());
  if (!there) return std::nullopt;
  std::string header(kHeaderBytes, '\0');
  CALF_TRY(const std::size_t n, blob::read_at(file_, path_, 0, header));
  if (n < kHeaderBytes || (big_endian(header, 0) & ~1u) != kMagic) return std::nullopt;
  big_endian_checksums_ = (big_endian(header, 0) & 1) != 0;
  std::uint32_t sum[2] = {0, 0};
  add_checksum(std::string_view(header).substr(0, 24), big_endian_checksums_, sum);
  // It is being written, or was torn; SQLite does not use it either.
  if (sum[0] != big_endian(header, 24) || sum[1] != big_endian(header, 28)) return std::nullopt;
  page_size_ = big_endian(header, 8);
  const bool sane = page_size_ >= 512 && page_size_ <= 65536 && std::has_single_bit(page_size_);
  if (!sane || big_endian(header, 4) != kVersion) {
    return fail(ErrorCode::kDataCorrupted,
                path_.string() + " is not a write-ahead log of SQLite's");
  }
  WalPlace place{.end_offset = kHeaderBytes};
  place.salt[0] = big_endian(header, 16);
  place.salt[1] = big_endian(header, 20);
  place.checksum[0] = sum[0];
  place.checksum[1] = sum[1];
  return place;
}

Result<WalCommits> WalFile::commits_after(const WalPlace& from, std::uint64_t limit_bytes) {
  WalCommits result{.end = from};
  WalPlace place = from;
  std::size_t committed = 0;
  std::string frame(kWalFrameHeadBytes + page_size_, '\0');
  while (true) {
    CALF_TRY(const std::size_t n, blob::read_at(file_, path_, place.end_offset, frame));
    if (n < frame.size()) break;
    if (big_endian(frame, 8) != from.salt[0] || big_endian(frame, 12) != from.salt[1]) break;
    add_checksum(std::string_view(frame).substr(0, 8), big_endian_checksums_, place.checksum);
    add_checksum(std::string_view(frame).substr(kWalFrameHeadBytes), big_endian_checksums_,
                 place.checksum);
    if (place.checksum[0] != big_endian(frame, 16) || place.checksum[1] != big_endian(frame, 20)) {
      break;
    }
    result.frames.push_back(
        {.page = big_endian(frame, 0), .page_offset = place.end_offset + kWalFrameHeadBytes});
    place.end_offset += frame.size();
    const std::uint32_t commit_pages = big_endian(frame, 4);
    if (commit_pages == 0) continue;
    committed = result.frames.size();
    result.database_pages = commit_pages;
    result.end = place;
    if (place.end_offset - from.end_offset >= limit_bytes) {
      result.more = true;
      break;
    }
  }
  result.frames.resize(committed);  // what follows is not committed yet
  return result;
}

Result<bool> WalFile::contains(const WalPlace& place) {
  CALF_TRY(const auto begin, start());
  if (!begin || begin->salt[0] != place.salt[0] || begin->salt[1] != place.salt[1]) return false;
  const std::size_t frame_bytes = kWalFrameHeadBytes + page_size_;
  if (place.end_offset < kHeaderBytes || (place.end_offset - kHeaderBytes) % frame_bytes != 0) {
    return false;
  }
  if (place.end_offset == kHeaderBytes) return place == *begin;
  std::string head(kWalFrameHeadBytes, '\0');
  CALF_TRY(const std::size_t n, blob::read_at(file_, path_, place.end_offset - frame_bytes, head));
  return n == head.size() && big_endian(head, 8) == place.salt[0] &&
         big_endian(head, 12) == place.salt[1] && big_endian(head, 16) == place.checksum[0] &&
         big_endian(head, 20) == place.checksum[1];
}

Result<std::string> WalFile::read_page(const WalFrame& frame) {
  std::string page(page_size_, '\0');
  CALF_TRY(const std::size_t n, blob::read_at(file_, path_, frame.page_offset, page));
  if (n != page.size()) return fail(ErrorCode::kIo, path_.string() + " became shorter");
  return page;
}

Result<void> WalFile::sync() {
  return blob::sync(file_, path_);
}

}  // namespace calf::archive
