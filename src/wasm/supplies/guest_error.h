// Raises SQL errors in the running guest process, as ereport(ERROR, …) does.
#pragma once

#include "wasm/supplies/conversion_error.h"

namespace calf::supplies {

// Never returns: jumps to the guest's newest error handler over all frames in between, without
// running destructors. The error has no source location, since none of the image's would be true.
// Cluster thread, within a guest call.
[[noreturn]] void raise_error(const ConversionError& error);

}  // namespace calf::supplies
