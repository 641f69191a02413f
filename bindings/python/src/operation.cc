#include "operation.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "cluster_type.h"
#include "encode.h"
#include "result_type.h"

namespace calf::python {

using Clock = Session::Clock;
using Progress = Session::Progress;

namespace {

// How often a waiting thread looks for Python's signals.
constexpr auto kSignalInterval = std::chrono::milliseconds(100);
// How long PostgreSQL may take to obey a cancel before the session is given up.
constexpr auto kCancelPatience = std::chrono::seconds(10);

void raise_report(const Report& report) {
  const Ref fields(fields_of(report));
  if (fields) raise_fields(fields.get());
}

bool wanted(State& state, const Statement& statement, Prepare prepare) {
  return prepare == Prepare::kAlways ||
         (prepare == Prepare::kAutomatic && state.statements.to_be_prepared(statement));
}

void queue_execution(State& state, Statement& statement, std::string_view sql,
                     const Request& request) {
  auto& session = *state.session;
  queue_begin(session, request.begin);
  const bool known = queue_bind(state, statement, sql, wanted(state, statement, request.prepare),
                                state.parameters);
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
  if (!statement.name.empty() ||
      (!statement.several && wanted(state, statement, request.prepare))) {
    queue_execution(state, statement, request.sql, request);
    return true;
  }
  state.running = &statement;
  queue_simple(*state.session, request.sql, request.begin);
  return true;
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

bool changes_schema(std::string_view tag) {
  return tag.starts_with("ALTER") || tag.starts_with("DROP") || tag.starts_with("CREATE") ||
         tag.starts_with("DISCARD") || tag.starts_with("DEALLOCATE");
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

}  // namespace

bool fail(PyObject* exception, const char* message) {
  PyErr_SetString(exception, message);
  return false;
}

Inside::Inside(State& state)
    : state_(state), entered_(!state.busy.exchange(true, std::memory_order_acquire)) {
  if (!entered_) fail(shared().programming_error, "the connection is in use by another thread");
}

Inside::~Inside() {
  if (!entered_) return;
  // close() of another thread came while this one was inside.
  if (state_.close_requested.load(std::memory_order_relaxed)) state_.session->close();
  state_.busy.store(false, std::memory_order_release);
}

// --- Starting

bool ready_to_start(State& state) {
  if (in_forked_child(state.opened_in)) return false;
  if (state.session->ended()) {
    raise_ended(state);
    return false;
  }
  if (!state.session->idle() || state.session->in_batch() ||
      state.session->copy_state() != Session::CopyState::kNone)
    return fail(shared().programming_error, "another operation is under way on this connection");
  state.session->begin_operation();
  state.running = nullptr;
  state.was_prepared = false;
  state.timed_out = false;
  return true;
}

bool ready_to_continue(State& state) {
  if (in_forked_child(state.opened_in)) return false;
  if (state.session->ended()) {
    raise_ended(state);
    return false;
  }
  state.session->begin_operation();
  return true;
}

bool sql_of(PyObject* object, std::string_view& sql) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "the query must be a str, not %R",
                 reinterpret_cast<PyObject*>(Py_TYPE(object)));
    return false;
  }
  if (!text_of(object, sql)) return false;
  if (sql.find('\0') != std::string_view::npos)
    return fail(shared().programming_error, "SQL cannot contain NUL (0x00) characters");
  if (sql.size() > MessageWriter::kMaxMessageBytes)
    return fail(shared().programming_error, "SQL may have 1 GiB at most");
  return true;
}

bool read_request(PyObject* sql, PyObject* values, PyObject* prepare, const char* begin,
                  Request& request) {
  if (!sql_of(sql, request.sql)) return false;
  request.values = values;
  request.begin = begin;
  if (prepare != Py_None)
    request.prepare = PyObject_IsTrue(prepare) ? Prepare::kAlways : Prepare::kNever;
  return true;
}

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

bool queue_bind(State& state, Statement& statement, std::string_view sql, bool prepare,
                const Parameters& parameters) {
  auto& session = *state.session;
  const bool known = !statement.name.empty();
  if (!known && prepare) state.statements.name(statement);
  for (const auto& name : state.statements.take_closed()) session.close_statement(name);
  if (!known) session.parse(statement.name, sql, parameters.types);
  session.bind(statement.name, parameters);
  return known;
}

void queue_simple(Session& session, std::string_view sql, const char* begin) {
  if (begin == nullptr) {
    session.simple_query(sql, true);
  } else {
    session.simple_query(begin, false);
    session.simple_query_after(sql);
  }
}

bool start_request(State& state, const Request& request) {
  if (!ready_to_start(state)) return false;
  if (request.values == Py_None) return start_plain(state, request);
  auto& remembered = state.statements.remember(request.sql);
  if (!translated(remembered, request.sql) ||
      !encode_all(remembered.query, request.values, state.parameters))
    return false;
  auto& statement = state.statements.statement(remembered, state.parameters);
  ++statement.executions;
  queue_execution(state, statement, remembered.query.sql, request);
  return true;
}

// --- Waiting

Progress wait_unlocked(Session& session, Clock::time_point until) {
  const Unlocked unlocked;
  return session.wait(until);
}

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

bool deadline_of(PyObject* seconds, Clock::time_point& deadline) {
  deadline = Clock::time_point::max();
  if (seconds == Py_None) return true;
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1 && PyErr_Occurred()) return false;
  constexpr double kLongestSeconds = 1e8;
  if (value < kLongestSeconds)
    deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(value > 0 ? value : 0));
  return true;
}

bool wait_or_cancel(State& state, Clock::time_point deadline) {
  const auto waited = wait_until(state, deadline);
  if (waited == Waited::kTimeout) {
    state.timed_out = true;
    drain(state);
  }
  return waited != Waited::kRaised;
}

// --- Finishing

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

void raise_ended(State& state) {
  if (state.session->error()) {
    raise_report(*state.session->error());
  } else {
    fail(shared().interface_error, "the connection is closed");
  }
}

void raise_error(State& state) {
  auto report = *state.session->error();
  if (state.running != nullptr && !state.was_prepared) state.running->executions = 0;
  if (state.timed_out && report.field('C') == "57014")
    for (auto& [letter, value] : report.fields)
      if (letter == 'M') value = "canceling statement because its timeout is over";
  // Parse has failed, or may have: whether the name is taken is not known.
  if (state.was_prepared && state.running->columns == nullptr)
    state.statements.forget(*state.running);
  raise_report(report);
}

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
    if (result == nullptr || PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), result) != 0)
      return nullptr;
  }
  return list.release();
}

}  // namespace calf::python
