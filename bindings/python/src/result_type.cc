#include "result_type.h"

#include <algorithm>
#include <new>

#include "decode.h"

namespace calf::python {
namespace {

PyTypeObject* g_result_type = nullptr;

struct Result {
  PyObject_HEAD ResultSet set;
  std::vector<Decoder> decoders;
  std::size_t position;
};

Result* self_of(PyObject* self) {
  return reinterpret_cast<Result*>(self);
}

void dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  std::destroy_at(&self_of(self)->set);
  std::destroy_at(&self_of(self)->decoders);
  PyObject_Free(self);
  Py_DECREF(type);
}

PyObject* row_at(Result* self, std::size_t index) {
  return decode_row(self->set.row(index), self->decoders);
}

PyObject* fetch_one(PyObject* object, PyObject*) {
  auto* const self = self_of(object);
  if (self->position >= self->set.ends.size()) Py_RETURN_NONE;
  PyObject* const row = row_at(self, self->position);
  if (row != nullptr) ++self->position;
  return row;
}

// fetch(count): the next rows, at most so many; negative: all.
PyObject* fetch(PyObject* object, PyObject* argument) {
  auto* const self = self_of(object);
  const Py_ssize_t wanted = PyLong_AsSsize_t(argument);
  if (wanted == -1 && PyErr_Occurred()) return nullptr;
  const std::size_t left = self->set.ends.size() - std::min(self->position, self->set.ends.size());
  const std::size_t count = wanted < 0 ? left : std::min(left, static_cast<std::size_t>(wanted));
  Ref list(PyList_New(static_cast<Py_ssize_t>(count)));
  if (!list) return nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    PyObject* const row = row_at(self, self->position + i);
    if (row == nullptr || PyList_SetItem(list.get(), static_cast<Py_ssize_t>(i), row) != 0)
      return nullptr;
  }
  self->position += count;
  return list.release();
}

PyObject* get_columns(PyObject* object, void*) {
  const auto& columns = self_of(object)->set.columns;
  if (!columns) Py_RETURN_NONE;
  Ref tuple(PyTuple_New(static_cast<Py_ssize_t>(columns->size())));
  if (!tuple) return nullptr;
  for (std::size_t i = 0; i < columns->size(); ++i) {
    const auto& column = (*columns)[i];
    PyObject* const entry =
        Py_BuildValue("(s#IIiii)", column.name.data(), static_cast<Py_ssize_t>(column.name.size()),
                      column.type, column.table, static_cast<int>(column.number),
                      static_cast<int>(column.type_size), static_cast<int>(column.type_modifier));
    if (entry == nullptr || PyTuple_SetItem(tuple.get(), static_cast<Py_ssize_t>(i), entry) != 0)
      return nullptr;
  }
  return tuple.release();
}

PyObject* get_has_rows(PyObject* object, void*) {
  return PyBool_FromLong(self_of(object)->set.columns != nullptr);
}
PyObject* get_row_count(PyObject* object, void*) {
  return PyLong_FromSize_t(self_of(object)->set.ends.size());
}
PyObject* get_affected(PyObject* object, void*) {
  return PyLong_FromLongLong(self_of(object)->set.affected());
}
PyObject* get_tag(PyObject* object, void*) {
  return to_python(self_of(object)->set.tag);
}
PyObject* get_suspended(PyObject* object, void*) {
  return PyBool_FromLong(self_of(object)->set.suspended);
}
PyObject* get_position(PyObject* object, void*) {
  return PyLong_FromSize_t(self_of(object)->position);
}
int set_position(PyObject* object, PyObject* value, void*) {
  const std::size_t position = value == nullptr ? 0 : PyLong_AsSize_t(value);
  if (PyErr_Occurred()) return -1;
  self_of(object)->position = std::min(position, self_of(object)->set.ends.size());
  return 0;
}

PyMethodDef methods[] = {
    {"fetch_one", fetch_one, METH_NOARGS, "The next row, or None."},
    {"fetch", fetch, METH_O, "The next rows, at most so many; all of them for a negative number."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"columns", get_columns, nullptr,
     "(name, type, table, number, size, modifier) of each column; None without rows.", nullptr},
    {"has_rows", get_has_rows, nullptr, "Does the statement return rows, even if it were none?",
     nullptr},
    {"row_count", get_row_count, nullptr, "How many rows there are.", nullptr},
    {"affected", get_affected, nullptr, "The number in the command tag, or -1.", nullptr},
    {"tag", get_tag, nullptr, "The command tag.", nullptr},
    {"suspended", get_suspended, nullptr, "Of a stream: there may be more rows.", nullptr},
    {"position", get_position, set_position, "The index of the next row.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("What one statement answered.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, nullptr},
};
PyType_Spec spec = {"calf._engine.Result", sizeof(Result), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

PyTypeObject* make_result_type(PyObject* module) {
  g_result_type = reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
  return g_result_type;
}

PyObject* make_result(ResultSet set) {
  auto* const self = PyObject_New(Result, g_result_type);
  if (self == nullptr) return nullptr;
  std::construct_at(&self->set, std::move(set));
  std::construct_at(&self->decoders);
  self->position = 0;
  if (self->set.columns)
    for (const auto& column : *self->set.columns)
      self->decoders.push_back(decoder_for(column.type));
  return reinterpret_cast<PyObject*>(self);
}

std::shared_ptr<const Columns> columns_of(PyObject* result) {
  if (!PyObject_TypeCheck(result, g_result_type) || !self_of(result)->set.columns) {
    PyErr_SetString(PyExc_TypeError, "a Result with rows is wanted");
    return nullptr;
  }
  return self_of(result)->set.columns;
}

}  // namespace calf::python
