#include "postgres/make_snapshot.h"

#include "net/memory_pipe.h"
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
           .input = "select string_agg(name || '=' || current_setting(name), '|') from pg_settings "
                    "where context in ('postmaster', "
                    "'internal') or name in ('autovacuum', 'track_counts');\n\n"}));
  constexpr std::string_view kBefore = "string_agg = \"";
  const size_t at = outcome.output.find(kBefore);
  const size_t begin = at + kBefore.size();
  const size_t end = at == std::string::npos ? at : outcome.output.find('"', begin);
  if (end == std::string::npos)
    return fail(ErrorCode::kInternal, "the list of settings was not found: " + outcome.errors);
  std::vector<std::string> names;
  for (size_t from = begin; from < end;) {
    const size_t to = std::min(outcome.output.find('|', from), end);
    names.push_back(outcome.output.substr(from, to - from));
    from = to + 1;
  }
  return names;
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  out.insert(out.end(), bytes.begin(), bytes.end());
  out.push_back(std::byte{0});
}

// One short session: it leaves the relation cache's files and the catalogs' pages in the buffers,
// so that the first session of a cluster that goes on from here finds them.
Result<void> serve_one_session(Kernel& kernel) {
  std::vector<std::byte> startup = {std::byte{0}, std::byte{3}, std::byte{0},
                                    std::byte{0}};  // protocol 3.0
  for (const char* text : {"user", "postgres", "database", "postgres"}) append_text(startup, text);
  startup.push_back(std::byte{0});
  constexpr std::string_view kQuery("Q\0\0\0\x0dselect 1\0", 14);
  constexpr std::string_view kTerminate("X\0\0\0\4", 5);
  net::MemoryPipe pipe = net::MemoryPipe::create();
  kernel.connect({.transport = std::move(pipe.engine_end), .startup_packet = std::move(startup)});
  for (std::string_view message : {kQuery, kTerminate}) {
    const auto put = pipe.client_end->write_some(std::as_bytes(std::span(message)));
    if (put.bytes != message.size())
      return fail(ErrorCode::kInternal, "the pipe to the first session is full");
  }
  return kernel.settle();
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
  if (auto served = serve_one_session(*kernel); !served)
    return fail(std::move(served).error().with_context(messages));
  if (messages.find("ERROR") != std::string::npos || messages.find("FATAL") != std::string::npos) {
    return fail(ErrorCode::kInternal, "the first session has failed: " + messages);
  }
  SnapshotBuilder builder;
  CALF_TRY(SnapshotState state, kernel->record(builder));
  state.boot_settings = std::move(settings);
  vfs::PackBuilder pack({});
  CALF_CHECK_OK(pack.add_tree(*data, "", ""));
  CALF_TRY(const std::string packed, std::move(pack).finish());
  return std::move(builder).finish(state, packed);
}

}  // namespace calf::postgres
