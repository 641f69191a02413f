// The program's own code in memory.
#pragma once

namespace calf::os {

// Gives the pages of the program's code back: those that are used again come back from the page
// cache by themselves, those of the start do not. Costs the code that runs next some minor page
// faults. Any thread.
void release_program_code();

}  // namespace calf::os
