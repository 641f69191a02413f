// Signals and threads of ours in a process that may not be ours.
#pragma once

namespace calf::os {

// Keeps the process's signals away from the calling thread, so that its owner's handlers run on
// threads of its own: all but those that tell of a fault, and SIGPROF. For threads that this
// program has started, as their first step.
void block_signals_on_this_thread();

}  // namespace calf::os
