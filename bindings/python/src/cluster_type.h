// _engine.Cluster: a running cluster of libcalf.
#pragma once

#include "python.h"

#include <calf/calf.h>

namespace calf::python {

// The open cluster behind a Cluster object. Null: a Python error is set (wrong type, closed, or of
// the process before fork).
calf_cluster* cluster_of(PyObject* object);

// Sets the Python error that `error` tells, and frees it.
void raise_library_error(calf_error* error);

// Has this process been forked from the one that opened what says `opened_in`? Then a Python error
// is set.
bool in_forked_child(long opened_in);

// Calls the package's make_error and sets what it returns.
void raise_fields(PyObject* fields);

}  // namespace calf::python
