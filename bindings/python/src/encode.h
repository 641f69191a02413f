// Python values → parameters of a statement. Common types are done here, all others by the
// package's `dump`.
#pragma once

#include "python.h"
#include "session.h"
#include "statements.h"

namespace calf::python {

// Appends one value. False: a Python error is set.
bool encode(PyObject* value, Parameters& parameters);

// Encodes what `query` wants out of `values`: a sequence for %s, a mapping for %(name)s. False: a
// Python error is set.
bool encode_all(const Query& query, PyObject* values, Parameters& parameters);

}  // namespace calf::python
