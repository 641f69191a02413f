// BranchBlocks: blocks and inodes. Its journal is in branch_journal.cc.
#include "vfs/branch_blocks.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/log.h"
#include "vfs/branch_record.h"

namespace calf::vfs {
namespace {

constexpr const char* kBlocksFile = "blocks";
constexpr const char* kJournalFile = "journal";
constexpr std::byte kZeros[kBlockSize] = {};

}  // namespace

// Bytes of a file that come from one place.
struct BranchBlocks::Run {
  enum class Source : uint8_t { kSlots, kKept, kBase, kNothing } source = Source::kNothing;
  uint64_t length = 0;
  uint32_t first_slot = kNoSlot;
  std::shared_ptr<BranchBlocks> holder = {};  // of kept ones; null: this branch
};

BranchBlocks::BranchBlocks(Options options) : options_(std::move(options)) {}

Expected<void> BranchBlocks::open_files(int flags) {
  os::Files& files = *options_.files;
  for (auto [name, descriptor] : {std::pair{kBlocksFile, &blocks_}, {kJournalFile, &journal_}}) {
    CALF_ERRNO_TRY(
        int fd, files.open(options_.directory, name, O_RDWR | flags, 0600, os::Resolve::kBeneath));
    *descriptor = os::FileDescriptor(files, fd);
  }
  return {};
}

Expected<std::unique_ptr<BranchBlocks>> BranchBlocks::create(const Options& options,
                                                             std::vector<SharedInode> inodes) {
  std::unique_ptr<BranchBlocks> made(new BranchBlocks(options));
  CALF_ERRNO_CHECK(made->open_files(O_CREAT | O_EXCL));
  std::vector<Record> records{Record::header(options.boot_id)};
  records.reserve(inodes.size() + 2);
  for (SharedInode& inode : inodes) {
    records.push_back(Record::of(inode));
    const InodeNumber number = inode.number;
    made->inodes_.emplace(number, std::move(inode));
  }
  records.push_back(Record::make(Record::kSynced, 0, {records.size() * sizeof(Record)}));
  CALF_ERRNO_CHECK(made->append(records));
  return made;
}

Result<std::unique_ptr<BranchBlocks>> BranchBlocks::open(const Options& options) {
  std::unique_ptr<BranchBlocks> opened(new BranchBlocks(options));
  if (auto done = opened->open_files(0); !done) {
    return calf::fail(os::to_error("opening the branch's blocks", done.error()));
  }
  CALF_CHECK_OK(opened->replay());
  return opened;
}

BranchBlocks::~BranchBlocks() {
  if (!journal_.is_open() || abandoned_) return;
  auto done = sync_all();  // also of a lost one: older ones find blocks in it
  if (lost_) return;
  const Record end = Record::make(Record::kClosed, 0, {});
  if (done) done = append({&end, 1});
  if (done) done = options_.files->fdatasync(journal_.get());
  if (!done) log::warn("{}", os::to_error("closing a branch", done.error()).to_string());
}

void BranchBlocks::find_free_slots() {
  freed_slots_.clear();
  free_slots_.clear();
  std::vector<bool> used;
  used_slots_ = 0;
  for (const auto& [number, inode] : inodes_) {
    for (const auto* slots : {&inode.slots, &inode.kept}) {
      for (auto [block, slot] : *slots) {
        if (slot >= used.size()) used.resize(slot + 1);
        used[slot] = true;
        ++used_slots_;
      }
    }
  }
  slot_count_ = static_cast<uint32_t>(used.size());
  for (uint32_t slot = 0; slot < slot_count_; ++slot) {
    if (!used[slot]) free_slots_.push_back(slot);
  }
}

SharedInode* BranchBlocks::find(InodeNumber number) {
  std::lock_guard lock(mutex_);
  auto at = inodes_.find(number);
  return at == inodes_.end() ? nullptr : &at->second;
}

Stat BranchBlocks::stat(const SharedInode& inode) {
  std::lock_guard lock(mutex_);
  return Stat{.kind = FileKind::kRegular,
              .permissions = inode.permissions,
              .links = inode.names,
              .inode = inode.number,
              .size_bytes = inode.size,
              .allocated_bytes = (inode.size + 511) / 512 * 512,
              .access_time_ns = inode.access_time_ns,
              .modify_time_ns = inode.modify_time_ns,
              .change_time_ns = inode.modify_time_ns};
}

uint64_t BranchBlocks::size(const SharedInode& inode) {
  std::lock_guard lock(mutex_);
  return inode.size;
}

uint32_t BranchBlocks::slot_of(const SharedInode& inode, uint64_t block) const {
  auto at = inode.slots.find(block);
  return at == inode.slots.end() ? kNoSlot : at->second;
}

// The longest run from `offset` on, at most `length` bytes, that one read can bring. Locked.
BranchBlocks::Run BranchBlocks::run_at(const SharedInode& inode, uint64_t offset, uint64_t length) {
  using Source = Run::Source;
  Run run;
  for (uint64_t at = offset; at < offset + length;) {
    const uint64_t block = at / kBlockSize;
    const uint64_t end = std::min((block + 1) * kBlockSize, offset + length);
    uint32_t slot = slot_of(inode, block);
    std::shared_ptr<BranchBlocks> holder;
    Source source = slot != kNoSlot ? Source::kSlots : Source::kNothing;
    if (slot == kNoSlot && at < inode.base_size) {
      auto kept = find_kept(inode, block);
      slot = kept.slot;
      holder = std::move(kept.holder);
      source = slot != kNoSlot ? Source::kKept : Source::kBase;
    }
    const bool is_in_slots = source == Source::kSlots || source == Source::kKept;
    if (at == offset) {
      run.source = source;
      run.first_slot = slot;
      run.holder = std::move(holder);
    } else if (source != run.source || holder != run.holder ||
               (is_in_slots && slot != run.first_slot + (block - offset / kBlockSize))) {
      break;
    }
    run.length = end - offset;
    at = end;
  }
  return run;
}

Expected<size_t> BranchBlocks::read(const SharedInode& inode, std::span<std::byte> bytes,
                                    uint64_t offset, const ReadBase& read_base) {
  std::unique_lock lock(mutex_);
  if (lost_) return fail(Errno::kIo);
  if (offset >= inode.size) return 0;
  const size_t wanted = std::min<uint64_t>(bytes.size(), inode.size - offset);
  for (size_t done = 0; done < wanted;) {
    CALF_ERRNO_TRY(const size_t got, read_run(lock, inode, bytes.subspan(done, wanted - done),
                                              offset + done, read_base));
    done += got;
  }
  if (lost_) return fail(Errno::kIo);
  return wanted;
}

// As much as one place has of it. Nothing if the place has changed meanwhile.
Expected<size_t> BranchBlocks::read_run(std::unique_lock<std::mutex>& lock,
                                        const SharedInode& inode, std::span<std::byte> bytes,
                                        uint64_t at, const ReadBase& read_base) {
  using Source = Run::Source;
  const Run run = run_at(inode, at, bytes.size());
  const auto part = bytes.first(run.length);
  // What is the parent's ends there.
  const size_t there =
      at < inode.base_size ? std::min<uint64_t>(part.size(), inode.base_size - at) : 0;
  const uint64_t in_slots = run.first_slot * kBlockSize + at % kBlockSize;
  lock.unlock();
  if (run.source == Source::kSlots) {
    CALF_ERRNO_CHECK(read_all(*options_.files, blocks_.get(), part, in_slots));
  } else {
    if (run.source == Source::kKept) {
      const BranchBlocks& holder = run.holder != nullptr ? *run.holder : *this;
      CALF_ERRNO_CHECK(
          read_all(*options_.files, holder.blocks_.get(), part.first(there), in_slots));
    } else if (run.source == Source::kBase) {
      CALF_ERRNO_CHECK(read_base(part.first(there), at));
    }
    const size_t known = run.source == Source::kNothing ? 0 : there;
    std::memset(part.data() + known, 0, part.size() - known);
  }
  lock.lock();
  // The parent keeps a block before it overwrites it. If nothing was kept meanwhile, what was read
  // is what it was.
  if (run.source != Source::kBase) return run.length;
  const Run now = run_at(inode, at, run.length);
  return now.source == run.source && now.length == run.length ? run.length : 0;
}

Expected<void> BranchBlocks::write_slots(uint32_t slot, uint64_t from,
                                         std::span<const std::byte> bytes) {
  return write_all(*options_.files, blocks_.get(), bytes, slot * kBlockSize + from);
}

// Whole blocks that have no slot yet. Locked.
Expected<void> BranchBlocks::put_fresh(SharedInode& inode, std::span<const std::byte> blocks,
                                       uint64_t first_block, Owner owner) {
  const auto count = static_cast<uint32_t>(blocks.size() / kBlockSize);
  uint32_t first = slot_count_;
  const bool reuse = count == 1 && !free_slots_.empty();
  if (reuse) {
    first = free_slots_.back();
  } else if (slot_count_ > kNoSlot - count) {
    return fail(Errno::kFileTooBig);
  }
  if (auto written = write_slots(first, 0, blocks); !written) {
    // What lies past the last slot must read as zeros.
    if (!reuse) (void)options_.files->ftruncate(blocks_.get(), slot_count_ * kBlockSize);
    return written;
  }
  std::vector<Record> records;
  records.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto type = owner == Owner::kBranch ? Record::kBlock : Record::kKept;
    records.push_back(Record::make(type, inode.number, {first_block + i, first + i}));
  }
  CALF_ERRNO_CHECK(append(records));
  auto& slots = owner == Owner::kBranch ? inode.slots : inode.kept;
  for (uint32_t i = 0; i < count; ++i) slots[first_block + i] = first + i;
  if (reuse)
    free_slots_.pop_back();
  else
    slot_count_ += count;
  used_slots_ += count;
  return {};
}

Expected<void> BranchBlocks::write_part(SharedInode& inode, std::span<const std::byte> bytes,
                                        uint64_t offset, const ReadBase& read_base) {
  const uint64_t block = offset / kBlockSize;
  const uint64_t start = block * kBlockSize;
  std::unique_lock lock(mutex_);
  uint32_t slot = slot_of(inode, block);
  std::byte whole[kBlockSize] = {};
  if (slot == kNoSlot && start < inode.base_size) {
    size_t got = 0;
    while (got == 0) {
      CALF_ERRNO_TRY(got, read_run(lock, inode, {whole, kBlockSize}, start, read_base));
    }
    slot = slot_of(inode, block);  // the parent's write may have given it one meanwhile
  }
  if (slot == kNoSlot) {
    std::memcpy(whole + (offset - start), bytes.data(), bytes.size());
    return put_fresh(inode, whole, block, Owner::kBranch);
  }
  dirty_ = true;
  return write_slots(slot, offset - start, bytes);
}

// As many whole blocks as lie together.
Expected<size_t> BranchBlocks::write_blocks(SharedInode& inode, std::span<const std::byte> bytes,
                                            uint64_t offset) {
  std::lock_guard lock(mutex_);
  const uint64_t block = offset / kBlockSize;
  const uint64_t count = bytes.size() / kBlockSize;
  const uint32_t first = slot_of(inode, block);
  uint64_t length = 1;
  while (length < count) {
    const uint32_t next = slot_of(inode, block + length);
    if (next != (first == kNoSlot ? kNoSlot : first + length)) break;
    ++length;
  }
  const auto part = bytes.first(length * kBlockSize);
  if (first == kNoSlot) {
    CALF_ERRNO_CHECK(put_fresh(inode, part, block, Owner::kBranch));
  } else {
    dirty_ = true;
    CALF_ERRNO_CHECK(write_slots(first, 0, part));
  }
  return part.size();
}

Expected<void> BranchBlocks::write(SharedInode& inode, std::span<const std::byte> bytes,
                                   uint64_t offset, int64_t now_ns, const ReadBase& read_base) {
  if (lost()) return fail(Errno::kIo);
  if (offset > kMaxFileSize || bytes.size() > kMaxFileSize - offset)
    return fail(Errno::kFileTooBig);
  const uint64_t end = offset + bytes.size();
  while (!bytes.empty()) {
    const uint64_t inside = offset % kBlockSize;
    size_t done = std::min<size_t>(bytes.size(), kBlockSize - inside);
    if (done < kBlockSize) {
      CALF_ERRNO_CHECK(write_part(inode, bytes.first(done), offset, read_base));
    } else {
      CALF_ERRNO_TRY(done, write_blocks(inode, bytes, offset));
    }
    bytes = bytes.subspan(done);
    offset += done;
  }
  std::lock_guard lock(mutex_);
  inode.modify_time_ns = now_ns;
  if (end > inode.size) {
    inode.size = end;
    return append_inode(inode);
  }
  if (!inode.touched) touched_.push_back(&inode);
  inode.touched = true;
  return {};
}

void BranchBlocks::drop_slots(SharedInode& inode, uint64_t first_block) {
  for (auto at = inode.slots.begin(); at != inode.slots.end();) {
    if (at->first < first_block) {
      ++at;
      continue;
    }
    freed_slots_.push_back(at->second);
    --used_slots_;
    at = inode.slots.erase(at);
  }
}

Expected<void> BranchBlocks::truncate(SharedInode& inode, uint64_t size, int64_t now_ns) {
  std::lock_guard lock(mutex_);
  if (lost_) return fail(Errno::kIo);
  if (size < inode.size) {
    const uint64_t inside = size % kBlockSize;
    const uint32_t slot = slot_of(inode, size / kBlockSize);
    if (inside != 0 && slot != kNoSlot) {
      CALF_ERRNO_CHECK(write_slots(slot, inside, std::span(kZeros).subspan(inside)));
    }
    drop_slots(inode, (size + kBlockSize - 1) / kBlockSize);
    inode.base_size = std::min(inode.base_size, size);
  }
  inode.size = size;
  inode.modify_time_ns = now_ns;
  return append_inode(inode);
}

Expected<void> BranchBlocks::allocate(SharedInode& inode, uint64_t offset, uint64_t length,
                                      int64_t now_ns) {
  std::lock_guard lock(mutex_);
  if (lost_) return fail(Errno::kIo);
  const uint64_t end = offset + length;
  std::vector<Record> records;
  for (uint64_t block = offset / kBlockSize; block * kBlockSize < end; ++block) {
    if (slot_of(inode, block) != kNoSlot || block * kBlockSize < inode.base_size) continue;
    if (slot_count_ + records.size() >= kNoSlot) return fail(Errno::kNoSpace);
    records.push_back(
        Record::make(Record::kBlock, inode.number, {block, slot_count_ + records.size()}));
  }
  if (!records.empty()) {
    CALF_ERRNO_CHECK(options_.files->fallocate(blocks_.get(), 0, slot_count_ * kBlockSize,
                                               records.size() * kBlockSize));
    CALF_ERRNO_CHECK(append(records));
    for (const Record& record : records) apply(record);
    slot_count_ += static_cast<uint32_t>(records.size());
    used_slots_ += static_cast<uint32_t>(records.size());
  }
  if (end <= inode.size) return {};
  inode.size = end;
  inode.modify_time_ns = now_ns;
  return append_inode(inode);
}

Expected<void> BranchBlocks::set_permissions(SharedInode& inode, uint32_t permissions) {
  std::lock_guard lock(mutex_);
  inode.permissions = permissions & 07777;
  return append_inode(inode);
}

Expected<void> BranchBlocks::set_times(SharedInode& inode, TimeChange access, TimeChange modify,
                                       int64_t now_ns) {
  std::lock_guard lock(mutex_);
  for (auto [time_ns, change] :
       {std::pair{&inode.access_time_ns, access}, {&inode.modify_time_ns, modify}}) {
    if (change.kind == TimeChange::Kind::kNow) *time_ns = now_ns;
    if (change.kind == TimeChange::Kind::kSet) *time_ns = change.time_ns;
  }
  return append_inode(inode);
}

void BranchBlocks::lose(std::string_view why, Errno error) {
  lost_ = true;
  log::error("{}; the branch is lost", os::to_error(why, error).to_string());
}

void BranchBlocks::keep_unused(bool keep) {
  std::lock_guard lock(mutex_);
  keep_unused_ = keep;
}

void BranchBlocks::release_if_unused(SharedInode& inode) {
  if (inode.names != 0 || inode.open_count != 0 || keep_unused_) return;
  drop_slots(inode, 0);
  inode.size = inode.base_size = 0;
  // When this fails the slots come back at the next start, where nobody names them.
  (void)append_inode(inode);
}

void BranchBlocks::add_name(SharedInode& inode) {
  std::lock_guard lock(mutex_);
  ++inode.names;
}
void BranchBlocks::remove_name(SharedInode& inode) {
  std::lock_guard lock(mutex_);
  --inode.names;
  release_if_unused(inode);
}
void BranchBlocks::add_open(SharedInode& inode) {
  std::lock_guard lock(mutex_);
  ++inode.open_count;
}
void BranchBlocks::remove_open(SharedInode& inode) {
  std::lock_guard lock(mutex_);
  --inode.open_count;
  release_if_unused(inode);
}

void BranchBlocks::abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  lost_ = true;
}

uint64_t BranchBlocks::own_bytes() {
  std::lock_guard lock(mutex_);
  return used_slots_ * kBlockSize + journal_size_;
}

bool BranchBlocks::lost() {
  std::lock_guard lock(mutex_);
  return lost_;
}

}  // namespace calf::vfs
