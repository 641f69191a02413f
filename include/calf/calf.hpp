// libcalf in C++17: calf.h with owners and exceptions. Header-only; what it throws never crosses
// the library's boundary. Threads, errors, ownership and time are as calf.h says; the objects move
// and do not copy.
#pragma once

#include <calf/calf.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace calf {

// What a call has failed with.
class Error : public std::runtime_error {
 public:
  Error(calf_status status, calf_error* error)
      : std::runtime_error(error != nullptr ? calf_error_message(error) : "out of memory"),
        status_(status),
        error_(error, &calf_error_free) {}

  [[nodiscard]] calf_status status() const { return status_; }
  [[nodiscard]] std::string sqlstate() const { return calf_error_sqlstate(error_.get()); }
  [[nodiscard]] std::optional<std::string> field(calf_field field) const {
    const char* text = calf_error_field(error_.get(), field);
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
  }

 private:
  calf_status status_;
  std::shared_ptr<calf_error> error_;  // exceptions are copied
};

namespace detail {

// Calls `function(arguments…, &error)`; CALF_OK and CALF_DONE are the only ways back.
template <typename Function, typename... Arguments>
calf_status call(Function function, Arguments... arguments) {
  calf_error* error = nullptr;
  const calf_status status = function(arguments..., &error);
  if (status != CALF_OK && status != CALF_DONE) throw Error(status, error);
  return status;
}

template <typename T, void (*close)(T*)>
struct Closer {
  void operator()(T* handle) const { close(handle); }
};
template <typename T, void (*close)(T*)>
using Handle = std::unique_ptr<T, Closer<T, close>>;

inline void close_cluster(calf_cluster* cluster) {
  calf_close(cluster, nullptr);
}

inline std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> result;
  for (const std::string& text : texts) result.push_back(text.c_str());
  return result;
}

}  // namespace detail

// A parameter: SQL NULL, text, or a number as text. The text must live until the call.
class Parameter {
 public:
  Parameter(std::nullptr_t) {}
  Parameter(std::string_view text) : text_(text) {}
  Parameter(const char* text) : text_(text) {}
  Parameter(const std::string& text) : text_(text) {}
  Parameter(std::int64_t number) : own_(std::to_string(number)) {}
  Parameter(int number) : own_(std::to_string(number)) {}

  [[nodiscard]] calf_parameter get() const {
    const std::optional<std::string_view> value =
        own_ ? std::optional<std::string_view>(*own_) : text_;
    return {value ? value->data() : nullptr, value ? value->size() : 0, 0, CALF_TEXT};
  }

 private:
  std::optional<std::string_view> text_;
  std::optional<std::string> own_;
};

using Parameters = std::vector<Parameter>;

namespace detail {
inline std::vector<calf_parameter> raw(const Parameters& parameters) {
  std::vector<calf_parameter> result;
  for (const Parameter& parameter : parameters) result.push_back(parameter.get());
  return result;
}
}  // namespace detail

// What a statement has answered.
class Result {
 public:
  explicit Result(calf_result* result) : result_(result) {}

  [[nodiscard]] std::size_t size() const { return calf_result_row_count(result_.get()); }
  [[nodiscard]] std::size_t columns() const { return calf_result_column_count(result_.get()); }
  [[nodiscard]] const calf_column& column(std::size_t index) const {
    if (index >= columns()) throw std::out_of_range("no such column");
    return calf_result_columns(result_.get())[index];
  }
  // A value; nothing is SQL NULL. It lives as long as the result.
  [[nodiscard]] std::optional<std::string_view> at(std::size_t row, std::size_t column = 0) const {
    if (row >= size() || column >= columns()) throw std::out_of_range("no such row or column");
    const calf_value& value = calf_result_row(result_.get(), row)[column];
    if (value.data == nullptr) return std::nullopt;
    return std::string_view(value.data, value.size);
  }
  [[nodiscard]] std::string_view command_tag() const {
    return calf_result_command_tag(result_.get());
  }
  [[nodiscard]] std::int64_t affected_rows() const {
    return calf_result_affected_rows(result_.get());
  }
  [[nodiscard]] const calf_result* get() const { return result_.get(); }

 private:
  detail::Handle<calf_result, calf_result_free> result_;
};

class Statement {
 public:
  explicit Statement(calf_statement* statement) : statement_(statement) {}

  Result query(const Parameters& parameters = {}, int result_format = CALF_TEXT) {
    const auto raw = detail::raw(parameters);
    calf_result* result = nullptr;
    detail::call(calf_statement_query, statement_.get(), raw.data(), raw.size(), result_format,
                 &result);
    return Result(result);
  }
  [[nodiscard]] calf_statement* get() const { return statement_.get(); }

 private:
  detail::Handle<calf_statement, calf_statement_close> statement_;
};

// Rows one by one:  while (const calf_value* row = stream.next()) …
class Stream {
 public:
  explicit Stream(calf_stream* stream) : stream_(stream) {}
  const calf_value* next() {
    const calf_value* row = nullptr;
    detail::call(calf_stream_next, stream_.get(), &row);
    return row;
  }
  [[nodiscard]] std::size_t columns() const { return calf_stream_column_count(stream_.get()); }

 private:
  detail::Handle<calf_stream, calf_stream_close> stream_;
};

struct Notification {
  std::string channel;
  std::string payload;
  std::int32_t pid = 0;
};

class Session {
 public:
  explicit Session(calf_session* session) : session_(session) {}

  Result query(const char* sql, const Parameters& parameters = {}, int result_format = CALF_TEXT) {
    const auto raw = detail::raw(parameters);
    calf_result* result = nullptr;
    detail::call(calf_query, session_.get(), sql, raw.data(), raw.size(), result_format, &result);
    return Result(result);
  }
  // Any number of statements; the first one's result (get() leads to the others).
  Result execute(const char* sql) {
    calf_result* result = nullptr;
    calf_error* error = nullptr;
    const calf_status status = calf_execute(session_.get(), sql, &result, &error);
    Result owned(result);
    if (status != CALF_OK) throw Error(status, error);
    return owned;
  }
  Statement prepare(const char* sql) {
    calf_statement* statement = nullptr;
    detail::call(calf_prepare, session_.get(), sql, static_cast<const std::uint32_t*>(nullptr),
                 std::size_t{0}, &statement);
    return Statement(statement);
  }
  Stream stream(const char* sql, const Parameters& parameters = {},
                std::uint32_t batch_rows = 1000) {
    const auto raw = detail::raw(parameters);
    calf_stream* stream = nullptr;
    detail::call(calf_stream_query, session_.get(), sql, raw.data(), raw.size(), CALF_TEXT,
                 batch_rows, &stream);
    return Stream(stream);
  }
  // COPY … FROM STDIN with all its data; how many rows were stored.
  std::int64_t copy_in(const char* sql, std::string_view data) {
    calf_copy* copy = nullptr;
    detail::call(calf_copy_begin, session_.get(), sql, &copy);
    calf_copy_write(copy, data.data(), data.size(), nullptr);  // calf_copy_end tells what is wrong
    calf_result* result = nullptr;
    detail::call(calf_copy_end, copy, static_cast<const char*>(nullptr), &result);
    return Result(result).affected_rows();
  }
  // Nothing when none has come within timeout_ms (negative: waits for ever).
  std::optional<Notification> next_notification(std::int64_t timeout_ms) {
    calf_notification notification;
    if (detail::call(calf_session_next_notification, session_.get(), timeout_ms, &notification) ==
        CALF_DONE) {
      return std::nullopt;
    }
    return Notification{notification.channel, notification.payload, notification.pid};
  }
  void set_timeout(std::int64_t timeout_ms) {
    detail::call(calf_session_set_timeout, session_.get(), timeout_ms);
  }
  // Any thread.
  void cancel() { detail::call(calf_session_cancel, session_.get()); }
  [[nodiscard]] calf_session* get() const { return session_.get(); }

 private:
  detail::Handle<calf_session, calf_session_close> session_;
};

struct Options {
  std::string data_dir = "memory://";
  std::vector<std::string> settings{};  // "name=value"
  std::vector<std::string> extensions{};
};

class Cluster {
 public:
  explicit Cluster(const Options& options = {}) {
    const auto settings = detail::pointers(options.settings);
    const auto extensions = detail::pointers(options.extensions);
    calf_options raw = {};
    raw.struct_size = sizeof raw;
    raw.data_dir = options.data_dir.c_str();
    raw.settings = settings.data();
    raw.settings_count = settings.size();
    raw.extensions = extensions.data();
    raw.extensions_count = extensions.size();
    calf_cluster* cluster = nullptr;
    detail::call(calf_open, static_cast<const calf_options*>(&raw), &cluster);
    cluster_.reset(cluster);
  }

  Session session(const char* database = nullptr, const char* user = nullptr) {
    calf_session_options options = {};
    options.struct_size = sizeof options;
    options.database = database;
    options.user = user;
    calf_session* session = nullptr;
    detail::call(calf_session_open, cluster_.get(),
                 static_cast<const calf_session_options*>(&options), &session);
    return Session(session);
  }
  // 127.0.0.1 and a free port; the connection string for drivers.
  std::string listen() {
    char* url = nullptr;
    detail::call(calf_listen, cluster_.get(), static_cast<const calf_listen_options*>(nullptr),
                 &url);
    const detail::Handle<char, free_text> owned(url);
    return url;
  }
  // Shuts down in order, and tells when it could not; the destructor does it silently.
  void close() { detail::call(calf_close, cluster_.release()); }
  [[nodiscard]] calf_cluster* get() const { return cluster_.get(); }

 private:
  static void free_text(char* text) { calf_free(text); }
  detail::Handle<calf_cluster, detail::close_cluster> cluster_;
};

}  // namespace calf
