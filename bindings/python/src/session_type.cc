// _engine.Session: a session as Python sees it. Every operation is start…, then wait or poll until
// it is done, then finish; execute() is all of it at once.
#include <unistd.h>

#include <memory>
#include <string>

#include "cluster_type.h"
#include "operation.h"
#include "session_methods.h"

namespace calf::python {
namespace {

// --- Methods

// execute(sql, values, prepare, begin, timeout)
PyObject* execute(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 5) return PyErr_Format(PyExc_TypeError, "execute() takes 5 arguments");
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside) return nullptr;
  Request request;
  const char* begin =
      arguments[3] == Py_None ? nullptr : PyUnicode_AsUTF8AndSize(arguments[3], nullptr);
  Deadline deadline;
  if ((begin == nullptr && PyErr_Occurred()) ||
      !read_request(arguments[0], arguments[1], arguments[2], begin, request) ||
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
  if (!inside || !read_request(sql, values, prepare, begin, request) ||
      !start_request(state, request))
    return nullptr;
  Py_RETURN_NONE;
}

PyObject* wait(PyObject* self, PyObject* timeout) {
  auto& state = state_of(self);
  const Inside inside(state);
  Deadline deadline;
  if (!inside || in_forked_child(state.opened_in) || !deadline_of(timeout, deadline) ||
      !wait_or_cancel(state, deadline))
    return nullptr;
  Py_RETURN_NONE;
}

PyObject* wait_notification(PyObject* self, PyObject* timeout) {
  auto& state = state_of(self);
  const Inside inside(state);
  Deadline deadline;
  if (!inside || !deadline_of(timeout, deadline) || !ready_to_start(state)) return nullptr;
  if (state.session->has_notifications()) Py_RETURN_TRUE;
  state.session->stop_at_notification(true);
  const auto waited = wait_until(state, deadline);
  state.session->stop_at_notification(false);
  if (waited == Waited::kRaised) return nullptr;
  if (state.session->ended()) {
    raise_ended(state);
    return nullptr;
  }
  return PyBool_FromLong(state.session->has_notifications());
}

PyObject* poll(PyObject* self, PyObject*) {
  auto& state = state_of(self);
  const Inside inside(state);
  if (!inside || in_forked_child(state.opened_in)) return nullptr;
  return PyBool_FromLong(state.session->advance() != Session::Progress::kWaiting);
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

// Cancels what runs, because its time is up: its error will say so. For event loops; wait() does it
// itself.
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
    return Py_BuildValue("(s#s#i)", each.channel.data(),
                         static_cast<Py_ssize_t>(each.channel.size()), each.payload.data(),
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

// --- The type

bool startup_parameters(PyObject* pairs,
                        std::vector<std::pair<std::string, std::string>>& parameters) {
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
  if (!PyArg_ParseTuple(arguments, "OO!:Session", &cluster_object, &PyTuple_Type, &pairs))
    return nullptr;
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
    // In a forked child it is left alone: a lock of it may be held by a thread that is not there.
    if (state->opened_in == getpid()) {
      close_session(*state);
      delete state;
    }
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
  return PyBool_FromLong(state.session->ended() ||
                         state.close_requested.load(std::memory_order_relaxed));
}
PyObject* get_pid(PyObject* self, void*) {
  return PyLong_FromLong(state_of(self).session->pid());
}
PyObject* get_has_news(PyObject* self, void*) {
  return PyBool_FromLong(state_of(self).session->has_news());
}
PyObject* get_discarded(PyObject* self, void*) {
  return PyLong_FromLongLong(state_of(self).session->discarded_rows());
}
PyObject* get_unsent(PyObject* self, void*) {
  return PyLong_FromSize_t(state_of(self).session->unsent_bytes());
}
PyObject* get_idle(PyObject* self, void*) {
  const auto& session = *state_of(self).session;
  return PyBool_FromLong(session.idle() && !session.in_batch());
}
PyObject* get_waiting(PyObject* self, void*) {
  return PyBool_FromLong(!state_of(self).session->idle());
}
PyObject* get_copy_state(PyObject* self, void*) {
  switch (state_of(self).session->copy_state()) {
    case Session::CopyState::kIn:
      return PyUnicode_FromString("in");
    case Session::CopyState::kOut:
      return PyUnicode_FromString("out");
    case Session::CopyState::kNone:
      break;
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
    {"wait", wait, METH_O,
     "wait(timeout): until the operation has ended; it is cancelled when the time is up."},
    {"wait_notification", wait_notification, METH_O, "wait_notification(timeout) -> bool"},
    {"poll", poll, METH_NOARGS,
     "Sends and receives without waiting; True when the operation has ended."},
    {"finish", finish, METH_NOARGS, "The results of the operation; None: start it once more."},
    {"cancel", cancel, METH_NOARGS, "Cancels what runs. Any thread."},
    {"time_out", time_out, METH_NOARGS, "Cancels what runs, because its time is up."},
    {"close", close, METH_NOARGS, "Ends the session. Any thread."},
    {"fileno", fileno, METH_NOARGS, "A descriptor that is readable when poll() can go on."},
    {"parameter", parameter, METH_O, "What the server has reported: server_version, TimeZone, …"},
    {"take_notices", take_notices, METH_NOARGS, "Fields of the notices since the last call."},
    {"take_notifications", take_notifications, METH_NOARGS,
     "(channel, payload, pid) since the last call."},
    {"set_preparing", set_preparing, METH_VARARGS, "set_preparing(threshold or None, max)"},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"status", get_status, nullptr, "I: idle, T: in a transaction, E: in a failed one.", nullptr},
    {"ended", get_ended, nullptr, "Is it over?", nullptr},
    {"pid", get_pid, nullptr, "pg_backend_pid()", nullptr},
    {"has_news", get_has_news, nullptr, "Are there notices or notifications?", nullptr},
    {"discarded", get_discarded, nullptr,
     "Rows affected by statements whose results were not kept.", nullptr},
    {"unsent", get_unsent, nullptr, "Bytes that wait to be sent.", nullptr},
    {"idle", get_idle, nullptr, "Is no operation under way, and no batch or stream open?", nullptr},
    {"waiting", get_waiting, nullptr, "Are there answers to come?", nullptr},
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