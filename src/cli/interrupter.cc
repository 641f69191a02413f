#include "cli/interrupter.h"

#include <poll.h>

#include <cstdlib>

namespace calf::cli {

void Interrupter::watch(Signals& signals, server::Engine& engine, client::Session& session) {
  constexpr int kGraceMs = 2000;
  pollfd fds[] = {{signals.descriptor(), POLLIN, 0}, {done_.descriptor(), POLLIN, 0}};
  while (::poll(fds, 2, -1) < 0) {
  }
  if (fds[1].revents != 0) return;
  signal_ = signals.take();
  session.cancel();
  if (::poll(fds, 2, kGraceMs) > 0 && fds[1].revents != 0) return;
  (void)engine.shutdown(fds[0].revents != 0 ? server::ShutdownMode::kImmediate
                                            : server::ShutdownMode::kFast);
  std::_Exit(128 + signal_);
}

}  // namespace calf::cli
