// BranchBlocks: the journal. What is in the blocks is in branch_blocks.cc.
#include "vfs/branch_record.h"

namespace calf::vfs {
namespace {

constexpr const char* kJournalFile = "journal";
constexpr const char* kNewJournalFile = "journal.new";
constexpr uint64_t kRewriteAbove = 16 * 1024 * 1024;  // bytes of a journal

}  // namespace

Result<void> BranchBlocks::replay() {
  auto stat = options_.files->fstat(journal_.get());
  if (!stat) return calf::fail(os::to_error("reading the branch's journal", stat.error()));
  std::vector<Record> records(static_cast<size_t>(stat->st_size) / sizeof(Record));
  auto bytes = std::as_writable_bytes(std::span(records));
  if (auto read = read_all(*options_.files, journal_.get(), bytes, 0); !read) {
    return calf::fail(os::to_error("reading the branch's journal", read.error()));
  }
  // The first record that is not whole is where the program, or the machine, stopped.
  size_t whole = 0, synced = 0;
  for (; whole < records.size() && records[whole].checksum == records[whole].sum(); ++whole) {
    if (records[whole].type == Record::kSynced) synced = records[whole].values[0] / sizeof(Record);
  }
  const uint64_t version = whole == 0 ? 0 : records[0].values[0];
  if (whole == 0 || records[0].type != Record::kHeader || version == 0 ||
      version > Record::kVersion || synced > whole) {
    return calf::fail(ErrorCode::kDataCorrupted, "the branch's journal is damaged", "drop it");
  }
  const Record now = Record::header(options_.boot_id);
  const size_t end = records[0].values[1] == now.values[1] ? whole : synced;
  for (size_t i = 1; i < end; ++i) apply(records[i]);
  journal_size_ = whole * sizeof(Record);
  // The kernel may have written the parent's blocks back before those that were kept of them.
  const bool closed = records[whole - 1].type == Record::kClosed;
  const bool same_boot = records[0].values[1] == now.values[1];
  unsafe_ = !same_boot && !closed;
  // Slots may be written anew only once it is durable that nobody has them.
  stale_ = whole > synced + (closed ? 2 : 1) || !same_boot || version != Record::kVersion ||
           static_cast<uint64_t>(stat->st_size) != journal_size_;
  return {};
}

void BranchBlocks::apply(const Record& record) {
  if (record.type == Record::kInode) {
    SharedInode& inode = inodes_[record.inode];
    inode.number = record.inode;
    inode.size = record.values[0];
    inode.base_size = std::min(record.values[1], inode.size);
    inode.permissions = static_cast<uint32_t>(record.values[2]) & 07777;
    inode.access_time_ns = static_cast<int64_t>(record.values[3]);
    inode.modify_time_ns = static_cast<int64_t>(record.values[4]);
    drop_slots(inode, (inode.size + kBlockSize - 1) / kBlockSize);
  } else if (record.type == Record::kBlock) {
    if (auto at = inodes_.find(record.inode); at != inodes_.end()) {
      at->second.slots[record.values[0]] = static_cast<uint32_t>(record.values[1]);
    }
  } else if (record.type == Record::kKept) {
    if (auto at = inodes_.find(record.inode); at != inodes_.end()) {
      at->second.kept[record.values[0]] = static_cast<uint32_t>(record.values[1]);
    }
  }
}

Expected<void> BranchBlocks::append(std::span<const Record> records) {
  CALF_ERRNO_CHECK(
      write_all(*options_.files, journal_.get(), std::as_bytes(records), journal_size_));
  journal_size_ += records.size_bytes();
  dirty_ = true;
  return {};
}

Expected<void> BranchBlocks::append_inode(const SharedInode& inode) {
  const Record record = Record::of(inode);
  return append({&record, 1});
}

// The state of this moment as a new journal. What is in `blocks` must be synced.
Expected<void> BranchBlocks::rewrite_journal() {
  os::Files& files = *options_.files;
  std::vector<Record> records{Record::header(options_.boot_id)};
  for (const auto& [number, inode] : inodes_) {
    records.push_back(Record::of(inode));
    for (auto [block, slot] : inode.slots) {
      records.push_back(Record::make(Record::kBlock, number, {block, slot}));
    }
    for (auto [block, slot] : inode.kept) {
      records.push_back(Record::make(Record::kKept, number, {block, slot}));
    }
  }
  records.push_back(Record::make(Record::kSynced, 0, {records.size() * sizeof(Record)}));
  CALF_ERRNO_TRY(int fd, files.open(options_.directory, kNewJournalFile, O_RDWR | O_CREAT | O_TRUNC,
                                    0600, os::Resolve::kBeneath));
  os::FileDescriptor fresh(files, fd);
  CALF_ERRNO_CHECK(write_all(files, fd, std::as_bytes(std::span(records)), 0));
  CALF_ERRNO_CHECK(files.fsync(fd));
  CALF_ERRNO_CHECK(
      files.renameat(options_.directory, kNewJournalFile, options_.directory, kJournalFile));
  CALF_ERRNO_CHECK(files.fsync(options_.directory));
  journal_ = std::move(fresh);
  journal_size_ = records.size() * sizeof(Record);
  return {};
}

Expected<std::vector<InodeNumber>> BranchBlocks::compact() {
  std::lock_guard lock(mutex_);
  std::vector<InodeNumber> forgotten;
  if (!has_older_) settle_kept();
  for (const auto& [number, inode] : inodes_) {
    if (inode.names == 0 && !keep_unused_ && inode.kept.empty()) forgotten.push_back(number);
  }
  for (InodeNumber number : forgotten) inodes_.erase(number);
  find_free_slots();
  const uint64_t live = (inodes_.size() + used_slots_) * sizeof(Record);
  // allocate() counts on zeros past the last slot.
  CALF_ERRNO_CHECK(options_.files->ftruncate(blocks_.get(), slot_count_ * kBlockSize));
  if (forgotten.empty() && !stale_ && journal_size_ / 2 < live) {
    const Record open = Record::make(Record::kSynced, 0, {journal_size_});  // closed no more
    CALF_ERRNO_CHECK(append({&open, 1}));
    dirty_ = false;
    CALF_ERRNO_CHECK(options_.files->fdatasync(journal_.get()));
    return forgotten;
  }
  CALF_ERRNO_CHECK(options_.files->fdatasync(blocks_.get()));
  CALF_ERRNO_CHECK(rewrite_journal());
  dirty_ = false;
  return forgotten;
}

Expected<void> BranchBlocks::sync() {
  return lost() ? fail(Errno::kIo) : sync_all();
}

// Blocks first: a record that a power cut leaves behind must find its block.
Expected<void> BranchBlocks::sync_all() {
  std::lock_guard one_at_a_time(sync_mutex_);
  std::unique_lock lock(mutex_);
  for (SharedInode* inode : touched_) {
    inode->touched = false;
    CALF_ERRNO_CHECK(append_inode(*inode));
  }
  touched_.clear();
  if (!dirty_) return {};
  dirty_ = false;
  const uint64_t covered = journal_size_;
  std::vector<uint32_t> reusable = std::move(freed_slots_);
  freed_slots_.clear();
  lock.unlock();
  auto synced = options_.files->fdatasync(blocks_.get());
  lock.lock();
  if (synced) {
    const Record mark = Record::make(Record::kSynced, 0, {covered});
    const bool more = dirty_;
    synced = append({&mark, 1});
    dirty_ = more;
  }
  if (synced) {
    lock.unlock();
    synced = options_.files->fdatasync(journal_.get());
    lock.lock();
  }
  if (!synced) {
    dirty_ = true;
    freed_slots_.insert(freed_slots_.end(), reusable.begin(), reusable.end());
    return synced;
  }
  free_slots_.insert(free_slots_.end(), reusable.begin(), reusable.end());
  const uint64_t live = (inodes_.size() + used_slots_) * sizeof(Record);
  if (journal_size_ < kRewriteAbove || journal_size_ / 4 < live) return {};
  CALF_ERRNO_CHECK(options_.files->fdatasync(blocks_.get()));
  return rewrite_journal();
}

}  // namespace calf::vfs
