#include "os/testing/simulated_file.h"

#include <algorithm>
#include <cstring>

namespace calf::os::testing {

size_t Bytes::read(std::span<std::byte> out, uint64_t offset) const {
  if (offset >= size_) return 0;
  const size_t length = std::min<uint64_t>(out.size(), size_ - offset);
  for (size_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    const size_t part = std::min<size_t>(length - done, kChunk - at % kChunk);
    const auto& chunk = chunks_[at / kChunk];
    if (chunk != nullptr) {
      std::memcpy(out.data() + done, chunk->data() + at % kChunk, part);
    } else {
      std::memset(out.data() + done, 0, part);
    }
    done += part;
  }
  return length;
}

void Bytes::write(std::span<const std::byte> in, uint64_t offset) {
  if (offset + in.size() > size_) resize(offset + in.size());
  for (size_t done = 0; done < in.size();) {
    const uint64_t at = offset + done;
    const size_t part = std::min<size_t>(in.size() - done, kChunk - at % kChunk);
    auto& chunk = chunks_[at / kChunk];
    if (chunk == nullptr) {
      chunk = std::make_shared<Chunk>();
    } else if (chunk.use_count() > 1) {
      chunk = std::make_shared<Chunk>(*chunk);
    }
    std::memcpy(chunk->data() + at % kChunk, in.data() + done, part);
    done += part;
  }
}

void Bytes::resize(uint64_t size) {
  // What is cut off must read as zeros when the file grows again.
  if (size < size_ && size % kChunk != 0 && chunks_[size / kChunk] != nullptr) {
    auto& last = chunks_[size / kChunk];
    last = std::make_shared<Chunk>(*last);
    std::fill(last->begin() + static_cast<ptrdiff_t>(size % kChunk), last->end(), std::byte{0});
  }
  chunks_.resize((size + kChunk - 1) / kChunk);
  size_ = size;
}

void SimulatedFile::write(std::span<const std::byte> in, uint64_t offset) {
  contents.write(in, offset);
  unsynced.push_back({.offset = offset, .bytes = {in.begin(), in.end()}});
}

void SimulatedFile::resize(uint64_t size) {
  contents.resize(size);
  unsynced.push_back({.offset = size, .bytes = {}});
}

namespace {

void apply(const UnsyncedChange& change, Bytes& contents) {
  if (change.bytes.empty()) {
    contents.resize(change.offset);
  } else {
    contents.write(change.bytes, change.offset);
  }
}

// A write of which only some sectors have reached the disk.
void write_torn(Bytes& contents, const UnsyncedChange& change, Dice& dice) {
  constexpr uint64_t kSector = 512;
  const uint64_t end = change.offset + change.bytes.size();
  for (uint64_t at = change.offset; at < end;) {
    const uint64_t next = std::min(end, (at / kSector + 1) * kSector);
    if (dice() % 2 == 0)
      contents.write(std::span(change.bytes).subspan(at - change.offset, next - at), at);
    at = next;
  }
}

}  // namespace

void SimulatedFile::sync_contents() {
  if (has_lost_changes) {
    for (const UnsyncedChange& change : unsynced) apply(change, durable_contents);
  } else if (!unsynced.empty()) {
    durable_contents = contents;
  }
  unsynced.clear();
}

void SimulatedFile::fail_to_sync_contents() {
  has_lost_changes = has_lost_changes || !unsynced.empty();
  unsynced.clear();
}

Bytes SimulatedFile::contents_after_cut(Dice& dice) const {
  Bytes left = durable_contents;
  // Some files were just written back, some not at all, most lie between.
  const uint64_t written_percent = std::array{0, 25, 50, 75, 100}[dice() % 5];
  for (const UnsyncedChange& change : unsynced) {
    if (dice() % 100 >= written_percent) continue;
    if (!change.bytes.empty() && dice() % 3 == 0) {
      write_torn(left, change, dice);
    } else {
      apply(change, left);
    }
  }
  return left;
}

}  // namespace calf::os::testing
