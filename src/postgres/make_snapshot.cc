#include "postgres/make_snapshot.h"

#include "net/memory_pipe.h"
#include "os/clock.h"
#include "os/random.h"
#include "pgwire/frontend.h"
#include "postgres/guest_tree.h"
#include "postgres/kernel.h"
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

// What every fresh cluster is asked first: whether it has the role and the database, by `calf
// serve`. Not more: pages that are read here and written later are copied, which costs more than
// reading them from the data directory's pack.
constexpr std::string_view kWarmUp =
    "select exists(select from pg_roles where rolname = 'postgres'),"
    " exists(select from pg_database where datname = 'postgres');"
    "select 1";

// One short session: it leaves the relation cache's files and the catalogs' pages in the buffers,
// so that the first session of a cluster that goes on from here finds them.
Result<void> serve_one_session(Kernel& kernel, const std::string& database) {
  pgwire::Bytes startup;
  pgwire::FrontendEncoder(startup).startup({{"user", "postgres"}, {"database", database}});
  startup.erase(startup.begin(),
                startup.begin() + 4);  // ClientConnection has it without its length
  pgwire::Bytes messages;
  pgwire::FrontendEncoder encoder(messages);
  encoder.query(kWarmUp);
  encoder.terminate();
  net::MemoryPipe pipe = net::MemoryPipe::create();
  kernel.connect({.transport = std::move(pipe.engine_end), .startup_packet = std::move(startup)});
  const auto put = pipe.client_end->write_some(messages);
  if (put.bytes != messages.size())
    return fail(ErrorCode::kInternal, "the pipe to the first session is full");
  return kernel.settle();
}

// A cluster that is to be recorded, and what it has logged.
struct Booted {
  std::shared_ptr<std::string> messages = std::make_shared<std::string>();
  std::unique_ptr<Kernel> kernel;
};

// One without a process.
Result<Booted> make_kernel(const RecordOptions& options) {
  wasm::install_trap_handler();
  wasm::prepare_thread();
  auto clock = std::make_shared<os::SystemClock>();
  CALF_TRY(auto tree, make_guest_tree(options.installation, options.data, clock));
  Booted booted;
  CALF_TRY(
      booted.kernel,
      Kernel::create({
          .tree = std::move(tree),
          .clock = clock,
          .random = std::make_shared<os::SystemRandom>(),
          .log_sink = [log = booted.messages](int, std::string_view bytes) { log->append(bytes); },
          .environment = guest_environment(),
          .helpers_idle_ns = INT64_C(3'600'000'000'000),  // after all sessions
          .expects_client = true,
          .for_snapshot = true,
      }));
  return booted;
}

Result<Booted> boot(const RecordOptions& options) {
  CALF_TRY(Booted booted, make_kernel(options));
  CALF_CHECK_OK(booted.kernel->start_postmaster(postmaster_arguments(options.settings)));
  auto settled = booted.kernel->settle();
  if (settled && booted.messages->find(kReady) == std::string::npos)
    return fail(ErrorCode::kInternal, "not ready: " + *booted.messages);
  if (settled) settled = serve_one_session(*booted.kernel, options.database);
  if (!settled) return fail(std::move(settled).error().with_context(*booted.messages));
  return booted;
}

// What a cluster does that goes on from a snapshot, up to the end of its first session. Each one
// will: it tells which shared memory need not wait for a fault, and which files are better not
// compressed.
Result<void> rehearse(const Snapshot& snapshot, const RecordOptions& options) {
  CALF_TRY(const Booted resumed, make_kernel(options));
  CALF_CHECK_OK(resumed.kernel->resume_postmaster(snapshot, {}, [] {}));
  if (auto served = serve_one_session(*resumed.kernel, options.database); !served)
    return fail(std::move(served).error().with_context(*resumed.messages));
  return {};
}

Result<std::shared_ptr<vfs::FileSystem>> in_memory(std::shared_ptr<const vfs::Pack> pack) {
  auto made = vfs::MemoryFileSystem::create(
      {.clock = std::make_shared<os::SystemClock>(), .pack = std::move(pack), .pack_subtree = ""});
  if (!made) return fail(os::to_error("making a file system in memory", made.error()));
  return std::shared_ptr<vfs::FileSystem>(std::move(*made));
}

}  // namespace

Result<std::string> make_snapshot(std::shared_ptr<vfs::FileSystem> installation,
                                  std::shared_ptr<vfs::MemoryFileSystem> data) {
  CALF_TRY(auto settings,
           boot_settings(installation, std::shared_ptr<vfs::FileSystem>(data->clone())));
  RecordOptions options{.installation = std::move(installation),
                        .data = data,
                        .settings = {},
                        .database = "postgres"};
  CALF_TRY(const Booted booted, boot(options));
  if (booted.messages->find("ERROR") != std::string::npos ||
      booted.messages->find("FATAL") != std::string::npos) {
    return fail(ErrorCode::kInternal, "the first session has failed: " + *booted.messages);
  }
  SnapshotBuilder builder;
  CALF_TRY(SnapshotState state, booted.kernel->record(builder));
  state.boot_settings = std::move(settings);
  vfs::PackBuilder pack({});
  CALF_CHECK_OK(pack.add_tree(*data, "", ""));
  CALF_TRY(const std::string packed, std::move(pack).finish());
  CALF_TRY(const auto unlearned, Snapshot::adopt(builder.finish(state, packed)));
  CALF_TRY(const auto files, vfs::Pack::open(unlearned->data_pack()));
  for (int round = 0; round < wasm::UsualPages::kTeachers; ++round) {
    CALF_TRY(options.data, in_memory(files));
    CALF_CHECK_OK(rehearse(*unlearned, options));
  }
  if (const auto control = files->find("global/pg_control"))  // before a cluster goes on
    CALF_CHECK_OK(files->contents(*control));
  state.hot_pieces = unlearned->hot_pieces();
  state.usual_of_postmaster = unlearned->usual_pages()->postmasters.pages();
  state.usual_of_backend = unlearned->usual_pages()->backends.pages();
  return builder.finish(state, files->with_read_contents_stored());
}

Result<std::shared_ptr<const Snapshot>> record_snapshot(RecordOptions options) {
  CALF_TRY(const Booted booted, boot(options));
  SnapshotBuilder builder;
  CALF_TRY(const SnapshotState state, booted.kernel->record(builder));
  return Snapshot::adopt(builder.finish(state, ""));
}

}  // namespace calf::postgres
