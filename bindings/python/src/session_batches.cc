// Methods of _engine.Session for operations of several parts: executemany, streams, COPY.
#include <algorithm>

#include "cluster_type.h"
#include "encode.h"
#include "operation.h"
#include "result_type.h"
#include "session_methods.h"

namespace calf::python {
namespace {

constexpr std::size_t kMaxUnsentCopyBytes = 512 * 1024;
constexpr std::size_t kCopyMessageBytes = 256 * 1024;

// Which part of an executemany a call of start_many is.
struct Part {
  bool first, last, keep;
};

// Encodes all rows before any of them is queued, so that a wrong one leaves nothing half done.
bool encode_rows(const Query& query, PyObject* rows, std::vector<Parameters>& encoded) {
  const Py_ssize_t count = PyList_Size(rows);
  encoded.resize(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!encode_all(query, PyList_GetItem(rows, i), encoded[static_cast<std::size_t>(i)]))
      return false;
  return true;
}

void queue_rows(State& state, Remembered& remembered, const std::vector<Parameters>& rows,
                const Part& part) {
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

}  // namespace

// start_many(sql, rows, first, last, keep, begin): one part of an executemany; all parts are one
// batch.
PyObject* start_many(PyObject* self, PyObject* arguments) {
  PyObject *sql_object, *rows;
  int first, last, keep;
  const char* begin;
  if (!PyArg_ParseTuple(arguments, "OO!pppz:start_many", &sql_object, &PyList_Type, &rows, &first,
                        &last, &keep, &begin))
    return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  std::string_view sql;
  if (!inside || !sql_of(sql_object, sql)) return nullptr;
  if (!(first ? ready_to_start(state) : ready_to_continue(state))) return nullptr;
  auto& remembered = state.statements.remember(sql);
  std::vector<Parameters> encoded;
  if (!translated(remembered, sql) || !encode_rows(remembered.query, rows, encoded)) return nullptr;
  if (first) queue_begin(*state.session, begin);
  queue_rows(state, remembered, encoded, {first != 0, last != 0, keep != 0});
  if (last)
    state.session->sync();
  else
    state.session->flush();
  Py_RETURN_NONE;
}

// Makes an open batch fail on the server, so that nothing of it stays.
PyObject* start_abort(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || !ready_to_continue(state)) return nullptr;
  static const Parameters kNone;
  state.session->bind("calf_no_such_statement", kNone);
  state.session->sync();
  Py_RETURN_NONE;
}

// start_stream(sql, values, begin, size): the first `size` rows; start_fetch for the others.
PyObject* start_stream(PyObject* self, PyObject* arguments) {
  PyObject *sql, *values;
  const char* begin;
  unsigned int size;
  if (!PyArg_ParseTuple(arguments, "OOzI:start_stream", &sql, &values, &begin, &size))
    return nullptr;
  auto& state = state_of(self);
  const Inside inside(state);
  Request request;
  if (!inside || !read_request(sql, values, Py_False, begin, request) || !ready_to_start(state))
    return nullptr;
  std::string_view text = request.sql;
  state.parameters.clear();
  Remembered& remembered = state.statements.remember(request.sql);
  if (values != Py_None) {
    if (!translated(remembered, request.sql) ||
        !encode_all(remembered.query, values, state.parameters))
      return nullptr;
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
  auto columns = columns_of(result);
  if (!inside || !columns || !ready_to_continue(state)) return nullptr;
  state.session->execute(std::move(columns), size, true);
  state.session->flush();
  Py_RETURN_NONE;
}

PyObject* start_end_stream(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || !ready_to_continue(state)) return nullptr;
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
  queue_simple(*state.session, sql, begin);
  Py_RETURN_NONE;
}

// copy_write(data, block): queues data; with `block` waits while much is unsent. Returns how much
// is.
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
      if (wait_unlocked(session, Session::Clock::now()) == Session::Progress::kEnded) break;
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
  if (argument == Py_None)
    state.session->copy_done();
  else
    state.session->copy_fail(reason.substr(0, reason.find('\0')));
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
    PyObject* const bytes =
        PyBytes_FromStringAndSize(pieces[i].data(), static_cast<Py_ssize_t>(pieces[i].size()));
    if (bytes == nullptr || PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), bytes) != 0)
      return nullptr;
  }
  return list.release();
}

}  // namespace calf::python
