// Methods of _engine.Session that are defined in session_batches.cc. What they take and give says
// the table of methods in session_type.cc.
#pragma once

#include "python.h"

namespace calf::python {

PyObject* start_many(PyObject* self, PyObject* argument);
PyObject* start_abort(PyObject* self, PyObject* argument);
PyObject* start_stream(PyObject* self, PyObject* argument);
PyObject* start_fetch(PyObject* self, PyObject* argument);
PyObject* start_end_stream(PyObject* self, PyObject* argument);
PyObject* start_copy(PyObject* self, PyObject* argument);
PyObject* copy_write(PyObject* self, PyObject* argument);
PyObject* start_copy_end(PyObject* self, PyObject* argument);
PyObject* take_copied(PyObject* self, PyObject* argument);

}  // namespace calf::python
