// What an HTTP request asks the pool for. The routes are IntegreSQL's.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace calf::pool {

struct Answer {
  int status = 204;
  std::string body{};  // JSON; empty for 204

  // {"message": …}
  static Answer error(int status, std::string_view message);
};

struct Call {
  enum class Kind {
    kInitialize,  // POST   /api/v1/templates
    kFinalize,    // PUT    /api/v1/templates/HASH
    kDiscard,     // DELETE /api/v1/templates/HASH
    kDiscardAll,  // DELETE /api/v1/admin/templates
    kTake,        // GET    /api/v1/templates/HASH/tests
    kUnlock,      // POST   /api/v1/templates/HASH/tests/ID/unlock, DELETE
                  // /api/v1/templates/HASH/tests/ID
    kRecreate,    // POST   /api/v1/templates/HASH/tests/ID/recreate
  };
  Kind kind = Kind::kInitialize;
  std::string hash{};
  int id = 0;
};

constexpr std::size_t kMaxHashBytes = 1024;

// The call, or the answer to what is none: 400, 404, 405. Any input is safe.
tl::expected<Call, Answer> parse_call(std::string_view method, std::string_view target,
                                      std::string_view body);

}  // namespace calf::pool
