#include "cluster_type.h"

#include <unistd.h>

#include <memory>
#include <new>
#include <vector>

namespace calf::python {
namespace {

PyTypeObject* g_cluster_type = nullptr;

struct Cluster {
  PyObject_HEAD calf_cluster* cluster;
  long opened_in;  // process
  PyObject* log;   // callable (str), or null
};

Cluster* self_of(PyObject* self) {
  return reinterpret_cast<Cluster*>(self);
}

// Runs on a thread of the library.
void log_line(void* context, const char* line, size_t size) {
  // When the interpreter is going away it must not be entered any more.
  if (!Py_IsInitialized()) return;
  PyGILState_STATE state;
  {
    StaysWhenEnded thread;
    state = PyGILState_Ensure();
    thread.has_lock();
  }
  {
    const Ref text(to_python({line, size}));
    const Ref done(
        text ? PyObject_CallFunctionObjArgs(static_cast<PyObject*>(context), text.get(), nullptr)
             : nullptr);
    if (!done) PyErr_WriteUnraisable(static_cast<PyObject*>(context));
  }
  PyGILState_Release(state);
}

// The strings of a sequence, as long as it lives. False: a Python error is set.
bool strings_of(PyObject* sequence, std::vector<const char*>& strings) {
  const Py_ssize_t count = PySequence_Size(sequence);
  if (count < 0) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    const Ref item(PySequence_GetItem(sequence, i));
    const char* text = item ? PyUnicode_AsUTF8AndSize(item.get(), nullptr) : nullptr;
    if (text == nullptr) return false;
    strings.push_back(text);
  }
  return true;
}

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"data_dir", "settings",   "user", "database", "password",
                                "auth",     "extensions", "log",  "snapshot", nullptr};
  const char *data_dir, *user, *database, *password, *auth, *snapshot;
  PyObject *settings, *extensions, *log;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sO!zzzzO!Oz:Cluster",
                                   const_cast<char**>(names), &data_dir, &PyTuple_Type, &settings,
                                   &user, &database, &password, &auth, &PyTuple_Type, &extensions,
                                   &log, &snapshot))
    return nullptr;
  std::vector<const char*> setting_texts, extension_names;
  if (!strings_of(settings, setting_texts) || !strings_of(extensions, extension_names))
    return nullptr;
  auto* const self = PyObject_New(Cluster, type);
  if (self == nullptr) return nullptr;
  self->cluster = nullptr;
  self->opened_in = getpid();
  self->log = log == Py_None ? nullptr : Py_NewRef(log);
  const Ref owner(reinterpret_cast<PyObject*>(self));

  calf_options options{};
  options.struct_size = sizeof options;
  options.data_dir = data_dir;
  options.settings = setting_texts.data();
  options.settings_count = setting_texts.size();
  options.user = user;
  options.database = database;
  options.password = password;
  options.auth = auth;
  options.extensions = extension_names.data();
  options.extensions_count = extension_names.size();
  options.snapshot = snapshot;
  if (self->log != nullptr) {
    options.log = log_line;
    options.log_context = self->log;
  }
  calf_error* error = nullptr;
  calf_status status;
  {
    const Unlocked unlocked;
    status = calf_open(&options, &self->cluster, &error);
  }
  if (status == CALF_OK) return Py_NewRef(owner.get());
  raise_library_error(error);
  return nullptr;
}

PyObject* close(PyObject* object, PyObject*) {
  auto* const self = self_of(object);
  calf_cluster* const cluster = std::exchange(self->cluster, nullptr);
  // In a forked child it is the parent's to close.
  if (cluster == nullptr || self->opened_in != getpid()) Py_RETURN_NONE;
  calf_error* error = nullptr;
  calf_status status;
  {
    const Unlocked unlocked;
    status = calf_close(cluster, &error);
  }
  if (status == CALF_OK) Py_RETURN_NONE;
  raise_library_error(error);
  return nullptr;
}

void dealloc(PyObject* object) {
  PyTypeObject* const type = Py_TYPE(object);
  const Ref closed(close(object, nullptr));
  if (!closed) PyErr_WriteUnraisable(nullptr);
  Py_XDECREF(self_of(object)->log);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyObject* listen(PyObject* object, PyObject* arguments) {
  const char *host, *socket_dir;
  unsigned short port;
  int tls;
  if (!PyArg_ParseTuple(arguments, "zHzp:listen", &host, &port, &socket_dir, &tls)) return nullptr;
  calf_cluster* const cluster = cluster_of(object);
  if (cluster == nullptr) return nullptr;
  calf_listen_options options{};
  options.struct_size = sizeof options;
  options.host = host;
  options.port = port;
  options.socket_dir = socket_dir;
  options.tls_self_signed = tls;
  char* text = nullptr;
  calf_error* error = nullptr;
  calf_status status;
  {
    const Unlocked unlocked;
    status = calf_listen(cluster, &options, &text, &error);
  }
  if (status != CALF_OK) {
    raise_library_error(error);
    return nullptr;
  }
  PyObject* const result = to_python(text == nullptr ? "" : text);
  calf_free(text);
  return result;
}

PyObject* stop_listening(PyObject* object, PyObject*) {
  calf_cluster* const cluster = cluster_of(object);
  if (cluster == nullptr) return nullptr;
  calf_error* error = nullptr;
  calf_status status;
  {
    const Unlocked unlocked;
    status = calf_stop_listening(cluster, &error);
  }
  if (status == CALF_OK) Py_RETURN_NONE;
  raise_library_error(error);
  return nullptr;
}

PyObject* save_snapshot(PyObject* object, PyObject* argument) {
  const char* const file = PyUnicode_AsUTF8AndSize(argument, nullptr);
  if (file == nullptr) return nullptr;
  calf_cluster* const cluster = cluster_of(object);
  if (cluster == nullptr) return nullptr;
  calf_error* error = nullptr;
  calf_status status;
  {
    const Unlocked unlocked;
    status = calf_snapshot_save(cluster, file, &error);
  }
  if (status == CALF_OK) Py_RETURN_NONE;
  raise_library_error(error);
  return nullptr;
}

PyObject* get_closed(PyObject* object, void*) {
  return PyBool_FromLong(self_of(object)->cluster == nullptr);
}

PyMethodDef methods[] = {
    {"close", close, METH_NOARGS, "Shuts the cluster down."},
    {"listen", listen, METH_VARARGS,
     "listen(host, port, socket_dir, tls) -> URL: lets drivers in."},
    {"stop_listening", stop_listening, METH_NOARGS, "Closes what listen() has opened."},
    {"save_snapshot", save_snapshot, METH_O,
     "save_snapshot(file): the whole cluster as it is now."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"closed", get_closed, nullptr, "Is it closed?", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A running cluster.")},
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};
PyType_Spec spec = {"calf._engine.Cluster", sizeof(Cluster), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

PyTypeObject* make_cluster_type(PyObject* module) {
  g_cluster_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return g_cluster_type;
}

bool in_forked_child(long opened_in) {
  if (opened_in == getpid()) return false;
  PyErr_Format(shared().interface_error,
               "the database was opened by process %ld, before fork(): it does not exist in this "
               "process. Open one here.",
               opened_in);
  return true;
}

calf_cluster* cluster_of(PyObject* object) {
  if (!PyObject_TypeCheck(object, g_cluster_type)) {
    PyErr_SetString(PyExc_TypeError, "a Cluster is wanted");
    return nullptr;
  }
  auto* const self = self_of(object);
  if (in_forked_child(self->opened_in)) return nullptr;
  if (self->cluster == nullptr) PyErr_SetString(shared().interface_error, "the database is closed");
  return self->cluster;
}

void raise_fields(PyObject* fields) {
  const Ref exception(PyObject_CallFunctionObjArgs(shared().make_error, fields, nullptr));
  if (exception)
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
}

void raise_library_error(calf_error* error) {
  const Ref fields(PyDict_New());
  constexpr std::string_view kLetters = "SVCMDHPpqWstcdnFLR";
  for (const char letter : kLetters) {
    const char* value = calf_error_field(error, static_cast<calf_field>(letter));
    if (value == nullptr || !fields) continue;
    const char key[2] = {letter, '\0'};
    const Ref text(to_python(value));
    if (text) PyDict_SetItemString(fields.get(), key, text.get());
  }
  calf_error_free(error);
  if (fields && !PyErr_Occurred()) raise_fields(fields.get());
}

}  // namespace calf::python
