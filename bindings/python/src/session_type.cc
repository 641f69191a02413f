// _engine.Session: a session as Python sees it. Every operation is start…, then wait or poll until it is done, then
// finish; execute() is all of it at once.
#include <unistd.h>

#include <chrono>
#include <memory>
#include <new>
#include <string>

#include "cluster_type.h"
#include "encode.h"
#include "python.h"
#include "result_type.h"
#include "session.h"
#include "statements.h"

namespace calf::python {
namespace {

using Clock = Session::Clock;
using Progress = Session::Progress;

// How often a waiting thread looks for Python's signals.
constexpr auto kSignalInterval = std::chrono::milliseconds(100);
// How long PostgreSQL may take to obey a cancel before the session is given up.
constexpr auto kCancelPatience = std::chrono::seconds(10);
constexpr std::size_t kMaxUnsentCopyBytes = 512 * 1024;
constexpr std::size_t kCopyMessageBytes = 256 * 1024;

struct State {
  std::unique_ptr<Session> session;
  Statements statements;
  Parameters parameters;
  Statement* running = nullptr;   // what finish() learns about: valid while an operation is under way
  bool was_prepared = false;      // did it run by its name?
  bool timed_out = false;
  bool schema_changed = false;    // in this transaction: its rollback changes it again
  long opened_in = 0;             // process
  std::atomic<bool> busy{false};  // a thread is inside
  std::atomic<bool> close_requested{false};
};

struct SessionObject {
  PyObject_HEAD
  State* state;
};

State& state_of(PyObject* self) { return *reinterpret_cast<SessionObject*>(self)->state; }

bool fail(PyObject* exception, const char* message) {
  PyErr_SetString(exception, message);
  return false;
}

// One thread at a time is inside; a second one gets an error instead of a torn session.
class Inside {
 public:
  explicit Inside(State& state) : state_(state), entered_(!state.busy.exchange(true, std::memory_order_acquire)) {
    if (!entered_) fail(shared().programming_error, "the connection is in use by another thread");
  }
  ~Inside() {
    if (!entered_) return;
    // close() of another thread came while this one was inside.
    if (state_.close_requested.load(std::memory_order_relaxed)) state_.session->close();
    state_.busy.store(false, std::memory_order_release);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  explicit operator bool() const { return entered_; }

 private:
  State& state_;
  bool entered_;
};

// --- Errors ---------------------------------------------------------------------------------------------------------

PyObject* fields_of(const Report& report) {
  Ref fields(PyDict_New());
  if (!fields) return nullptr;
  for (const auto& [letter, value] : report.fields) {
    const char key[2] = {letter, '\0'};
    const Ref text(to_python(value));
    if (!text || PyDict_SetItemString(fields.get(), key, text.get()) != 0) return nullptr;
  }
  return fields.release();
}

void raise_report(const Report& report) {
  const Ref fields(fields_of(report));
  if (fields) raise_fields(fields.get());
}

bool raise_ended(State& state) {
  if (state.session->error()) {
    raise_report(*state.session->error());
    return false;
  }
  return fail(shared().interface_error, "the connection is closed");
}

// May an operation begin?
bool ready_to_start(State& state) {
  if (in_forked_child(state.opened_in)) return false;
  if (state.session->ended()) return raise_ended(state);
  if (!state.session->idle() || state.session->in_batch() || state.session->copy_state() != Session::CopyState::kNone)
    return fail(shared().programming_error, "another operation is under way on this connection");
  state.session->begin_operation();
  state.running = nullptr;
  state.was_prepared = false;
  state.timed_out = false;
  return true;
}

bool sql_of(PyObject* object, std::string_view& sql) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "the query must be a str, not %R", reinterpret_cast<PyObject*>(Py_TYPE(object)));
    return false;
  }
  if (!text_of(object, sql)) return false;
  if (sql.find('\0') != std::string_view::npos) return fail(shared().programming_error, "SQL cannot contain NUL (0x00) characters");
  if (sql.size() > MessageWriter::kMaxMessageBytes) return fail(shared().programming_error, "SQL may have 1 GiB at most");
  return true;
}

// --- Starting -------------------------------------------------------------------------------------------------------

enum class Prepare { kNever, kAlways, kAutomatic };

struct Request {
  std::string_view sql;
  PyObject* values = nullptr;  // borrowed; None: none
  Prepare prepare = Prepare::kAutomatic;
  const char* begin = nullptr;  // the statement that begins a transaction, if one has to be begun
};

bool read_request(PyObject* sql, PyObject* values, PyObject* prepare, const char* begin, Request& request) {
  if (!sql_of(sql, request.sql)) return false;
  request.values = values;
  request.begin = begin;
  if (prepare != Py_None) request.prepare = PyObject_IsTrue(prepare) ? Prepare::kAlways : Prepare::kNever;
  return true;
}

// The translated query of `remembered`. False: a Python error is set.
bool translated(Remembered& remembered, std::string_view text) {
  if (remembered.has_query) return true;
  std::string error;
  Query query;
  if (!translate(text, query, error)) return fail(shared().programming_error, error.c_str());
  remembered.query = std::move(query);
  remembered.has_query = true;
  return true;
}

void queue_begin(Session& session, const char* begin) {
  if (begin == nullptr) return;
  static const Parameters kNone;
  session.parse("", begin, {});
  session.bind("", kNone);
  session.execute(nullptr, 0, false);
}

// Parses `statement` if the server does not have it, under a name if it is to be prepared; binds. True: its columns are
// known already, so that no Describe is needed.
bool queue_bind(State& state, Statement& statement, std::string_view sql, bool prepare, const Parameters& parameters) {
  auto& session = *state.session;
  const bool known = !statement.name.empty();
  if (!known && prepare) state.statements.name(statement);
  for (const auto& name : state.statements.take_closed()) session.close_statement(name);
  if (!known) session.parse(statement.name, sql, parameters.types);
  session.bind(statement.name, parameters);
  return known;
}

bool wanted(State& state, const Statement& statement, Prepare prepare) {
  return prepare == Prepare::kAlways || (prepare == Prepare::kAutomatic && state.statements.to_be_prepared(statement));
}

void queue_execution(State& state, Statement& statement, std::string_view sql, const Request& request) {
  auto& session = *state.session;
  queue_begin(session, request.begin);
  const bool known = queue_bind(state, statement, sql, wanted(state, statement, request.prepare), state.parameters);
  if (!known) session.describe_portal();
  session.execute(known ? statement.columns : nullptr, 0, true);
  session.sync();
  state.running = &statement;
  state.was_prepared = !statement.name.empty();
}

bool start_plain(State& state, const Request& request) {
  auto& statement = state.statements.plain_statement(state.statements.remember(request.sql));
  ++statement.executions;
  state.parameters.clear();
  if (!statement.name.empty() || (!statement.several && wanted(state, statement, request.prepare))) {
    queue_execution(state, statement, request.sql, request);
    return true;
  }
  state.running = &statement;
  if (request.begin == nullptr) {
    state.session->simple_query(request.sql, true);
  } else {
    state.session->simple_query(request.begin, false);
    state.session->simple_query_after(request.sql);
  }
  return true;
}

bool start_request(State& state, const Request& request) {
  if (!ready_to_start(state)) return false;
  if (request.values == Py_None) return start_plain(state, request);
  auto& remembered = state.statements.remember(request.sql);
  if (!translated(remembered, request.sql) || !encode_all(remembered.query, request.values, state.parameters)) return false;
  auto& statement = state.statements.statement(remembered, state.parameters);
  ++statement.executions;
  queue_execution(state, statement, remembered.query.sql, request);
  return true;
}

// --- Waiting --------------------------------------------------------------------------------------------------------

// Waits without the interpreter's lock.
Progress wait_unlocked(Session& session, Clock::time_point until) {
  const Unlocked unlocked;
  return session.wait(until);
}

// A statement was cancelled: waits until it has ended; a session that does not obey is closed.
void drain(State& state) {
  state.session->cancel();
  const auto until = Clock::now() + kCancelPatience;
  while (Clock::now() < until)
    if (wait_unlocked(*state.session, until) != Progress::kWaiting && state.session->idle()) return;
  state.session->close();
}

// Ends what is under way because Python has raised something (KeyboardInterrupt).
void abandon(State& state) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  if (!state.session->idle()) drain(state);
  PyErr_Restore(type, value, trace);
}

enum class Waited { kDone, kTimeout, kRaised };

Waited wait_until(State& state, Clock::time_point deadline) {
  while (true) {
    const auto now = Clock::now();
    const auto progress = wait_unlocked(*state.session, std::min(deadline, now + kSignalInterval));
    if (progress != Progress::kWaiting) return Waited::kDone;
    if (state.close_requested.load(std::memory_order_relaxed)) {
      fail(shared().interface_error, "the connection was closed by another thread");
      return Waited::kRaised;
    }
    if (PyErr_CheckSignals() != 0) {
      abandon(state);
      return Waited::kRaised;
    }
    if (Clock::now() >= deadline) return Waited::kTimeout;
  }
}

// `seconds` from now; none: never.
bool deadline_of(PyObject* seconds, Clock::time_point& deadline) {
  deadline = Clock::time_point::max();
  if (seconds == Py_None) return true;
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1 && PyErr_Occurred()) return false;
  constexpr double kLongestSeconds = 1e8;
  if (value < kLongestSeconds)
    deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value > 0 ? value : 0));
  return true;
}

// Waits for the operation; when its time is up it is cancelled, and its error says so.
bool wait_or_cancel(State& state, Clock::time_point deadline) {
  const auto waited = wait_until(state, deadline);
  if (waited == Waited::kTimeout) {
    state.timed_out = true;
    drain(state);
  }
  return waited != Waited::kRaised;
}

// --- Finishing ------------------------------------------------------------------------------------------------------

bool changes_schema(std::string_view tag) {
  return tag.starts_with("ALTER") || tag.starts_with("DROP") || tag.starts_with("CREATE") || tag.starts_with("DISCARD") ||
         tag.starts_with("DEALLOCATE");
}

// What the results mean for prepared statements: their plans may be gone, or return something else.
void learn(State& state, const std::vector<ResultSet>& results) {
  bool forget = false;
  for (const auto& result : results) {
    if (changes_schema(result.tag)) {
      state.schema_changed = true;
      forget = forget || !result.tag.starts_with("CREATE");
    } else if (result.tag == "ROLLBACK" && state.schema_changed) {
      forget = true;
    }
  }
  if (state.session->transaction() == 'I') state.schema_changed = false;
  if (forget) state.statements.forget_all();
}

bool again_without_stale(State& state) {
  if (!state.was_prepared || !state.session->stale_statement()) return false;
  state.statements.forget(*state.running);
  return state.session->transaction() == 'I' && !state.session->ended();
}

bool raise_error(State& state) {
  auto report = *state.session->error();
  if (state.running != nullptr && !state.was_prepared) state.running->executions = 0;
  if (state.timed_out && report.field('C') == "57014")
    for (auto& [letter, value] : report.fields)
      if (letter == 'M') value = "canceling statement because its timeout is over";
  // Parse has failed, or may have: whether the name is taken is not known.
  if (state.was_prepared && state.running->columns == nullptr) state.statements.forget(*state.running);
  raise_report(report);
  return false;
}

// The results as a list; None: the statement has to be started once more. Null: a Python error is set.
PyObject* finish_operation(State& state) {
  auto& session = *state.session;
  if (session.error()) {
    if (again_without_stale(state)) Py_RETURN_NONE;
    raise_error(state);
    return nullptr;
  }
  auto results = session.take_results();
  if (state.running != nullptr) {
    state.running->several = results.size() != 1;
    if (state.was_prepared && !results.empty()) state.running->columns = results.front().columns;
  }
  learn(state, results);
  state.running = nullptr;
  Ref list(PyList_New(static_cast<Py_ssize_t>(results.size())));
  if (!list) return nullptr;
  for (std::size_t i = 0; i < results.size(); ++i) {
    PyObject* const result = make_result(std::move(results[i]));
    if (result == nullptr || PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), result) != 0) return nullptr;
  }
  return list.release();
}

// --- Methods --------------------------------------------------------------------------------------------------------

// execute(sql, values, prepare, begin, timeout)
PyObject* execute(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 5) return PyErr_Format(PyExc_TypeError, "execute() takes 5 arguments");
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  Request request;
  const char* begin = arguments[3] == Py_None ? nullptr : PyUnicode_AsUTF8AndSize(arguments[3], nullptr);
  Clock::time_point deadline;
  if ((begin == nullptr && PyErr_Occurred()) || !read_request(arguments[0], arguments[1], arguments[2], begin, request) ||
      !deadline_of(arguments[4], deadline))
    return nullptr;
  while (true) {
    if (!start_request(state, request) || !wait_or_cancel(state, deadline)) return nullptr;
    PyObject* const results = finish_operation(state);
    if (results != Py_None) return results;
    Py_DECREF(results);
  }
}

PyObject* start(PyObject* self, PyObject* arguments) {
  PyObject *sql, *values, *prepare;
  const char* begin;
  if (!PyArg_ParseTuple(arguments, "OOOz:start", &sql, &values, &prepare, &begin)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  Request request;
  if (!inside || !read_request(sql, values, prepare, begin, request) || !start_request(state, request)) return nullptr;
  Py_RETURN_NONE;
}

// Which part of an executemany a call of start_many is.
struct Part {
  bool first, last, keep;
};

// Encodes all rows before any of them is queued, so that a wrong one leaves nothing half done.
bool encode_rows(const Query& query, PyObject* rows, std::vector<Parameters>& encoded) {
  const Py_ssize_t count = PyList_Size(rows);
  encoded.resize(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!encode_all(query, PyList_GetItem(rows, i), encoded[static_cast<std::size_t>(i)])) return false;
  return true;
}

void queue_rows(State& state, Remembered& remembered, const std::vector<Parameters>& rows, const Part& part) {
  auto& session = *state.session;
  const Statement* bound = nullptr;
  bool parsed_unnamed = false;
  for (const auto& row : rows) {
    auto& statement = state.statements.statement(remembered, row);
    // The unnamed statement serves while the types stay the same.
    const bool reuse = &statement == bound && statement.name.empty() && parsed_unnamed;
    if (reuse) {
      session.bind("", row);
    } else {
      queue_bind(state, statement, remembered.query.sql, false, row);
      parsed_unnamed = statement.name.empty();
    }
    bound = &statement;
    if (part.keep) session.describe_portal();
    session.execute(nullptr, 0, part.keep);
  }
}

// start_many(sql, rows, first, last, keep, begin): one part of an executemany; all parts are one batch.
PyObject* start_many(PyObject* self, PyObject* arguments) {
  PyObject *sql_object, *rows;
  int first, last, keep;
  const char* begin;
  if (!PyArg_ParseTuple(arguments, "OO!pppz:start_many", &sql_object, &PyList_Type, &rows, &first, &last, &keep, &begin)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  std::string_view sql;
  if (!inside || !sql_of(sql_object, sql)) return nullptr;
  if (first ? !ready_to_start(state) : (in_forked_child(state.opened_in) || (state.session->ended() && !raise_ended(state))))
    return nullptr;
  if (!first) state.session->begin_operation();
  auto& remembered = state.statements.remember(sql);
  std::vector<Parameters> encoded;
  if (!translated(remembered, sql) || !encode_rows(remembered.query, rows, encoded)) return nullptr;
  if (first) queue_begin(*state.session, begin);
  queue_rows(state, remembered, encoded, {first != 0, last != 0, keep != 0});
  if (last) state.session->sync();
  else state.session->flush();
  Py_RETURN_NONE;
}

// Makes an open batch fail on the server, so that nothing of it stays.
PyObject* start_abort(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  static const Parameters kNone;
  state.session->begin_operation();
  state.session->bind("calf_no_such_statement", kNone);
  state.session->sync();
  Py_RETURN_NONE;
}

// start_stream(sql, values, begin, size): the first `size` rows; start_fetch for the others.
PyObject* start_stream(PyObject* self, PyObject* arguments) {
  PyObject *sql, *values;
  const char* begin;
  unsigned int size;
  if (!PyArg_ParseTuple(arguments, "OOzI:start_stream", &sql, &values, &begin, &size)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  Request request;
  if (!inside || !read_request(sql, values, Py_False, begin, request) || !ready_to_start(state)) return nullptr;
  std::string_view text = request.sql;
  state.parameters.clear();
  Remembered& remembered = state.statements.remember(request.sql);
  if (values != Py_None) {
    if (!translated(remembered, request.sql) || !encode_all(remembered.query, values, state.parameters)) return nullptr;
    text = remembered.query.sql;
  }
  queue_begin(*state.session, begin);
  state.session->parse("", text, state.parameters.types);
  state.session->bind("", state.parameters);
  state.session->describe_portal();
  state.session->execute(nullptr, size, true);
  state.session->flush();
  Py_RETURN_NONE;
}

PyObject* start_fetch(PyObject* self, PyObject* arguments) {
  PyObject* result;
  unsigned int size;
  if (!PyArg_ParseTuple(arguments, "OI:start_fetch", &result, &size)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  if (state.session->ended() && !raise_ended(state)) return nullptr;
  auto columns = columns_of(result);
  if (!columns) return nullptr;
  state.session->begin_operation();
  state.session->execute(std::move(columns), size, true);
  state.session->flush();
  Py_RETURN_NONE;
}

PyObject* start_end_stream(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  state.session->begin_operation();
  state.session->close_portal();
  state.session->sync();
  Py_RETURN_NONE;
}

// start_copy(sql, begin)
PyObject* start_copy(PyObject* self, PyObject* arguments) {
  PyObject* sql_object;
  const char* begin;
  if (!PyArg_ParseTuple(arguments, "Oz:start_copy", &sql_object, &begin)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  std::string_view sql;
  if (!inside || !sql_of(sql_object, sql) || !ready_to_start(state)) return nullptr;
  state.session->want_copy(true);
  if (begin == nullptr) {
    state.session->simple_query(sql, true);
  } else {
    state.session->simple_query(begin, false);
    state.session->simple_query_after(sql);
  }
  Py_RETURN_NONE;
}

// copy_write(data, block): queues data; with `block` waits while much is unsent. Returns how much is.
PyObject* copy_write(PyObject* self, PyObject* arguments) {
  const char* data;
  Py_ssize_t size;
  int block;
  if (!PyArg_ParseTuple(arguments, "s#p:copy_write", &data, &size, &block)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  auto& session = *state.session;
  if (!session.error() && session.copy_state() != Session::CopyState::kIn) {
    fail(shared().programming_error, "no COPY FROM STDIN is under way");
    return nullptr;
  }
  std::string_view rest(data, static_cast<std::size_t>(size));
  while (!rest.empty() && !session.error()) {
    session.copy_data(rest.substr(0, kCopyMessageBytes));
    rest.remove_prefix(std::min(rest.size(), kCopyMessageBytes));
    while (block && session.unsent_bytes() > kMaxUnsentCopyBytes && !session.error()) {
      if (PyErr_CheckSignals() != 0) return nullptr;
      if (wait_unlocked(session, Clock::now()) == Progress::kEnded) break;
    }
  }
  if (session.error()) {
    raise_error(state);
    return nullptr;
  }
  return PyLong_FromSize_t(session.unsent_bytes());
}

// start_copy_end(reason): completes a COPY FROM STDIN, or makes it fail.
PyObject* start_copy_end(PyObject* self, PyObject* argument) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  std::string_view reason;
  if (argument != Py_None && !text_of(argument, reason)) return nullptr;
  // When the server has refused it already, there is nothing to end.
  if (state.session->copy_state() != Session::CopyState::kIn) Py_RETURN_NONE;
  if (argument == Py_None) state.session->copy_done();
  else state.session->copy_fail(reason.substr(0, reason.find('\0')));
  Py_RETURN_NONE;
}

PyObject* take_copied(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  const auto pieces = state.session->take_copied();
  Ref list(PyList_New(static_cast<Py_ssize_t>(pieces.size())));
  if (!list) return nullptr;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    PyObject* const bytes = PyBytes_FromStringAndSize(pieces[i].data(), static_cast<Py_ssize_t>(pieces[i].size()));
    if (bytes == nullptr || PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), bytes) != 0) return nullptr;
  }
  return list.release();
}

PyObject* wait(PyObject* self, PyObject* timeout) {
  auto& state = state_of(self);
  const Inside inside(state);
  Clock::time_point deadline;
  if (!inside || in_forked_child(state.opened_in) || !deadline_of(timeout, deadline) || !wait_or_cancel(state, deadline)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* wait_notification(PyObject* self, PyObject* timeout) {
  auto& state = state_of(self);
  const Inside inside(state);
  Clock::time_point deadline;
  if (!inside || !deadline_of(timeout, deadline) || !ready_to_start(state)) return nullptr;
  if (state.session->has_notifications()) Py_RETURN_TRUE;
  state.session->stop_at_notification(true);
  const auto waited = wait_until(state, deadline);
  state.session->stop_at_notification(false);
  if (waited == Waited::kRaised || (state.session->ended() && !raise_ended(state))) return nullptr;
  return PyBool_FromLong(state.session->has_notifications());
}

PyObject* poll(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  return PyBool_FromLong(state.session->advance() != Progress::kWaiting);
}

PyObject* finish(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  return inside ? finish_operation(state) : nullptr;
}

PyObject* cancel(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  if (in_forked_child(state.opened_in)) return nullptr;
  return PyBool_FromLong(state.session->cancel());
}

// Cancels what runs, because its time is up: its error will say so. For event loops; wait() does it itself.
PyObject* time_out(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  state.timed_out = true;
  state.session->cancel();
  Py_RETURN_NONE;
}

void close_session(State& state) {
  if (state.opened_in != getpid()) return;
  state.close_requested.store(true, std::memory_order_relaxed);
  if (!state.busy.exchange(true, std::memory_order_acquire)) {
    {
      const Unlocked unlocked;
      state.session->close();
    }
    state.busy.store(false, std::memory_order_release);
  } else {
    // The thread that is inside closes it when it comes out.
    state.session->cancel();
  }
}

PyObject* close(PyObject* self, PyObject*) {
  close_session(state_of(self));
  Py_RETURN_NONE;
}

PyObject* fileno(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  if (in_forked_child(state.opened_in)) return nullptr;
  return PyLong_FromLong(state.session->descriptor());
}

PyObject* parameter(PyObject* self, PyObject* name) {
  std::string_view key;
  if (!text_of(name, key)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  const auto& known = state.session->parameters();
  const auto found = known.find(key);
  if (found == known.end()) Py_RETURN_NONE;
  return to_python(found->second);
}

// A list of what `make` makes of each item.
template <typename Items, typename Make>
PyObject* list_of(const Items& items, Make make) {
  Ref list(PyList_New(0));
  for (const auto& item : items) {
    const Ref entry(list ? make(item) : nullptr);
    if (!entry || PyList_Append(list.get(), entry.get()) != 0) return nullptr;
  }
  return list.release();
}

PyObject* take_notices(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  return inside ? list_of(state.session->take_notices(), fields_of) : nullptr;
}

PyObject* take_notifications(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  return list_of(state.session->take_notifications(), [](const Notification& each) {
    return Py_BuildValue("(s#s#i)", each.channel.data(), static_cast<Py_ssize_t>(each.channel.size()), each.payload.data(),
                         static_cast<Py_ssize_t>(each.payload.size()), static_cast<int>(each.pid));
  });
}

// set_preparing(threshold or None, max)
PyObject* set_preparing(PyObject* self, PyObject* arguments) {
  PyObject* threshold;
  unsigned int most;
  if (!PyArg_ParseTuple(arguments, "OI:set_preparing", &threshold, &most)) return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  const auto executions = threshold == Py_None ? 0 : PyLong_AsUnsignedLong(threshold);
  if (PyErr_Occurred()) return nullptr;
  state.statements.automatic = threshold != Py_None;
  state.statements.threshold = static_cast<std::uint32_t>(executions);
  state.statements.max_prepared = most;
  Py_RETURN_NONE;
}

// --- The type -------------------------------------------------------------------------------------------------------

bool startup_parameters(PyObject* pairs, std::vector<std::pair<std::string, std::string>>& parameters) {
  for (Py_ssize_t i = 0; i < PyTuple_Size(pairs); ++i) {
    const char *name, *value;
    PyObject* const pair = PyTuple_GetItem(pairs, i);
    // "s" refuses zero bytes, which would end the string and begin another parameter.
    if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "ss", &name, &value)) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "parameters are pairs of str");
      return false;
    }
    parameters.emplace_back(name, value);
  }
  return true;
}

// Session(cluster, ((name, value), …)): begins the login; wait or poll, then finish.
PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject*) {
  PyObject *cluster_object, *pairs;
  if (!PyArg_ParseTuple(arguments, "OO!:Session", &cluster_object, &PyTuple_Type, &pairs)) return nullptr;
  calf_cluster* const cluster = cluster_of(cluster_object);
  std::vector<std::pair<std::string, std::string>> parameters;
  if (cluster == nullptr || !startup_parameters(pairs, parameters)) return nullptr;
  calf_wire* wire = nullptr;
  calf_error* error = nullptr;
  if (calf_wire_open(cluster, &wire, &error) != CALF_OK) {
    raise_library_error(error);
    return nullptr;
  }
  auto session = std::make_unique<Session>(wire);
  auto* const self = PyObject_New(SessionObject, type);
  if (self == nullptr) return nullptr;
  self->state = new State;
  self->state->session = std::move(session);
  self->state->opened_in = getpid();
  self->state->session->startup(parameters);
  return reinterpret_cast<PyObject*>(self);
}

void dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  State* const state = reinterpret_cast<SessionObject*>(self)->state;
  if (state != nullptr) {
    close_session(*state);
    // The library ignores handles of the parent in a forked child.
    delete state;
  }
  PyObject_Free(self);
  Py_DECREF(type);
}

PyObject* get_status(PyObject* self, void*) {
  const char status = state_of(self).session->transaction();
  return PyUnicode_FromStringAndSize(&status, 1);
}
PyObject* get_ended(PyObject* self, void*) {
  auto& state = state_of(self);
  return PyBool_FromLong(state.session->ended() || state.close_requested.load(std::memory_order_relaxed));
}
PyObject* get_pid(PyObject* self, void*) { return PyLong_FromLong(state_of(self).session->pid()); }
PyObject* get_has_news(PyObject* self, void*) { return PyBool_FromLong(state_of(self).session->has_news()); }
PyObject* get_discarded(PyObject* self, void*) { return PyLong_FromLongLong(state_of(self).session->discarded_rows()); }
PyObject* get_unsent(PyObject* self, void*) { return PyLong_FromSize_t(state_of(self).session->unsent_bytes()); }
PyObject* get_idle(PyObject* self, void*) {
  const auto& session = *state_of(self).session;
  return PyBool_FromLong(session.idle() && !session.in_batch());
}
PyObject* get_copy_state(PyObject* self, void*) {
  switch (state_of(self).session->copy_state()) {
    case Session::CopyState::kIn: return PyUnicode_FromString("in");
    case Session::CopyState::kOut: return PyUnicode_FromString("out");
    case Session::CopyState::kNone: break;
  }
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"execute", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(execute)), METH_FASTCALL,
     "execute(sql, values, prepare, begin, timeout): start, wait and finish in one."},
    {"start", start, METH_VARARGS, "start(sql, values, prepare, begin)"},
    {"start_many", start_many, METH_VARARGS, "start_many(sql, rows, first, last, keep, begin)"},
    {"start_abort", start_abort, METH_NOARGS, "Makes an open batch fail."},
    {"start_stream", start_stream, METH_VARARGS, "start_stream(sql, values, begin, size)"},
    {"start_fetch", start_fetch, METH_VARARGS, "start_fetch(result, size)"},
    {"start_end_stream", start_end_stream, METH_NOARGS, "Ends a stream."},
    {"start_copy", start_copy, METH_VARARGS, "start_copy(sql, begin)"},
    {"copy_write", copy_write, METH_VARARGS, "copy_write(data, block) -> bytes that are unsent"},
    {"start_copy_end", start_copy_end, METH_O, "start_copy_end(reason or None)"},
    {"take_copied", take_copied, METH_NOARGS, "What COPY TO STDOUT has sent since the last call."},
    {"wait", wait, METH_O, "wait(timeout): until the operation has ended; it is cancelled when the time is up."},
    {"wait_notification", wait_notification, METH_O, "wait_notification(timeout) -> bool"},
    {"poll", poll, METH_NOARGS, "Sends and receives without waiting; True when the operation has ended."},
    {"finish", finish, METH_NOARGS, "The results of the operation; None: start it once more."},
    {"cancel", cancel, METH_NOARGS, "Cancels what runs. Any thread."},
    {"time_out", time_out, METH_NOARGS, "Cancels what runs, because its time is up."},
    {"close", close, METH_NOARGS, "Ends the session. Any thread."},
    {"fileno", fileno, METH_NOARGS, "A descriptor that is readable when poll() can go on."},
    {"parameter", parameter, METH_O, "What the server has reported: server_version, TimeZone, …"},
    {"take_notices", take_notices, METH_NOARGS, "Fields of the notices since the last call."},
    {"take_notifications", take_notifications, METH_NOARGS, "(channel, payload, pid) since the last call."},
    {"set_preparing", set_preparing, METH_VARARGS, "set_preparing(threshold or None, max)"},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"status", get_status, nullptr, "I: idle, T: in a transaction, E: in a failed one.", nullptr},
    {"ended", get_ended, nullptr, "Is it over?", nullptr},
    {"pid", get_pid, nullptr, "pg_backend_pid()", nullptr},
    {"has_news", get_has_news, nullptr, "Are there notices or notifications?", nullptr},
    {"discarded", get_discarded, nullptr, "Rows affected by statements whose results were not kept.", nullptr},
    {"unsent", get_unsent, nullptr, "Bytes that wait to be sent.", nullptr},
    {"idle", get_idle, nullptr, "Is no operation under way?", nullptr},
    {"copy_state", get_copy_state, nullptr, "'in', 'out' or None", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A session with a cluster.")},
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};
PyType_Spec spec = {"calf._engine.Session", sizeof(SessionObject), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

PyTypeObject* make_session_type(PyObject* module) {
  return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

}  // namespace calf::python
