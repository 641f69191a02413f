#include "postgres/standalone.h"

#include "os/clock.h"
#include "os/random.h"
#include "postgres/guest_tree.h"
#include "postgres/kernel.h"

namespace calf::postgres {

Result<StandaloneOutcome> run_standalone(const StandaloneRun& run) {
  constexpr const char* kInputPath = "/tmp/standard-input";
  wasm::install_trap_handler();
  wasm::prepare_thread();
  auto input = run.tree->open(
      "/", kInputPath, {.access = vfs::Access::kReadWrite, .create = true, .truncate = true});
  if (!input)
    return fail(Error::from_errno("making a standard input", static_cast<int>(input.error())));
  auto written = (*input)->pwrite(std::as_bytes(std::span(run.input)), 0);
  if (!written)
    return fail(Error::from_errno("filling a standard input", static_cast<int>(written.error())));

  StandaloneOutcome outcome;
  CALF_TRY(auto kernel, Kernel::create({
                            .tree = run.tree,
                            .clock = std::make_shared<os::SystemClock>(),
                            .random = std::make_shared<os::SystemRandom>(),
                            .log_sink =
                                [&outcome](int fd, std::string_view bytes) {
                                  (fd == 1 ? outcome.output : outcome.errors).append(bytes);
                                },
                            .environment = guest_environment(),
                            .standard_input = std::move(*input),
                        }));
  CALF_CHECK_OK(kernel->start_postmaster(run.arguments));
  const wasm::ExitStatus status = kernel->run();
  constexpr int kSignalBase = 128;
  outcome.exit_code = status.signal != 0 ? kSignalBase + status.signal : status.code;
  return outcome;
}

}  // namespace calf::postgres
