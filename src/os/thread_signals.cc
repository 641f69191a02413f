#include "os/thread_signals.h"

#include <pthread.h>
#include <signal.h>

#include <initializer_list>

namespace calf::os {

void block_signals_on_this_thread() {
  sigset_t blocked;
  sigfillset(&blocked);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
    sigdelset(&blocked, fault);
  }
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

}  // namespace calf::os
