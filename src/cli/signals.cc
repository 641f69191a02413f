#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "base/assert.h"

namespace calf::cli {

Signals::Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  descriptor_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  ASSERT(descriptor_ >= 0);
}

Signals::~Signals() {
  ::close(descriptor_);
}

int Signals::take() {
  signalfd_siginfo info{};
  return ::read(descriptor_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                                : 0;
}

Event::Event() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  ASSERT(descriptor_ >= 0);
}

Event::~Event() {
  ::close(descriptor_);
}

void Event::set() {
  const std::uint64_t one = 1;
  (void)!::write(descriptor_, &one, sizeof one);
}

}  // namespace calf::cli
