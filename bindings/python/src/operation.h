// One operation of a session after the other, as Python drives them: start, wait, finish. What goes
// wrong is a Python error that is set, and a false or null result. Not here: the methods that
// Python calls (session_type.cc, session_batches.cc).
#pragma once

#include <atomic>
#include <memory>
#include <string_view>

#include "python.h"
#include "session.h"
#include "statements.h"

namespace calf::python {

// What is behind a Session object.
struct State {
  std::unique_ptr<Session> session;
  Statements statements;
  Parameters parameters;
  Statement* running =
      nullptr;                // what finish() learns about: valid while an operation is under way
  bool was_prepared = false;  // did it run by its name?
  bool timed_out = false;
  bool schema_changed = false;    // in this transaction: its rollback changes it again
  long opened_in = 0;             // process
  std::atomic<bool> busy{false};  // a thread is inside
  std::atomic<bool> close_requested{false};
};

struct SessionObject {
  PyObject_HEAD State* state;
};

inline State& state_of(PyObject* self) {
  return *reinterpret_cast<SessionObject*>(self)->state;
}

// Sets the error, and is false.
bool fail(PyObject* exception, const char* message);

// One thread at a time is inside; a second one gets an error instead of a torn session.
class Inside {
 public:
  explicit Inside(State& state);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return entered_; }

 private:
  State& state_;
  bool entered_;
};

// --- Starting

// May an operation begin? What the last one left is dropped.
bool ready_to_start(State& state);
// May the batch that is open go on?
bool ready_to_continue(State& state);

// UTF-8 of SQL, as long as `object` lives.
bool sql_of(PyObject* object, std::string_view& sql);

enum class Prepare { kNever, kAlways, kAutomatic };

struct Request {
  std::string_view sql;
  PyObject* values = nullptr;  // borrowed; None: none
  Prepare prepare = Prepare::kAutomatic;
  const char* begin = nullptr;  // the statement that begins a transaction, if one has to be begun
};
// `prepare` is True, False or None (automatic).
bool read_request(PyObject* sql, PyObject* values, PyObject* prepare, const char* begin,
                  Request& request);
bool start_request(State& state, const Request& request);

// Makes `remembered` have its translated query.
bool translated(Remembered& remembered, std::string_view text);
void queue_begin(Session& session, const char* begin);
// Parses `statement` if the server does not have it, under a name if it is to be prepared; binds.
// True: its columns are known already, so that no Describe is needed.
bool queue_bind(State& state, Statement& statement, std::string_view sql, bool prepare,
                const Parameters& parameters);
// A statement of the simple protocol, or a COPY, behind the `begin` that it needs.
void queue_simple(Session& session, std::string_view sql, const char* begin);

// --- Waiting

using Deadline = Session::Clock::time_point;
// `seconds` from now; None: never.
bool deadline_of(PyObject* seconds, Deadline& deadline);

// Waits without the interpreter's lock.
Session::Progress wait_unlocked(Session& session, Deadline until);

enum class Waited { kDone, kTimeout, kRaised };
// Waits for the operation, and looks for Python's signals meanwhile.
Waited wait_until(State& state, Deadline deadline);
// The same; when its time is up it is cancelled, and its error will say so.
bool wait_or_cancel(State& state, Deadline deadline);

// --- Finishing

// The results as a list of Result; None: the statement has to be started once more.
PyObject* finish_operation(State& state);
// Sets the error of the operation.
void raise_error(State& state);
// Sets why the session has ended.
void raise_ended(State& state);
// The fields of a report as a dict.
PyObject* fields_of(const Report& report);

}  // namespace calf::python
