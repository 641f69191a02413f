// Where SQL errors stop: Session::guarded, for the files that implement Session.
#pragma once

#include <new>

#include "sqlite/session.h"

namespace calf::sqlite {

// Runs `body`; an SQL error goes to the client. False: there was one.
template <typename Body>
bool Session::guarded(std::string_view sql, Body body) {
  try {
    body();
    return true;
  } catch (const SqlError& error) {
    report(error, sql);
    if (error.fatal) gone_ = true;
  } catch (const std::bad_alloc&) {
    report({.report = {.severity = "ERROR", .sqlstate = "53200", .message = "out of memory"}}, sql);
  } catch (const std::exception& error) {
    report({.report = {.severity = "ERROR",
                       .sqlstate = "XX000",
                       .message = std::string("internal error: ") + error.what()}},
           sql);
  }
  pending_ = nullptr;
  return false;
}

}  // namespace calf::sqlite
