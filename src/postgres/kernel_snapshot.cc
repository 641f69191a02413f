// Kernel: recording a settled cluster as a snapshot, and going on from one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/assert.h"
#include "os/mapping_budget.h"
#include "os/shared_memory.h"
#include "postgres/kernel.h"
#include "wasm/frozen_pages.h"

namespace calf::postgres {
namespace {

constexpr uint64_t kPage = 4096;
constexpr const char* kSharedMemoryDirectory = "/dev/shm";

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool is_same_file(int a, int b) {
  struct stat first = {};
  struct stat second = {};
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

// The non-zero pages of shared memory, read through its descriptor: reading a mapping would fill
// its holes.
Result<std::vector<wasm::MemoryImage::Extent>> record_extents(int fd, uint64_t offset,
                                                              uint64_t size_bytes,
                                                              SnapshotBuilder& builder) {
  std::vector<wasm::MemoryImage::Extent> extents;
  std::vector<std::byte> run;
  auto finish_run = [&](uint64_t end) {
    if (run.empty()) return;
    extents.push_back({.address = static_cast<uint32_t>(end - run.size()),
                       .size_bytes = static_cast<uint32_t>(run.size()),
                       .offset = builder.add_pages(run)});
    run.clear();
  };
  for (uint64_t at = 0; at < size_bytes; at += kPage) {
    std::byte page[kPage] = {};
    const uint64_t size = std::min(kPage, size_bytes - at);
    if (pread(fd, page, size, static_cast<off_t>(offset + at)) < 0) {
      return fail(Error::from_errno("reading shared memory", errno));
    }
    if (is_zero({page, size})) {
      finish_run(at);
    } else {
      run.insert(run.end(), page, page + kPage);
    }
  }
  finish_run((size_bytes + kPage - 1) / kPage * kPage);
  return extents;
}

Result<void> write_at(int fd, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0) return fail(Error::from_errno("filling shared memory", errno));
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<std::vector<std::byte>> read_control_file(vfs::Namespace& tree) {
  constexpr const char* kPath = "/pglite/data/global/pg_control";
  constexpr size_t kBytes = 296;  // struct ControlFileData
  auto file = tree.open("/", kPath, {});
  if (!file) return fail(os::to_error(std::string("opening ") + kPath, file.error()));
  std::vector<std::byte> bytes(kBytes);
  const auto size = (*file)->pread(bytes, 0);
  if (!size) return fail(os::to_error(std::string("reading ") + kPath, size.error()));
  if (*size != kBytes) return fail(ErrorCode::kDataCorrupted, std::string(kPath) + " is cut off");
  return bytes;
}

}  // namespace

// --- Recording

Result<void> Kernel::settle() {
  ASSERT(options_.for_snapshot);
  poll_events(0);
  while (!postmaster_status_) {
    const Process* postmaster = find(Process::kPostmasterPid);
    const bool alone = processes_.size() == 1 && ended_.empty() && !postmaster->frame().empty();
    if (alone && postmaster->state_ == Process::State::kWaiting && !postmaster->has_signals())
      return {};
    if (nobody_is_runnable()) {
      const int64_t deadline = nearest_deadline_ns();
      poll_events(deadline == Process::kNever ? -1 : std::max<int64_t>(0, deadline - now_ns()));
      fire_timers();
    }
    if (Process* next = choose()) run_process(*next);
  }
  return fail(ErrorCode::kInternal, "the postmaster has ended instead of waiting for clients");
}

// All of /dev/shm: what the postmaster maps has its address there, what only children map has none.
Result<std::vector<SnapshotState::SharedMemory>> Kernel::record_shared_files(
    const std::vector<wasm::SharedRegion>& mapped, SnapshotBuilder& builder) {
  auto directory = options_.tree->open("/", kSharedMemoryDirectory, {.directory = true});
  if (!directory) return fail(os::to_error("opening /dev/shm", directory.error()));
  std::vector<std::string> paths;
  auto read = (*directory)->read_directory(0, [&](const vfs::DirectoryEntry& entry) {
    if (entry.name != "." && entry.name != "..") {
      paths.push_back(std::string(kSharedMemoryDirectory) + "/" + std::string(entry.name));
    }
    return true;
  });
  if (!read) return fail(os::to_error("reading /dev/shm", read.error()));
  std::vector<SnapshotState::SharedMemory> files;
  for (const std::string& path : paths) {
    auto file = options_.tree->open("/", path, {.access = vfs::Access::kReadWrite});
    if (!file) return fail(os::to_error("opening " + path, file.error()));
    const auto stat = (*file)->stat();
    if (!stat) return fail(os::to_error("looking at " + path, stat.error()));
    const auto mapping = (*file)->map_shared(0, stat->size_bytes);
    if (!mapping) return fail(os::to_error("mapping " + path, mapping.error()));
    SnapshotState::SharedMemory shared{.size_bytes = static_cast<uint32_t>(stat->size_bytes),
                                       .path = path};
    for (const wasm::SharedRegion& region : mapped) {
      if (is_same_file(region.fd, mapping->fd)) shared.address = region.address;
    }
    CALF_TRY(shared.extents,
             record_extents(mapping->fd, mapping->offset, stat->size_bytes, builder));
    files.push_back(std::move(shared));
  }
  return files;
}

Result<SnapshotState> Kernel::record(SnapshotBuilder& builder) {
  Process& postmaster = *find(Process::kPostmasterPid);
  const wasm::LinearMemory& memory = postmaster.memory();
  if (!memory.module_ranges().empty() || memory.state().jump_frame != nullptr ||
      postmaster.timer_deadline_ns_ != Process::kNever) {
    return fail(ErrorCode::kInternal,
                "the postmaster has modules, a jump frame or a timer: it cannot be recorded");
  }
  SnapshotState state;
  state.pages = memory.state().pages;
  std::copy_n(memory.state().globals, CALF_GLOBAL_SLOTS, state.globals);
  state.frame = postmaster.frame();
  state.memory = memory.nonzero_extents(0, (postmaster.heap_end() + kPage - 1) / kPage * kPage);
  for (auto& extent : state.memory) {
    extent.offset = builder.add_pages(postmaster.bytes(extent.address, extent.size_bytes));
  }
  CALF_TRY(state.shared, record_shared_files(memory.shared_regions(), builder));
  const auto named = state.shared;
  for (const wasm::SharedRegion& region : memory.shared_regions()) {
    if (std::any_of(named.begin(), named.end(),
                    [&](const auto& f) { return f.address == region.address; }))
      continue;
    CALF_TRY(auto extents, record_extents(region.fd, region.offset, region.size_bytes, builder));
    state.shared.push_back({.address = region.address,
                            .size_bytes = region.size_bytes,
                            .extents = std::move(extents)});
  }
  if (state.shared.size() != named.size() + 1) {
    return fail(ErrorCode::kInternal, "not exactly one shared memory segment is without a file");
  }
  CALF_TRY(state.descriptors, postmaster.files().describe());
  state.working_directory = postmaster.files().working_directory();
  state.umask = postmaster.files().creation_mask();
  state.next_pid = next_pid_;
  state.children.assign(deferred_.begin(), deferred_.end());
  return state;
}

// --- Going on

namespace {

// Frozen pages save memory and cost mappings.
constexpr size_t kManyFrozenRuns = 16;
constexpr size_t kFewFrozenRuns = 5;

}  // namespace

Result<void> Kernel::spare_mappings() {
  Process* postmaster = find(Process::kPostmasterPid);
  if (postmaster == nullptr) return {};
  const std::vector<wasm::SharedRegion> regions = postmaster->memory().shared_regions();
  for (const wasm::SharedRegion& region : regions) {
    if (region.frozen == nullptr || region.frozen->most_runs() <= kFewFrozenRuns) continue;
    const size_t less = region.frozen->most_runs() - kFewFrozenRuns;
    CALF_TRY(const auto thawed,
             region.frozen->limit_runs(kFewFrozenRuns, region.fd, region.offset));
    for (wasm::LinearMemory* memory : memories()) {
      for (const auto& piece : thawed) {
        if (!memory->remap_shared(region, piece.begin, piece.size_bytes))
          return fail(Error::from_errno("mapping shared memory", errno));
      }
      memory->note_fewer_runs(less);
    }
  }
  return {};
}

// PostgreSQL's main segment: its pages stay the snapshot's until they are written to.
Result<wasm::SharedRegion> Kernel::restore_shared(const Snapshot& snapshot,
                                                  const SnapshotState::SharedMemory& shared) {
  const uint64_t offset = wasm::SharedRegion::preferred_offset(shared.address);
  auto segment = os::SharedMemory::create("calf-shared-memory", offset + shared.size_bytes);
  if (!segment) return fail(os::to_error("creating shared memory", segment.error()));
  CALF_TRY(auto region,
           wasm::SharedRegion::adopt_fd(shared.address, shared.size_bytes, segment->fd(), offset));
  size_t most_runs = kManyFrozenRuns;
  if (os::MappingBudget::of_program().is_crowded()) most_runs = kFewFrozenRuns;
  // Then each piece is to show whether it is written to.
  if (options_.for_snapshot) most_runs = std::numeric_limits<size_t>::max();
  region.frozen = snapshot.freeze(shared.extents, most_runs);
  CALF_CHECK_OK(region.frozen->prepare(region.fd, region.offset));
  return region;
}

// A file of /dev/shm.
Result<wasm::SharedRegion> Kernel::restore_shared_file(const Snapshot& snapshot,
                                                       const SnapshotState::SharedMemory& shared) {
  auto file = options_.tree->open(
      "/", shared.path, {.access = vfs::Access::kReadWrite, .create = true, .permissions = 0600});
  if (!file) return fail(os::to_error("creating " + shared.path, file.error()));
  // Shared while it is small: what it grows by afterwards is a hole.
  for (const uint64_t size_bytes : {uint64_t{1}, uint64_t{shared.size_bytes}}) {
    if (auto sized = (*file)->truncate(size_bytes); !sized)
      return fail(os::to_error("sizing " + shared.path, sized.error()));
    if (auto mapped = (*file)->map_shared(0, size_bytes); !mapped)
      return fail(os::to_error("mapping " + shared.path, mapped.error()));
  }
  const auto mapping = (*file)->map_shared(0, shared.size_bytes);
  if (!mapping) return fail(os::to_error("mapping " + shared.path, mapping.error()));
  for (const auto& extent : shared.extents) {
    // The last page may go past the end of the region.
    const uint64_t size = std::min<uint64_t>(extent.size_bytes, shared.size_bytes - extent.address);
    CALF_CHECK_OK(write_at(mapping->fd, snapshot.bytes().subspan(extent.offset, size),
                           mapping->offset + extent.address));
  }
  return wasm::SharedRegion::adopt_fd(shared.address, shared.size_bytes, mapping->fd,
                                      mapping->offset);
}

bool Kernel::thaw(Process& process, uint64_t address) {
  for (const wasm::SharedRegion& region : process.memory().shared_regions()) {
    if (region.frozen == nullptr || address < region.address ||
        address - region.address >= region.size_bytes)
      continue;
    const auto piece = region.frozen->thaw(
        address - region.address, process.base() + region.address, region.fd, region.offset);
    if (!piece) return false;
    // All of them map the region: they were forked from the postmaster that was resumed with it.
    bool done = true;
    for (const auto& [pid, one] : processes_)
      done = one->memory().remap_shared(region, piece->begin, piece->size_bytes) && done;
    if (next_memory_ != nullptr)
      done = next_memory_->remap_shared(region, piece->begin, piece->size_bytes) && done;
    return done;
  }
  return false;
}

Result<void> Kernel::resume_postmaster(const Snapshot& snapshot, Snapshot::Settings settings,
                                       std::function<void()> on_ready) {
  const SnapshotState& state = snapshot.state();
  std::vector<wasm::SharedRegion> shared;
  for (const auto& region : state.shared) {
    CALF_TRY(auto restored, region.path.empty() ? restore_shared(snapshot, region)
                                                : restore_shared_file(snapshot, region));
    if (region.address != 0) shared.push_back(std::move(restored));
  }
  snapshot.forget_pages();
  CALF_TRY(auto memory, wasm::LinearMemory::fork(*snapshot.memory(), shared));
  memory->share_large_blocks();  // after a crash
  if (options_.expects_client) {
    usual_ = snapshot.usual_pages();
    memory->populate(usual_->postmasters.pages());
  }
  CALF_TRY(auto stack, take_stack());
  auto files = std::make_unique<wasm::GuestFiles>(wasm::GuestFiles::Options{
      .tree = options_.tree,
      .clock = options_.clock,
      .random = options_.random,
      .working_directory = state.working_directory,
      .umask = state.umask,
      .uid = kGuestUser,
      .gid = kGuestUser,
      .sink = options_.log_sink,
      .environment = options_.environment,
  });
  CALF_CHECK_OK(files->restore(state.descriptors));
  CALF_TRY(auto control_file, read_control_file(*options_.tree));
  auto postmaster = std::make_unique<Process>(
      *this,
      Process::Parts{
          .memory = std::move(memory), .files = std::move(files), .stack = std::move(stack)},
      Process::Resumption{.frame = state.frame,
                          .settings = std::move(settings),
                          .control_file = std::move(control_file),
                          .on_ready = std::move(on_ready)});
  starting_image_ = snapshot.memory();
  next_pid_ = state.next_pid;
  deferred_.assign(state.children.begin(), state.children.end());
  put_off_deferred();
  runnable_.push_back(postmaster.get());
  processes_.emplace(postmaster->pid(), std::move(postmaster));
  return {};
}

}  // namespace calf::postgres
