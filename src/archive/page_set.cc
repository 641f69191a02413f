#include "archive/page_set.h"

#include <openssl/evp.h>
#include <zstd.h>

#include <bit>
#include <cstring>

#include "base/assert.h"
#include "blob/encoding.h"

namespace calf::archive {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are stored as they are");

constexpr std::string_view kMagic = "CALFPGS1";
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kHeaderCheckBytes = 8;
constexpr std::size_t kBlockBytes = 1 << 20;  // of pages, before compression
constexpr std::size_t kMaxRawBytes = kBlockBytes + (64 << 10) + 4;
constexpr std::size_t kBlockHeadBytes = 8;
constexpr int kCompressionLevel = 1;
constexpr std::uint32_t kLastPart = 1;

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T number_at(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string header_bytes(const PageSetHeader& header) {
  std::string bytes(kMagic);
  append(bytes, static_cast<std::uint32_t>(header.kind));
  append(bytes, header.last_part ? kLastPart : 0u);
  append(bytes, header.page_size);
  append(bytes, header.database_pages);
  append(bytes, header.position.epoch);
  append(bytes, header.position.sequence);
  append(bytes, header.previous.epoch);
  append(bytes, header.previous.sequence);
  append(bytes, header.time_ms);
  append(bytes, header.wal.salt[0]);
  append(bytes, header.wal.salt[1]);
  append(bytes, header.wal.end_offset);
  append(bytes, header.wal.checksum[0]);
  append(bytes, header.wal.checksum[1]);
  append(bytes, header.next_epoch);
  bytes.append(header.archive_id.data(), header.archive_id.size());
  append(bytes, std::uint64_t{0});
  bytes += blob::sha256(bytes).substr(0, kHeaderCheckBytes);
  ASSERT(bytes.size() == kPageSetHeaderBytes);
  return bytes;
}

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Digest() { EVP_MD_CTX_free(context_); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  void add(std::string_view bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  std::string finish() {
    std::string digest(kDigestBytes, '\0');
    EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return digest;
  }

 private:
  EVP_MD_CTX* context_;
};

bool is_page_size(std::uint32_t size) {
  return size >= 512 && size <= 65536 && std::has_single_bit(size);
}

}  // namespace

Result<PageSetHeader> parse_page_set_header(std::string_view bytes) {
  const auto refuse = [](const char* why) {
    return fail(ErrorCode::kDataCorrupted, std::string("not a page set: ") + why);
  };
  if (bytes.size() < kPageSetHeaderBytes || !bytes.starts_with(kMagic)) {
    return refuse("its first bytes are something else");
  }
  const std::size_t checked = kPageSetHeaderBytes - kHeaderCheckBytes;
  if (blob::sha256(bytes.substr(0, checked)).substr(0, kHeaderCheckBytes) !=
      bytes.substr(checked, kHeaderCheckBytes)) {
    return refuse("its header is damaged");
  }
  PageSetHeader header;
  const auto kind = number_at<std::uint32_t>(bytes, 8);
  if (kind < 1 || kind > 3) return refuse("its kind is unknown");
  header.kind = static_cast<PageSetKind>(kind);
  header.last_part = (number_at<std::uint32_t>(bytes, 12) & kLastPart) != 0;
  header.page_size = number_at<std::uint32_t>(bytes, 16);
  header.database_pages = number_at<std::uint32_t>(bytes, 20);
  header.position = {number_at<std::uint64_t>(bytes, 24), number_at<std::uint64_t>(bytes, 32)};
  header.previous = {number_at<std::uint64_t>(bytes, 40), number_at<std::uint64_t>(bytes, 48)};
  header.time_ms = number_at<std::int64_t>(bytes, 56);
  header.wal.salt[0] = number_at<std::uint32_t>(bytes, 64);
  header.wal.salt[1] = number_at<std::uint32_t>(bytes, 68);
  header.wal.end_offset = number_at<std::uint64_t>(bytes, 72);
  header.wal.checksum[0] = number_at<std::uint32_t>(bytes, 80);
  header.wal.checksum[1] = number_at<std::uint32_t>(bytes, 84);
  header.next_epoch = number_at<std::uint64_t>(bytes, 88);
  std::memcpy(header.archive_id.data(), bytes.data() + 96, header.archive_id.size());
  if (header.kind != PageSetKind::kSeal && !is_page_size(header.page_size)) {
    return refuse("its page size is none");
  }
  return header;
}

struct PageSetWriter::State {
  PageSetHeader header;
  Out out;
  Digest digest{};
  std::string block{};
  std::string compressed{};
};

PageSetWriter::PageSetWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
PageSetWriter::~PageSetWriter() = default;

Result<std::unique_ptr<PageSetWriter>> PageSetWriter::begin(const PageSetHeader& header, Out out) {
  std::unique_ptr<State> state(new State{.header = header, .out = std::move(out)});
  auto writer = std::unique_ptr<PageSetWriter>(new PageSetWriter(std::move(state)));
  CALF_CHECK_OK(writer->put(header_bytes(header)));
  return writer;
}

Result<void> PageSetWriter::put(std::string_view bytes) {
  state_->digest.add(bytes);
  return state_->out(bytes);
}

Result<void> PageSetWriter::add(std::uint32_t number, std::string_view page) {
  ASSERT(number > 0 && page.size() == state_->header.page_size);
  append(state_->block, number);
  state_->block.append(page);
  return state_->block.size() < kBlockBytes ? Result<void>{} : flush();
}

Result<void> PageSetWriter::flush() {
  if (state_->block.empty()) return {};
  std::string& compressed = state_->compressed;
  compressed.resize(ZSTD_compressBound(state_->block.size()));
  const std::size_t size = ZSTD_compress(compressed.data(), compressed.size(), state_->block.data(),
                                         state_->block.size(), kCompressionLevel);
  if (ZSTD_isError(size)) return fail(ErrorCode::kInternal, ZSTD_getErrorName(size));
  std::string head;
  append(head, static_cast<std::uint32_t>(state_->block.size()));
  append(head, static_cast<std::uint32_t>(size));
  CALF_CHECK_OK(put(head));
  CALF_CHECK_OK(put(std::string_view(compressed).substr(0, size)));
  state_->block.clear();
  return {};
}

Result<void> PageSetWriter::finish() {
  CALF_CHECK_OK(flush());
  CALF_CHECK_OK(put(std::string(kBlockHeadBytes, '\0')));
  return state_->out(state_->digest.finish());
}

struct PageSetReader::State {
  enum class Phase { kHeader, kBlock, kTrailer, kDone };
  std::string name;
  OnHeader on_header;
  OnPage on_page;
  Phase phase = Phase::kHeader;
  PageSetHeader header{};
  std::string bytes{};  // received, not yet used
  std::string raw{};
  Digest digest{};

  // Takes the first `count` bytes away.
  void consume(std::size_t count) {
    digest.add(std::string_view(bytes).substr(0, count));
    bytes.erase(0, count);
  }
};

PageSetReader::PageSetReader(std::string name, OnHeader on_header, OnPage on_page)
    : state_(new State{.name = std::move(name),
                       .on_header = std::move(on_header),
                       .on_page = std::move(on_page)}) {}
PageSetReader::~PageSetReader() = default;

tl::unexpected<Error> PageSetReader::corrupted(const std::string& why) const {
  return fail(ErrorCode::kDataCorrupted, "object " + state_->name + " is damaged: " + why,
              "restore to a time before it, or bring the object back from a copy of the store");
}

Result<void> PageSetReader::feed(std::string_view bytes) {
  state_->bytes.append(bytes);
  while (true) {
    CALF_TRY(const bool advanced, step());
    if (!advanced) return {};
  }
}

Result<bool> PageSetReader::step() {
  State& state = *state_;
  switch (state.phase) {
    case State::Phase::kHeader: {
      if (state.bytes.size() < kPageSetHeaderBytes) return false;
      auto header = parse_page_set_header(state.bytes);
      if (!header) return corrupted(header.error().message);
      state.header = *header;
      CALF_CHECK_OK(state.on_header(state.header));
      state.consume(kPageSetHeaderBytes);
      state.phase = State::Phase::kBlock;
      return true;
    }
    case State::Phase::kBlock: {
      if (state.bytes.size() < kBlockHeadBytes) return false;
      const auto raw = number_at<std::uint32_t>(state.bytes, 0);
      const auto stored = number_at<std::uint32_t>(state.bytes, 4);
      if (raw > kMaxRawBytes || stored > ZSTD_compressBound(kMaxRawBytes)) {
        return corrupted("a block says that it is too large");
      }
      if (state.bytes.size() < kBlockHeadBytes + stored) return false;
      if (raw == 0) {
        state.phase = State::Phase::kTrailer;
      } else {
        CALF_CHECK_OK(
            decode_block(std::string_view(state.bytes).substr(kBlockHeadBytes, stored), raw));
      }
      state.consume(kBlockHeadBytes + stored);
      return true;
    }
    case State::Phase::kTrailer:
      if (state.bytes.size() < kDigestBytes) return false;
      if (state.digest.finish() != state.bytes.substr(0, kDigestBytes)) {
        return corrupted("its checksum is wrong");
      }
      state.bytes.erase(0, kDigestBytes);
      state.phase = State::Phase::kDone;
      return true;
    case State::Phase::kDone:
      break;
  }
  if (!state.bytes.empty()) return corrupted("there is more after its end");
  return false;
}

Result<void> PageSetReader::decode_block(std::string_view stored, std::uint32_t raw_bytes) {
  State& state = *state_;
  state.raw.resize(raw_bytes);
  const std::size_t size =
      ZSTD_decompress(state.raw.data(), state.raw.size(), stored.data(), stored.size());
  const std::size_t entry = sizeof(std::uint32_t) + state.header.page_size;
  if (size != raw_bytes || raw_bytes % entry != 0 || state.header.kind == PageSetKind::kSeal) {
    return corrupted("a block cannot be unpacked");
  }
  for (std::size_t offset = 0; offset < raw_bytes; offset += entry) {
    const auto number = number_at<std::uint32_t>(state.raw, offset);
    if (number == 0 || number > state.header.database_pages) {
      return corrupted("it has a page beyond the database");
    }
    CALF_CHECK_OK(state.on_page(number, std::string_view(state.raw).substr(
                                            offset + sizeof number, state.header.page_size)));
  }
  return {};
}

Result<void> PageSetReader::finish() {
  return state_->phase == State::Phase::kDone ? Result<void>{} : corrupted("it ends too early");
}

}  // namespace calf::archive
