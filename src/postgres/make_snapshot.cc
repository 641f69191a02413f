#include "postgres/make_snapshot.h"

#include "os/clock.h"
#include "os/random.h"
#include "postgres/guest_tree.h"
#include "postgres/kernel.h"
#include "postgres/snapshot.h"
#include "postgres/standalone.h"
#include "vfs/pack.h"

namespace calf::postgres {
namespace {

constexpr const char* kReady = "database system is ready to accept connections";

// Names of the settings that cannot be changed in a postmaster that runs, and of those that decide
// which children it has made.
Result<std::vector<std::string>> boot_settings(std::shared_ptr<vfs::FileSystem> installation,
                                               std::shared_ptr<vfs::FileSystem> data) {
  auto clock = std::make_shared<os::SystemClock>();
  CALF_TRY(auto tree, make_guest_tree(std::move(installation), std::move(data), clock));
  CALF_TRY(
      const auto outcome,
      run_standalone(
          {.tree = std::move(tree),
           .arguments = {"/pglite/bin/postgres", "--single", "-j", "postgres"},
           .input = "select string_agg(name, ',') from pg_settings where context in ('postmaster', "
                    "'internal') or name in ('autovacuum', 'track_counts');\n\n"}));
  constexpr std::string_view kBefore = "string_agg = \"";
  const size_t at = outcome.output.find(kBefore);
  const size_t begin = at + kBefore.size();
  const size_t end = at == std::string::npos ? at : outcome.output.find('"', begin);
  if (end == std::string::npos)
    return fail(ErrorCode::kInternal, "the list of settings was not found: " + outcome.errors);
  std::vector<std::string> names;
  for (size_t from = begin; from < end;) {
    const size_t to = std::min(outcome.output.find(',', from), end);
    names.push_back(outcome.output.substr(from, to - from));
    from = to + 1;
  }
  return names;
}

}  // namespace

Result<std::string> make_snapshot(std::shared_ptr<vfs::FileSystem> installation,
                                  std::shared_ptr<vfs::MemoryFileSystem> data) {
  wasm::install_trap_handler();
  wasm::prepare_thread();
  CALF_TRY(auto settings,
           boot_settings(installation, std::shared_ptr<vfs::FileSystem>(data->clone())));
  auto clock = std::make_shared<os::SystemClock>();
  CALF_TRY(auto tree, make_guest_tree(std::move(installation), data, clock));
  std::string messages;
  CALF_TRY(auto kernel,
           Kernel::create({
               .tree = std::move(tree),
               .clock = clock,
               .random = std::make_shared<os::SystemRandom>(),
               .log_sink = [&messages](int, std::string_view bytes) { messages.append(bytes); },
               .environment = guest_environment(),
               .for_snapshot = true,
           }));
  CALF_CHECK_OK(kernel->start_postmaster(postmaster_arguments({})));
  if (auto settled = kernel->settle(); !settled)
    return fail(std::move(settled).error().with_context(messages));
  if (messages.find(kReady) == std::string::npos)
    return fail(ErrorCode::kInternal, "not ready: " + messages);
  SnapshotBuilder builder;
  CALF_TRY(SnapshotState state, kernel->record(builder));
  state.boot_settings = std::move(settings);
  vfs::PackBuilder pack({});
  CALF_CHECK_OK(pack.add_tree(*data, "", ""));
  CALF_TRY(const std::string packed, std::move(pack).finish());
  return std::move(builder).finish(state, packed);
}

}  // namespace calf::postgres
