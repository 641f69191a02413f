#include "vfs/contents.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace calf::vfs {
namespace {

// Bounds the index of a sparse file: 256 KB at this size. PostgreSQL's files are at most 1 GiB.
constexpr uint64_t kMaxStoredSize = uint64_t{64} << 30;
constexpr uint32_t kMinCapacity = 4096;

uint64_t chunk_count(uint64_t size) {
  return (size + kChunkSize - 1) / kChunkSize;
}

// The reference, made ours alone: a new object, or a copy when others have it, too.
template <typename T>
T& own_copy(Shared<T>& shared) {
  if (!shared)
    shared = Shared<T>(new T);
  else if (!shared.unique())
    shared = Shared<T>(new T(*shared));
  return *shared;
}

size_t round_to_pages(uint64_t size) {
  return (size + 4095) & ~uint64_t{4095};
}

}  // namespace

Chunk* Chunk::create(uint32_t capacity) {
  void* block = std::calloc(1, sizeof(Chunk) + capacity);
  if (block == nullptr) return nullptr;
  auto* chunk = new (block) Chunk;
  chunk->capacity = capacity;
  return chunk;
}

void Chunk::destroy(Chunk* chunk) {
  chunk->~Chunk();
  std::free(chunk);
}

Contents::Mapped::~Mapped() {
  if (bytes != nullptr) munmap(bytes, length);
}

Expected<void> Contents::Mapped::resize(uint64_t size) {
  CALF_ERRNO_CHECK(memory.resize(size));
  size_t wanted = round_to_pages(size);
  if (wanted <= length) return {};
  CALF_ERRNO_TRY(std::byte * fresh, memory.map(nullptr, 0, wanted, os::Protection::kReadWrite));
  if (bytes != nullptr) munmap(bytes, length);
  bytes = fresh;
  length = wanted;
  return {};
}

Contents Contents::of_pack(const Pack& pack, Pack::EntryIndex file) {
  Contents contents;
  contents.pack_ = &pack;
  contents.backing_ = file;
  contents.size_ = contents.backed_size_ = pack.entry(file).size_bytes;
  return contents;
}

Contents Contents::clone(Budget& budget) const {
  Contents copy;
  copy.pack_ = pack_;
  copy.backing_ = backing_;
  copy.backed_size_ = backed_size_;
  if (mapped_ == nullptr) {
    copy.index_ = index_;
    copy.size_ = size_;
    copy.allocated_ = allocated_;
    budget.used_bytes += allocated_;
    return copy;
  }
  // A clone takes what it finds, also above its limit: it holds no more than the original did.
  Budget unlimited;
  if (size_ > 0) (void)copy.write({mapped_->bytes, size_}, 0, unlimited);
  budget.used_bytes += unlimited.used_bytes;
  return copy;
}

const Shared<Chunk>* Contents::chunk_at(uint64_t index) const {
  const uint64_t at = index / ChunkTable::kChunks, inside = index % ChunkTable::kChunks;
  if (!index_ || at >= index_->tables.size() || !index_->tables[at]) return nullptr;
  const auto& chunks = index_->tables[at]->chunks;
  return inside < chunks.size() && chunks[inside] ? &chunks[inside] : nullptr;
}

uint64_t Contents::own() const {
  if (mapped_ != nullptr) return allocated_;
  if (!index_ || !index_.unique()) return 0;
  uint64_t total = 0;
  for (const auto& table : index_->tables) {
    if (!table || !table.unique()) continue;
    for (const auto& chunk : table->chunks)
      if (chunk && chunk.unique()) total += chunk->capacity;
  }
  return total;
}

// Bytes [from, from + bytes.size()) of a chunk's range that no chunk holds: the pack's, or zeros.
Expected<void> Contents::read_piece(uint64_t index, uint32_t from,
                                    std::span<std::byte> bytes) const {
  size_t copied = 0;
  const uint64_t start = index * kChunkSize + from;
  if (start < backed_size_) {
    const size_t inside = start % kPieceSize;
    CALF_ERRNO_TRY(std::span<const std::byte> piece,
                   pack_->piece(pack_->entry(backing_), static_cast<uint32_t>(start / kPieceSize)));
    if (inside < piece.size()) {
      copied = std::min({bytes.size(), piece.size() - inside, size_t{backed_size_ - start}});
      std::memcpy(bytes.data(), piece.data() + inside, copied);
    }
  }
  std::memset(bytes.data() + copied, 0, bytes.size() - copied);
  return {};
}

Expected<size_t> Contents::read(std::span<std::byte> bytes, uint64_t offset) const {
  if (offset >= size_) return 0;
  size_t wanted = std::min<uint64_t>(bytes.size(), size_ - offset);
  if (mapped_ != nullptr) {
    std::memcpy(bytes.data(), mapped_->bytes + offset, wanted);
    return wanted;
  }
  for (size_t done = 0; done < wanted;) {
    uint64_t index = (offset + done) / kChunkSize;
    auto from = static_cast<uint32_t>((offset + done) % kChunkSize);
    size_t length = std::min<size_t>(wanted - done, kChunkSize - from);
    std::byte* out = bytes.data() + done;
    if (const Shared<Chunk>* chunk = chunk_at(index)) {
      uint32_t capacity = (*chunk)->capacity;
      size_t stored = from < capacity ? std::min<size_t>(length, capacity - from) : 0;
      std::memcpy(out, (*chunk)->bytes() + from, stored);
      std::memset(out + stored, 0, length - stored);
    } else {
      CALF_ERRNO_CHECK(read_piece(index, from, {out, length}));
    }
    done += length;
  }
  return wanted;
}

// Where the chunk at `index` belongs, in tables of our own.
Shared<Chunk>& Contents::writable_slot(uint64_t index) {
  const uint64_t at = index / ChunkTable::kChunks, inside = index % ChunkTable::kChunks;
  ChunkIndex& tables = own_copy(index_);
  if (tables.tables.size() <= at) tables.tables.resize(at + 1);
  ChunkTable& table = own_copy(tables.tables[at]);
  if (table.chunks.size() <= inside) table.chunks.resize(inside + 1);
  return table.chunks[inside];
}

// Puts a chunk of our own with `capacity` bytes into `slot`, with what a reader saw there before.
Expected<Chunk*> Contents::replace_chunk(Shared<Chunk>& slot, uint64_t index, uint32_t capacity,
                                         Budget& budget) {
  uint32_t before = slot ? slot->capacity : 0;
  if (capacity > before && !budget.take(capacity - before)) return fail(Errno::kNoSpace);
  Shared<Chunk> fresh(Chunk::create(capacity));
  if (!fresh) {
    if (capacity > before) budget.give_back(capacity - before);
    return fail(Errno::kNoSpace);
  }
  if (slot) {
    std::memcpy(fresh->bytes(), slot->bytes(), std::min(before, capacity));
  } else if (index * kChunkSize < backed_size_) {
    if (auto read = read_piece(index, 0, {fresh->bytes(), capacity}); !read) {
      budget.give_back(capacity);
      return fail(read.error());
    }
  }
  if (capacity < before) budget.give_back(before - capacity);
  allocated_ += capacity;
  allocated_ -= before;
  slot = std::move(fresh);
  return slot.get();
}

// The chunk at `index`, ours alone and with room for `end` bytes.
Expected<Chunk*> Contents::writable_chunk(uint64_t index, uint32_t end, Budget& budget) {
  Shared<Chunk>& slot = writable_slot(index);
  if (slot && end <= slot->capacity && slot.unique()) return slot.get();
  uint64_t needed = end;
  if (slot) needed = std::max<uint64_t>(needed, slot->capacity);
  if (uint64_t start = index * kChunkSize; !slot && start < backed_size_)
    needed = std::max(needed, std::min<uint64_t>(backed_size_ - start, kChunkSize));
  // Small files take little; a file that has grown past one chunk gets whole ones, or extending it
  // by pages would copy each chunk several times.
  uint32_t capacity =
      index > 0 ? kChunkSize : std::max(kMinCapacity, std::bit_ceil(static_cast<uint32_t>(needed)));
  return replace_chunk(slot, index, capacity, budget);
}

Expected<size_t> Contents::write(std::span<const std::byte> bytes, uint64_t offset,
                                 Budget& budget) {
  if (bytes.empty()) return 0;
  if (offset > kMaxStoredSize || bytes.size() > kMaxStoredSize - offset)
    return fail(Errno::kFileTooBig);
  if (mapped_ != nullptr) {
    if (offset + bytes.size() > size_) CALF_ERRNO_CHECK(truncate(offset + bytes.size(), budget));
    std::memcpy(mapped_->bytes + offset, bytes.data(), bytes.size());
    return bytes.size();
  }
  size_t done = 0;
  while (done < bytes.size()) {
    uint64_t index = (offset + done) / kChunkSize;
    auto from = static_cast<uint32_t>((offset + done) % kChunkSize);
    size_t length = std::min<size_t>(bytes.size() - done, kChunkSize - from);
    auto chunk = writable_chunk(index, static_cast<uint32_t>(from + length), budget);
    if (!chunk) {
      if (done == 0) return fail(chunk.error());
      break;
    }
    std::memcpy((*chunk)->bytes() + from, bytes.data() + done, length);
    done += length;
  }
  size_ = std::max(size_, offset + done);
  return done;
}

Expected<void> Contents::truncate(uint64_t size, Budget& budget) {
  if (size > kMaxStoredSize) return fail(Errno::kFileTooBig);
  if (mapped_ != nullptr) {
    if (size > size_ && !budget.take(size - size_)) return fail(Errno::kNoSpace);
    if (auto resized = mapped_->resize(size); !resized) {
      if (size > size_) budget.give_back(size - size_);
      return resized;
    }
    if (size < size_) budget.give_back(size_ - size);
    allocated_ = size;
  } else if (size < size_) {
    CALF_ERRNO_CHECK(truncate_chunks(size, budget));
  }
  size_ = size;
  backed_size_ = std::min(backed_size_, size);
  return {};
}

// Drops the chunks past `size` and zeroes the rest of the last one, so that growing again shows
// zeros.
Expected<void> Contents::truncate_chunks(uint64_t size, Budget& budget) {
  if (!index_) return {};
  const uint64_t keep = chunk_count(size);
  auto tail = static_cast<uint32_t>(size % kChunkSize);
  const Shared<Chunk>* cut = tail != 0 ? chunk_at(keep - 1) : nullptr;
  if (cut != nullptr && tail < (*cut)->capacity) {
    CALF_ERRNO_TRY(Chunk * last, writable_chunk(keep - 1, tail, budget));
    std::memset(last->bytes() + tail, 0, last->capacity - tail);
  }
  const uint64_t keep_tables = (keep + ChunkTable::kChunks - 1) / ChunkTable::kChunks;
  if (index_->tables.size() < keep_tables) return {};
  auto& tables = own_copy(index_).tables;
  auto give_back = [&](const ChunkTable& table, uint64_t from) {
    for (uint64_t i = from; i < table.chunks.size(); ++i) {
      if (!table.chunks[i]) continue;
      allocated_ -= table.chunks[i]->capacity;
      budget.give_back(table.chunks[i]->capacity);
    }
  };
  for (uint64_t at = keep_tables; at < tables.size(); ++at)
    if (tables[at]) give_back(*tables[at], 0);
  tables.resize(keep_tables);
  const uint64_t inside = keep % ChunkTable::kChunks;
  if (inside == 0 || !tables.back() || tables.back()->chunks.size() <= inside) return {};
  ChunkTable& last = own_copy(tables.back());
  give_back(last, inside);
  last.chunks.resize(inside);
  return {};
}

Expected<void> Contents::allocate(uint64_t offset, uint64_t length, Budget& budget) {
  if (offset > kMaxStoredSize || length > kMaxStoredSize - offset) return fail(Errno::kFileTooBig);
  uint64_t end = offset + length;
  // Without a limit the space is there anyway; with one, take it now.
  if (budget.limited() && mapped_ == nullptr) {
    for (uint64_t index = offset / kChunkSize; index * kChunkSize < end; ++index) {
      auto last = static_cast<uint32_t>(std::min<uint64_t>(end - index * kChunkSize, kChunkSize));
      CALF_ERRNO_CHECK(writable_chunk(index, last, budget));
    }
  }
  if (end > size_) return truncate(end, budget);
  return {};
}

Expected<int> Contents::share(Budget& budget) {
  if (mapped_ != nullptr) return mapped_->memory.fd();
  auto mapped = std::make_unique<Mapped>();
  CALF_ERRNO_TRY(mapped->memory, os::SharedMemory::create("calf-file", 0));
  CALF_ERRNO_CHECK(mapped->resize(size_));
  if (size_ > 0) CALF_ERRNO_CHECK(read({mapped->bytes, size_}, 0));
  uint64_t size = size_;
  if (size > allocated_ && !budget.take(size - allocated_)) return fail(Errno::kNoSpace);
  if (size < allocated_) budget.give_back(allocated_ - size);
  allocated_ = size;
  index_ = {};
  backed_size_ = 0;
  mapped_ = std::move(mapped);
  return mapped_->memory.fd();
}

void Contents::clear(Budget& budget) {
  budget.give_back(allocated_);
  *this = Contents();
}

}  // namespace calf::vfs
