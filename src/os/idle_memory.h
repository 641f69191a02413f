// Memory that a process keeps only because it once needed it.
#pragma once

namespace calf::os {

// For a process that has nothing to do for a while: gives back free heap, and forgets the pages of
// the program's file that are only read. What is touched again comes back from the system's cache
// by itself (microseconds a page). Any thread; takes about a millisecond.
void trim_idle_memory();

}  // namespace calf::os
