// The little that the extension needs of CPython's C API (the stable one of 3.11, so that one
// module serves all later versions): owned references, the lock, and what the Python half of the
// package has handed over.
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace calf::python {

// An owned reference, or none.
class Ref {
 public:
  Ref() = default;
  // Takes over a new reference; null is a Python error that is set.
  explicit Ref(PyObject* owned) : object_(owned) {}
  static Ref share(PyObject* borrowed) {
    Py_XINCREF(borrowed);
    return Ref(borrowed);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// Around what takes Python's lock. While the interpreter is going away it ends other threads there
// (before 3.14), which would unwind our frames without the lock: such a thread stays where it is,
// until the process has ended.
class StaysWhenEnded {
 public:
  StaysWhenEnded() = default;
  StaysWhenEnded(const StaysWhenEnded&) = delete;
  StaysWhenEnded& operator=(const StaysWhenEnded&) = delete;
  ~StaysWhenEnded() {
    while (!has_lock_) pause();
  }
  void has_lock() { has_lock_ = true; }

 private:
  bool has_lock_ = false;
};

void restore_thread(PyThreadState* state);  // PyEval_RestoreThread()

// Lets other Python threads run while it lives. Nothing of Python may be touched then.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() noexcept(false) { restore_thread(state_); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

// What _engine.configure() was given, and what is looked up once. It lives as long as the
// interpreter.
struct Shared {
  PyObject* make_error = nullptr;  // (fields: dict[str, str]) -> Exception
  PyObject* dump = nullptr;        // (value) -> (oid, str | bytes | None)
  PyObject* data_error = nullptr;  // exception classes
  PyObject* programming_error = nullptr;
  PyObject* interface_error = nullptr;
  PyObject* date = nullptr;  // datetime's classes
  PyObject* time = nullptr;
  PyObject* datetime = nullptr;
  PyObject* timedelta = nullptr;
  PyObject* timezone = nullptr;
  PyObject* utc = nullptr;
  PyObject* decimal = nullptr;
  std::unordered_map<long, PyObject*> zones;              // tzinfo by seconds east of UTC
  std::unordered_map<unsigned, PyObject*> loaders;        // callables (str) -> object, by type
  std::unordered_map<unsigned, unsigned> array_elements;  // registered: element type by array type
};
Shared& shared();

// UTF-8 of a str, as long as it lives; a Python error and false otherwise.
inline bool text_of(PyObject* object, std::string_view& text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(object, &size);
  if (data == nullptr) return false;
  text = {data, static_cast<std::size_t>(size)};
  return true;
}
inline PyObject* to_python(std::string_view text) {
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

// The types, made once by module.cc.
PyTypeObject* make_cluster_type(PyObject* module);
PyTypeObject* make_session_type(PyObject* module);
PyTypeObject* make_result_type(PyObject* module);

}  // namespace calf::python
