// calf._engine: the native half of the Python package. Private: its interface is described by
// calf/_engine.pyi.
#include "python.h"

#include <calf/calf.h>

namespace calf::python {

Shared& shared() {
  static Shared state;
  return state;
}

void restore_thread(PyThreadState* state) {
  StaysWhenEnded thread;
  PyEval_RestoreThread(state);
  thread.has_lock();
}

namespace {

// Puts a new reference to `module`.`name` into `slot`.
bool look_up(const char* module, const char* name, PyObject*& slot) {
  const Ref imported(PyImport_ImportModule(module));
  slot = imported ? PyObject_GetAttrString(imported.get(), name) : nullptr;
  return slot != nullptr;
}

bool look_up_all() {
  auto& state = shared();
  return look_up("datetime", "date", state.date) && look_up("datetime", "time", state.time) &&
         look_up("datetime", "datetime", state.datetime) &&
         look_up("datetime", "timedelta", state.timedelta) &&
         look_up("datetime", "timezone", state.timezone) &&
         look_up("decimal", "Decimal", state.decimal) &&
         (state.utc = PyObject_GetAttrString(state.timezone, "utc")) != nullptr;
}

// configure(make_error, dump, data_error, programming_error, interface_error)
PyObject* configure(PyObject*, PyObject* arguments) {
  auto& state = shared();
  if (!PyArg_ParseTuple(arguments, "OOOOO:configure", &state.make_error, &state.dump,
                        &state.data_error, &state.programming_error, &state.interface_error))
    return nullptr;
  for (auto* object : {state.make_error, state.dump, state.data_error, state.programming_error,
                       state.interface_error})
    Py_INCREF(object);
  Py_RETURN_NONE;
}

// set_loader(oid, callable or None)
PyObject* set_loader(PyObject*, PyObject* arguments) {
  unsigned int type;
  PyObject* loader;
  if (!PyArg_ParseTuple(arguments, "IO:set_loader", &type, &loader)) return nullptr;
  auto& loaders = shared().loaders;
  // Results that exist go on to use the old one, so it is never given back.
  if (loader == Py_None)
    loaders.erase(type);
  else
    loaders.insert_or_assign(type, Py_NewRef(loader));
  Py_RETURN_NONE;
}

// set_array(array_oid, element_oid)
PyObject* set_array(PyObject*, PyObject* arguments) {
  unsigned int array, element;
  if (!PyArg_ParseTuple(arguments, "II:set_array", &array, &element)) return nullptr;
  shared().array_elements.insert_or_assign(array, element);
  Py_RETURN_NONE;
}

PyObject* versions(PyObject*, PyObject*) {
  return Py_BuildValue("(ss)", calf_version(), calf_postgres_version());
}

PyMethodDef methods[] = {
    {"configure", configure, METH_VARARGS, "Hands over what the package's Python half has."},
    {"set_loader", set_loader, METH_VARARGS, "set_loader(oid, callable or None)"},
    {"set_array", set_array, METH_VARARGS, "set_array(array_oid, element_oid)"},
    {"versions", versions, METH_NOARGS, "Of the library and of the PostgreSQL inside."},
    {nullptr, nullptr, 0, nullptr},
};
PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "calf._engine",
                          "The native half of calf.",
                          -1,
                          methods,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

bool add_types(PyObject* module) {
  return PyModule_AddType(module, make_cluster_type(module)) == 0 &&
         PyModule_AddType(module, make_session_type(module)) == 0 &&
         PyModule_AddType(module, make_result_type(module)) == 0;
}

}  // namespace
}  // namespace calf::python

PyMODINIT_FUNC PyInit__engine() {
  calf::python::Ref module(PyModule_Create(&calf::python::definition));
  if (!module || !calf::python::look_up_all() || !calf::python::add_types(module.get()))
    return nullptr;
  return module.release();
}
