// Kernel: the memory that children begin with.
#include <algorithm>

#include "base/log.h"
#include "postgres/kernel.h"

namespace calf::postgres {
namespace {

// PGShmemHeader: magic 0, creator's pid 4.
constexpr uint32_t kShmemMagic = 679834894;

}  // namespace

// PostgreSQL's segment is shared since it was made (LinearMemory::share_large_blocks): with its
// magic number. After a crash the postmaster has made a new one, and the old one stays behind,
// unused (the image's postmaster never unmaps it).
Result<void> Kernel::check_shared_memory(Process& postmaster) {
  const auto& regions = postmaster.memory().shared_regions();
  const bool found = std::any_of(regions.begin(), regions.end(), [&](const auto& region) {
    return postmaster.load<u32>(region.address) == kShmemMagic &&
           postmaster.load<s32>(region.address + 4) == Process::kPostmasterPid;
  });
  if (!found || postmaster.memory().has_unshared_block())
    return fail(ErrorCode::kInternal, "PostgreSQL's shared memory is not shared");
  return {};
}

Result<std::shared_ptr<wasm::MemoryImage>> Kernel::fork_image(Process& postmaster) {
  // Alone again: the postmaster has reinitialised after a crash, its shared memory is new.
  if (fork_image_ != nullptr && processes_.size() == 1 && deferred_.empty()) {
    fork_image_.reset();
    starting_image_.reset();
  }
  if (fork_image_ != nullptr) return fork_image_;
  CALF_CHECK_OK(check_shared_memory(postmaster));
  if (starting_image_ != nullptr) {
    CALF_TRY(fork_image_,
             postmaster.memory().capture_since(starting_image_, postmaster.heap_end()));
  } else {
    CALF_TRY(fork_image_, postmaster.memory().capture(postmaster.heap_end()));
  }
  return fork_image_;
}

Result<std::unique_ptr<wasm::LinearMemory>> Kernel::child_memory(Process& postmaster,
                                                                 bool has_client) {
  CALF_TRY(auto image, fork_image(postmaster));
  if (next_memory_image_ != image) next_memory_.reset();
  if (has_client && next_memory_ != nullptr) return std::move(next_memory_);
  return wasm::LinearMemory::fork(*image, postmaster.memory().shared_regions());
}

// While the postmaster waits for the first client.
void Kernel::make_next_memory() {
  Process* postmaster = find(Process::kPostmasterPid);
  if (postmaster == nullptr) return;
  auto made = [&]() -> Result<void> {
    CALF_TRY(next_memory_image_, fork_image(*postmaster));
    CALF_TRY(next_memory_,
             wasm::LinearMemory::fork(*next_memory_image_, postmaster->memory().shared_regions()));
    return {};
  }();
  if (!made) {
    log::debug("the first session's memory was not made ahead: {}", made.error().to_string());
    return;
  }
  next_memory_->populate(usual_->backends.pages());
}

// Whose page tables must know what has become of shared memory.
std::vector<wasm::LinearMemory*> Kernel::memories() {
  std::vector<wasm::LinearMemory*> all;
  for (const auto& [pid, process] : processes_) all.push_back(&process->memory());
  if (next_memory_ != nullptr) all.push_back(next_memory_.get());
  return all;
}

}  // namespace calf::postgres
