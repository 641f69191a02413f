// Which changes of a simulated disk are durable, and what is left of the others when the power
// goes.
#include <algorithm>
#include <set>

#include "os/testing/simulated_disk.h"

namespace calf::os::testing {
namespace {

// Builds the disk's next life: copies of the files that are durably named, with what is left of
// their contents.
class Survivors {
 public:
  explicit Survivors(uint64_t& next_inode) : next_inode_(next_inode) {}

  // The copy of `file`; of a directory with its durable names.
  FilePointer copy_of(const FilePointer& file) {
    if (auto known = copies_.find(file.get()); known != copies_.end()) return known->second;
    auto copy = std::make_shared<SimulatedFile>();
    copies_[file.get()] = copy;
    originals_[copy.get()] = file.get();
    copy->inode = next_inode_++;
    copy->mode = file->mode;
    copy->modified = file->modified;
    for (const auto& [name, child] : file->durable_entries)
      copy->durable_entries[name] = copy_of(child);
    return copy;
  }

  // What is durable becomes what is there. Names come in order, so that the dice fall the same way
  // every time.
  void settle(const FilePointer& copy, Dice& dice) {
    if (copy->links > 0) {  // reached by another of its names
      ++copy->links;
      return;
    }
    copy->links = copy->is_directory() ? 2 : 1;
    copy->contents = copy->durable_contents = originals_.at(copy.get())->contents_after_cut(dice);
    for (const auto& [name, child] : copy->durable_entries) {
      copy->entries[name] = {.file = child, .cookie = copy->next_cookie++};
      if (child->is_directory()) child->parent = copy.get();
      settle(child, dice);
    }
  }

 private:
  uint64_t& next_inode_;
  std::map<const SimulatedFile*, FilePointer> copies_;
  std::map<const SimulatedFile*, const SimulatedFile*> originals_;
};

}  // namespace

// From the last change to the first: whatever a change that is wanted builds on is earlier.
std::vector<bool> SimulatedDisk::with_dependencies(const std::vector<NameChange>& changes,
                                                   std::vector<bool> wanted) {
  std::set<std::pair<const SimulatedFile*, std::string>> names;  // whose earlier changes count
  std::set<const SimulatedFile*> existing;                       // must have come into being
  std::set<const SimulatedFile*> emptied;                        // must have lost everything
  for (size_t i = changes.size(); i-- > 0;) {
    for (const NameEdit& edit : changes[i]) {
      if (names.contains({edit.directory.get(), edit.name}) || existing.contains(edit.file.get()) ||
          emptied.contains(edit.directory.get()))
        wanted[i] = true;
    }
    if (!wanted[i]) continue;
    for (const NameEdit& edit : changes[i]) {
      names.insert({edit.directory.get(), edit.name});
      existing.insert(edit.directory.get());
      if (edit.replaced != nullptr && edit.replaced->is_directory() &&
          edit.replaced->parent == nullptr)
        emptied.insert(edit.replaced.get());
    }
  }
  return wanted;
}

void SimulatedDisk::apply_durably(const NameChange& edits) {
  for (const NameEdit& edit : edits) {
    if (edit.file == nullptr) {
      edit.directory->durable_entries.erase(edit.name);
    } else {
      edit.directory->durable_entries[edit.name] = edit.file;
    }
  }
}

void SimulatedDisk::make_names_durable(const std::function<bool(const NameChange&)>& wanted) {
  std::vector<bool> chosen(unsynced_names_.size());
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = wanted(unsynced_names_[i]);
  chosen = with_dependencies(unsynced_names_, std::move(chosen));
  std::vector<NameChange> left;
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) {
      apply_durably(unsynced_names_[i]);
    } else {
      left.push_back(std::move(unsynced_names_[i]));
    }
  }
  unsynced_names_ = std::move(left);
}

std::shared_ptr<SimulatedDisk> SimulatedDisk::after_power_cut(uint64_t seed) const {
  std::lock_guard lock(mutex_);
  Dice dice(seed);
  const uint64_t written_percent = std::array{0, 50, 100}[dice() % 3];
  std::vector<bool> chosen(unsynced_names_.size());
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = dice() % 100 < written_percent;
  chosen = with_dependencies(unsynced_names_, std::move(chosen));

  auto next = std::make_shared<SimulatedDisk>();
  Survivors survivors(next->next_inode_);
  next->root_ = survivors.copy_of(root_);
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (!chosen[i]) continue;
    NameChange copied;
    for (const NameEdit& edit : unsynced_names_[i]) {
      copied.push_back({.directory = survivors.copy_of(edit.directory),
                        .name = edit.name,
                        .file = edit.file != nullptr ? survivors.copy_of(edit.file) : nullptr,
                        .replaced = nullptr});
    }
    apply_durably(copied);
  }
  survivors.settle(next->root_, dice);
  return next;
}

}  // namespace calf::os::testing
