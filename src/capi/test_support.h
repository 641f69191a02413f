// For the tests of calf.h, which see libcalf.so as its users do: handles that close themselves.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calf/calf.h"

namespace calf::capi {

struct CloseCluster {
  void operator()(calf_cluster* cluster) const { calf_close(cluster, nullptr); }
};
struct CloseSession {
  void operator()(calf_session* session) const { calf_session_close(session); }
};
struct CloseStatement {
  void operator()(calf_statement* statement) const { calf_statement_close(statement); }
};
struct CloseStream {
  void operator()(calf_stream* stream) const { calf_stream_close(stream); }
};
struct CloseWire {
  void operator()(calf_wire* wire) const { calf_wire_close(wire); }
};
struct FreeResult {
  void operator()(calf_result* result) const { calf_result_free(result); }
};
using ClusterHandle = std::unique_ptr<calf_cluster, CloseCluster>;
using SessionHandle = std::unique_ptr<calf_session, CloseSession>;
using StatementHandle = std::unique_ptr<calf_statement, CloseStatement>;
using StreamHandle = std::unique_ptr<calf_stream, CloseStream>;
using WireHandle = std::unique_ptr<calf_wire, CloseWire>;
using ResultHandle = std::unique_ptr<calf_result, FreeResult>;

// An error that frees itself: hand out() to a call.
class ErrorHandle {
 public:
  ErrorHandle() = default;
  ErrorHandle(const ErrorHandle&) = delete;
  ErrorHandle& operator=(const ErrorHandle&) = delete;
  ~ErrorHandle() { calf_error_free(error_); }
  calf_error** out() {
    calf_error_free(error_);
    error_ = nullptr;
    return &error_;
  }
  [[nodiscard]] const calf_error* get() const { return error_; }
  [[nodiscard]] std::string message() const { return calf_error_message(error_); }
  [[nodiscard]] std::string sqlstate() const { return calf_error_sqlstate(error_); }
  [[nodiscard]] std::string field(calf_field field) const {
    const char* text = calf_error_field(error_, field);
    return text == nullptr ? "NULL" : text;
  }

 private:
  calf_error* error_ = nullptr;
};

inline ClusterHandle open_cluster(const calf_options* options = nullptr) {
  calf_cluster* cluster = nullptr;
  ErrorHandle error;
  EXPECT_EQ(calf_open(options, &cluster, error.out()), CALF_OK) << error.message();
  return ClusterHandle(cluster);
}

inline SessionHandle open_session(const ClusterHandle& cluster,
                                  const calf_session_options* options = nullptr) {
  calf_session* session = nullptr;
  ErrorHandle error;
  EXPECT_EQ(calf_session_open(cluster.get(), options, &session, error.out()), CALF_OK)
      << error.message();
  return SessionHandle(session);
}

inline calf_parameter text(const char* value) {
  return {.data = value,
          .size = value == nullptr ? 0 : std::char_traits<char>::length(value),
          .type = 0,
          .format = CALF_TEXT};
}

// The first value of the last statement's first row; the SQLSTATE when it fails.
inline std::string ask(calf_session* session, const char* sql) {
  calf_result* result = nullptr;
  ErrorHandle error;
  const calf_status status = calf_execute(session, sql, &result, error.out());
  const ResultHandle owned(result);
  if (status != CALF_OK) return error.sqlstate();
  const calf_result* last = result;
  while (calf_result_next(last) != nullptr) last = calf_result_next(last);
  const char* value = calf_result_value(last, 0, 0, nullptr);
  return value == nullptr ? "NULL" : value;
}
inline std::string ask(const SessionHandle& session, const char* sql) {
  return ask(session.get(), sql);
}

// Waits until the backend of this process number is at work on a statement.
inline void wait_until_active(const ClusterHandle& cluster, int pid) {
  const auto observer = open_session(cluster);
  const std::string sql =
      "select count(*) from pg_stat_activity where state = 'active' and pid = " +
      std::to_string(pid);
  std::string seen;
  for (int i = 0; i < 2000 && seen != "1"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    seen = ask(observer, sql.c_str());
  }
  EXPECT_EQ(seen, "1");
}

// A session each on one cluster for the whole suite.
class Session : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new ClusterHandle(open_cluster()); }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  inline static ClusterHandle* cluster_ = nullptr;
  SessionHandle session_ = open_session(*cluster_);
  ErrorHandle error_;
};

inline bool is_readable(int descriptor, int timeout_ms) {
  pollfd fd = {descriptor, POLLIN, 0};
  return ::poll(&fd, 1, timeout_ms) == 1;
}

}  // namespace calf::capi
