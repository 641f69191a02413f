// _engine.Result: what one statement answered, decoded row by row as it is fetched.
#pragma once

#include "python.h"
#include "session.h"

namespace calf::python {

// A new Result that owns `result`. Null: a Python error is set.
PyObject* make_result(ResultSet result);

// The columns of a Result that returns rows. Null: a Python error is set.
std::shared_ptr<const Columns> columns_of(PyObject* result);

}  // namespace calf::python
