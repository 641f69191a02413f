#include "os/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"

namespace calf::os {

void random_bytes(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0) {
      ASSERT(errno == EINTR);
      continue;
    }
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
}

}  // namespace calf::os
