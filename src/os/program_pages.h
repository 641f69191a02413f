// The program's own code and constants in memory.
#pragma once

namespace calf::os {

// Gives their pages back: those that are used again come back from the page cache by themselves,
// those of the start do not. Costs what runs next some minor page faults. Any thread.
void release_program_pages();

}  // namespace calf::os
