// The bytes of one file in memory: chunks that are shared with clones until written, holes, pieces
// of a pack that were not yet changed, or (once somebody maps it) shared memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "os/shared_memory.h"
#include "vfs/pack.h"
#include "vfs/shared.h"
#include "vfs/types.h"

namespace calf::vfs {

// How many bytes of contents one file system may hold, and holds.
struct Budget {
  uint64_t limit_bytes = UINT64_MAX;
  uint64_t used_bytes = 0;

  [[nodiscard]] bool take(uint64_t bytes) {
    if (used_bytes > limit_bytes || bytes > limit_bytes - used_bytes) return false;
    used_bytes += bytes;
    return true;
  }
  void give_back(uint64_t bytes) { used_bytes -= bytes; }
  [[nodiscard]] bool limited() const { return limit_bytes != UINT64_MAX; }
};

// The unit of sharing and copying: PostgreSQL's page.
inline constexpr uint32_t kChunkSize = 8 * 1024;
static_assert(kPieceSize % kChunkSize == 0);

// A run of at most kChunkSize bytes, allocated in one block with its header. Bytes past `capacity`
// are zeros.
struct Chunk {
  std::atomic<uint32_t> references{1};
  uint32_t capacity = 0;
  uint64_t unused_ = 0;  // keeps the bytes 16-byte aligned

  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  // Zeroed. Null when the host is out of memory.
  static Chunk* create(uint32_t capacity);
  static void destroy(Chunk* chunk);
};

// The chunks of a file, in two levels: a first write after cloning copies one table and the index,
// not a pointer for each chunk of a file of 1 GB.
struct ChunkTable {
  static constexpr uint64_t kChunks = 256;  // at most

  std::atomic<uint32_t> references{1};
  std::vector<Shared<Chunk>> chunks;  // null: not stored here (a hole, or still the pack's)

  ChunkTable() = default;
  ChunkTable(const ChunkTable& other) : chunks(other.chunks) {}
  static void destroy(ChunkTable* table) { delete table; }
};
struct ChunkIndex {
  std::atomic<uint32_t> references{1};
  std::vector<Shared<ChunkTable>> tables;  // null: no chunks

  ChunkIndex() = default;
  ChunkIndex(const ChunkIndex& other) : tables(other.tables) {}
  static void destroy(ChunkIndex* index) { delete index; }
};

class Contents {
 public:
  Contents() = default;
  Contents(Contents&&) = default;
  Contents& operator=(Contents&&) = default;

  // The contents of a file of `pack`, which must outlive this object.
  static Contents of_pack(const Pack& pack, Pack::EntryIndex file);

  // Shares the chunks; mapped contents are copied. `budget` is the clone's.
  [[nodiscard]] Contents clone(Budget& budget) const;

  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] uint64_t allocated() const { return allocated_; }
  // Of these, bytes that no clone shares.
  [[nodiscard]] uint64_t own() const;

  // At most bytes.size() bytes at `offset`; fewer only at the end. kIo: the pack is damaged.
  Expected<size_t> read(std::span<std::byte> bytes, uint64_t offset) const;
  // Bytes written: fewer when space ran out after some. kNoSpace, kFileTooBig.
  Expected<size_t> write(std::span<const std::byte> bytes, uint64_t offset, Budget& budget);
  Expected<void> truncate(uint64_t size, Budget& budget);
  Expected<void> allocate(uint64_t offset, uint64_t length, Budget& budget);
  // Moves the bytes into shared memory for good and returns its descriptor.
  Expected<int> share(Budget& budget);
  // Gives everything back; the contents are empty afterwards.
  void clear(Budget& budget);

 private:
  struct Mapped {
    os::SharedMemory memory;
    std::byte* bytes = nullptr;
    size_t length = 0;

    Mapped() = default;
    Mapped(const Mapped&) = delete;
    Mapped& operator=(const Mapped&) = delete;
    ~Mapped();
    Expected<void> resize(uint64_t size);
  };

  [[nodiscard]] const Shared<Chunk>* chunk_at(uint64_t index) const;
  Expected<void> read_piece(uint64_t index, uint32_t from, std::span<std::byte> bytes) const;
  Expected<Chunk*> writable_chunk(uint64_t index, uint32_t end, Budget& budget);
  Expected<Chunk*> replace_chunk(Shared<Chunk>& slot, uint64_t index, uint32_t capacity,
                                 Budget& budget);
  Shared<Chunk>& writable_slot(uint64_t index);
  Expected<void> truncate_chunks(uint64_t size, Budget& budget);

  Shared<ChunkIndex> index_;
  std::unique_ptr<Mapped> mapped_;
  uint64_t size_ = 0;
  uint64_t allocated_ = 0;  // what this file took from the budget
  const Pack* pack_ = nullptr;
  Pack::EntryIndex backing_ = 0;
  uint64_t backed_size_ = 0;  // bytes before this that no chunk holds are the pack's
};

}  // namespace calf::vfs
