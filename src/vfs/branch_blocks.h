// What an overlay branch has of its own: blocks that its cluster wrote, and old blocks of the
// parent that the parent has since overwritten; and sizes, modes and times of the files that it
// shares. Of the branches of one parent the newest keeps an old block, and the older ones find it
// there. Two files hold it (docs/formats/branch.md): `blocks`, slots of 8 KiB, and `journal`,
// records that say which block is in which slot. Private to the branches of directories.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "os/files.h"
#include "vfs/types.h"

namespace calf::vfs {

inline constexpr uint64_t kBlockSize = 8192;  // PostgreSQL's page
using InodeNumber = uint64_t;                 // the host's

// A file of the parent as the branch sees it.
struct SharedInode {
  InodeNumber number = 0;
  uint64_t size = 0;
  uint64_t base_size = 0;  // bytes before this that no slot holds are the parent's
  uint32_t permissions = 0;
  int64_t access_time_ns = 0;
  int64_t modify_time_ns = 0;
  std::unordered_map<uint64_t, uint32_t> slots = {};  // block → slot, of the branch's own
  std::unordered_map<uint64_t, uint32_t> kept = {};   // of the parent's, for older branches, too
  uint32_t names = 0;                                 // in the branch's tree; not stored
  uint32_t open_count = 0;                            // files open on it; not stored
  bool touched = false;                               // its times are not in the journal yet
};

// Any thread; every member takes the lock but for the time of reading blocks. An inode that was
// found stays valid until release() or the end.
class BranchBlocks {
 public:
  struct Options {
    std::shared_ptr<os::Files> files;
    int directory = -1;   // the branch's folder, open; must stay open
    std::string boot_id;  // this run of the machine
  };
  // Reads `bytes.size()` bytes of the parent's file at `offset`; what lies past its end is zeros.
  using ReadBase = std::function<Expected<void>(std::span<std::byte> bytes, uint64_t offset)>;

  static Expected<std::unique_ptr<BranchBlocks>> create(const Options& options,
                                                        std::vector<SharedInode> inodes);
  // kDataCorrupted when the journal's beginning is damaged. What was not synced before the machine
  // went down is left out.
  static Result<std::unique_ptr<BranchBlocks>> open(const Options& options);
  // Syncs; a failure is like a power cut for what was not synced.
  ~BranchBlocks();

  [[nodiscard]] SharedInode* find(InodeNumber number);
  [[nodiscard]] Stat stat(const SharedInode& inode);
  [[nodiscard]] uint64_t size(const SharedInode& inode);

  // Fewer bytes only at the end of the file.
  Expected<size_t> read(const SharedInode& inode, std::span<std::byte> bytes, uint64_t offset,
                        const ReadBase& read_base);
  Expected<void> write(SharedInode& inode, std::span<const std::byte> bytes, uint64_t offset,
                       int64_t now_ns, const ReadBase& read_base);
  Expected<void> truncate(SharedInode& inode, uint64_t size, int64_t now_ns);
  Expected<void> allocate(SharedInode& inode, uint64_t offset, uint64_t length, int64_t now_ns);
  Expected<void> set_permissions(SharedInode& inode, uint32_t permissions);
  Expected<void> set_times(SharedInode& inode, TimeChange access, TimeChange modify,
                           int64_t now_ns);

  // --- Among the branches of one parent. Who has the locks of two takes the older one's first.
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  // Keeps the parent's blocks in these parts of a file, which are about to change, and gives what
  // the next older branch must still look at. On the parent's thread. Never fails for the parent: a
  // branch that cannot keep its blocks is lost() instead.
  std::vector<Range> preserve(InodeNumber number, const std::vector<Range>& ranges,
                              const ReadBase& read_base);
  // The next newer branch, in which this one finds what it has not kept itself; or null.
  void set_newer(std::shared_ptr<BranchBlocks> newer);
  [[nodiscard]] std::shared_ptr<BranchBlocks> newer();
  // Are there older ones? What was kept for them alone is given back when there are none any more.
  void set_has_older(bool has_older);
  // Whether a power cut leaves the branch. Before that older ones must not rely on it.
  void set_durable();
  // Keeps nothing new from here on; or does again.
  void retire(bool is_retired);
  // Gives what it has kept to the older ones (newest first), durably. Once it is retired.
  Expected<void> hand_down(std::span<const std::shared_ptr<BranchBlocks>> older);

  // An inode without a name that is open nowhere gives its slots back, unless others share them.
  void keep_unused(bool keep);
  void add_name(SharedInode& inode);
  void remove_name(SharedInode& inode);
  void add_open(SharedInode& inode);
  void remove_open(SharedInode& inode);
  // After open(), with names counted anew: forgets inodes without a name, and returns them.
  // Call it before anything else.
  Expected<std::vector<InodeNumber>> compact();

  // Makes durable what was there when it was called. Blocks.
  Expected<void> sync();
  // The same for the parent, which does not fail with the branch: then the branch is lost(), and
  // the answer is no.
  bool sync_kept();
  // One that it finds blocks in could not make them durable.
  void lose_with_newer();
  // It is about to be deleted: no sync at the end.
  void abandon();
  [[nodiscard]] uint64_t own_bytes();
  [[nodiscard]] bool lost();
  // Did the machine go down while the parent may have been writing?
  [[nodiscard]] bool unsafe() const { return unsafe_; }

 private:
  struct Record;
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  explicit BranchBlocks(Options options);
  Expected<void> open_files(int flags);
  Expected<void> append(std::span<const Record> records);
  Expected<void> append_inode(const SharedInode& inode);
  Expected<void> rewrite_journal();
  Result<void> replay();
  void apply(const Record& record);
  void find_free_slots();
  void drop_slots(SharedInode& inode, uint64_t first_block);
  void release_if_unused(SharedInode& inode);
  [[nodiscard]] uint32_t slot_of(const SharedInode& inode, uint64_t block) const;
  struct Run;
  [[nodiscard]] Run run_at(const SharedInode& inode, uint64_t offset, uint64_t length);
  Expected<size_t> read_run(std::unique_lock<std::mutex>& lock, const SharedInode& inode,
                            std::span<std::byte> bytes, uint64_t at, const ReadBase& read_base);
  // Where an old block of the parent is.
  struct KeptBlock {
    uint32_t slot = kNoSlot;
    std::shared_ptr<BranchBlocks> holder = {};  // null: this branch
  };
  [[nodiscard]] KeptBlock find_kept(const SharedInode& inode, uint64_t block);
  enum class Among : uint8_t { kAll, kDurable };
  [[nodiscard]] KeptBlock find_in_newer(InodeNumber number, uint64_t block, Among among);
  void keep(SharedInode& inode, Range range, const ReadBase& read_base, std::vector<Range>& left);
  [[nodiscard]] bool must_keep(const SharedInode& inode, uint64_t block);
  Expected<bool> adopt(InodeNumber number, uint64_t block, std::span<const std::byte> bytes);
  void settle_kept();
  enum class Owner : uint8_t { kBranch, kParent };
  Expected<void> put_fresh(SharedInode& inode, std::span<const std::byte> blocks,
                           uint64_t first_block, Owner owner);
  Expected<void> sync_all();
  Expected<void> write_part(SharedInode& inode, std::span<const std::byte> bytes, uint64_t offset,
                            const ReadBase& read_base);
  Expected<size_t> write_blocks(SharedInode& inode, std::span<const std::byte> bytes,
                                uint64_t offset);
  Expected<void> write_slots(uint32_t slot, uint64_t from, std::span<const std::byte> bytes);
  void lose(std::string_view why, Errno error);

  Options options_;
  os::FileDescriptor blocks_, journal_;
  std::mutex sync_mutex_;  // one sync at a time; taken before mutex_
  std::mutex mutex_;
  std::unordered_map<InodeNumber, SharedInode> inodes_;
  std::vector<SharedInode*> touched_;  // those with the flag
  std::vector<uint32_t> free_slots_;   // may be written again
  std::vector<uint32_t> freed_slots_;  // not before the next sync: a power cut may bring them back
  std::vector<std::byte> scratch_;
  uint32_t slot_count_ = 0;  // slots that `blocks` has
  uint32_t used_slots_ = 0;
  uint64_t journal_size_ = 0;
  bool dirty_ = false;                   // something since the last sync
  std::shared_ptr<BranchBlocks> newer_;  // shared with who has that branch open
  bool has_older_ = false;
  bool durable_ = false;
  bool retired_ = false;
  bool abandoned_ = false;
  bool lost_ = false;
  bool unsafe_ = false;
  bool keep_unused_ = false;
  bool stale_ = false;  // the journal holds more, or other, than what was taken from it
};

}  // namespace calf::vfs
