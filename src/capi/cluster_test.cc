// Clusters by calf.h: their lives, options, mistakes of their users, snapshots, fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "capi/test_support.h"

namespace calf::capi {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

TEST(Cluster, ends_with_sessions_open) {
  auto cluster = open_cluster();
  const auto idle = open_session(cluster);
  const auto busy = open_session(cluster);
  calf_statement* statement = nullptr;
  ASSERT_EQ(calf_prepare(idle.get(), "select 1", nullptr, 0, &statement, nullptr), CALF_OK);
  calf_stream* stream = nullptr;
  const auto streaming = open_session(cluster);
  ASSERT_EQ(calf_stream_query(streaming.get(), "select generate_series(1, 100000)", nullptr, 0,
                              CALF_TEXT, 10, &stream, nullptr),
            CALF_OK);
  std::thread waiting([&busy] {
    EXPECT_EQ(calf_execute(busy.get(), "select pg_sleep(30)", nullptr, nullptr), CALF_ERROR_CLOSED);
  });
  wait_until_active(cluster, calf_session_pid(busy.get()));
  EXPECT_EQ(calf_close(cluster.release(), nullptr), CALF_OK);
  waiting.join();
  ErrorHandle error;
  EXPECT_EQ(calf_execute(idle.get(), "select 1", nullptr, error.out()), CALF_ERROR_CLOSED);
  EXPECT_EQ(calf_statement_query(statement, nullptr, 0, CALF_TEXT, nullptr, nullptr),
            CALF_ERROR_CLOSED);
  const calf_value* row = nullptr;
  EXPECT_EQ(calf_stream_next(stream, &row, nullptr), CALF_ERROR_CLOSED);
  EXPECT_EQ(calf_session_cancel(idle.get(), nullptr), CALF_ERROR_CLOSED);
  calf_stream_close(stream);
  calf_statement_close(statement);
}

TEST(Cluster, keeps_a_directory_to_itself_and_its_data) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("calf-capi-test-" + std::to_string(::getpid()));
  calf_options options = {};
  options.struct_size = sizeof options;
  options.data_dir = path.c_str();
  {
    const auto cluster = open_cluster(&options);
    calf_cluster* second = nullptr;
    ErrorHandle error;
    EXPECT_EQ(calf_open(&options, &second, error.out()), CALF_ERROR_UNAVAILABLE) << error.message();
    ask(open_session(cluster), "create table kept as select 42 as n");
  }
  {
    const auto cluster = open_cluster(&options);
    EXPECT_EQ(ask(open_session(cluster), "select n from kept"), "42");
  }
  std::filesystem::remove_all(path);
}

TEST(Cluster, makes_user_database_and_extensions_and_listens) {
  const char* extensions[] = {"vector"};
  const char* settings[] = {"work_mem=5MB"};
  calf_options options = {};
  options.struct_size = sizeof options;
  options.user = "app";
  options.database = "app db";
  options.extensions = extensions;
  options.extensions_count = 1;
  options.settings = settings;
  options.settings_count = 1;
  const auto cluster = open_cluster(&options);
  const auto session = open_session(cluster);
  EXPECT_EQ(ask(session, "select '[1,2]'::vector"), "[1,2]");
  EXPECT_EQ(ask(session, "select current_user || ' in ' || current_database()"), "app in app db");
  EXPECT_EQ(ask(session, "show work_mem"), "5MB");
  char* url = nullptr;
  ErrorHandle error;
  ASSERT_EQ(calf_listen(cluster.get(), nullptr, &url, error.out()), CALF_OK) << error.message();
  EXPECT_EQ(std::string(url).find("postgresql://app@127.0.0.1:"), 0u);
  EXPECT_TRUE(std::string(url).ends_with("/app%20db"));
  calf_free(url);
  calf_listen_options open_to_all = {};
  open_to_all.struct_size = sizeof open_to_all;
  open_to_all.host = "0.0.0.0";
  EXPECT_EQ(calf_listen(cluster.get(), &open_to_all, nullptr, error.out()), CALF_ERROR_PERMISSION);
  EXPECT_EQ(calf_stop_listening(cluster.get(), nullptr), CALF_OK);
}

TEST(Cluster, tells_its_log) {
  std::string log;
  calf_options options = {};
  options.struct_size = sizeof options;
  options.log_context = &log;
  options.log = [](void* context, const char* line, size_t size) {
    static_cast<std::string*>(context)->append(line, size).append("\n");
  };
  {
    const auto cluster = open_cluster(&options);
    ask(open_session(cluster), "select no_such_thing");
  }
  EXPECT_NE(log.find("no_such_thing"), std::string::npos);
}

// The fault happens on this thread, which runs the backend while it waits for the answer.
TEST(Cluster, survives_a_backend_that_crashes) {
  const auto cluster = open_cluster();
  const auto other = open_cluster();
  const auto bystander = open_session(other);
  for (int round = 0; round < 3; ++round) {
    SessionHandle session;
    const auto deadline = Clock::now() + 20s;
    while (session == nullptr && Clock::now() < deadline) {
      calf_session* opened = nullptr;
      calf_session_open(cluster.get(), nullptr, &opened, nullptr);
      session.reset(opened);
    }
    ask(session,
        "create or replace function crash(int) returns cstring strict language internal "
        "as 'textout'");
    ErrorHandle error;
    EXPECT_EQ(calf_execute(session.get(), "select crash(-65536)", nullptr, error.out()),
              CALF_ERROR_CLOSED);
    EXPECT_EQ(ask(bystander, "select 1"), "1");
  }
}

// A folder of the test's own.
class Snapshot : public ::testing::Test {
 protected:
  Snapshot() { std::filesystem::create_directory(folder_); }
  ~Snapshot() override { std::filesystem::remove_all(folder_); }
  static calf_options from(const std::string& file, const char* data_dir = nullptr) {
    calf_options options = {};
    options.struct_size = sizeof options;
    options.data_dir = data_dir;
    options.snapshot = file.c_str();
    return options;
  }
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("calf-capi-snapshot-" + std::to_string(::getpid()));
  const std::string file_ = folder_ / "golden.calf";
  ErrorHandle error_;
};

TEST_F(Snapshot, is_the_cluster_at_one_instant_and_starts_others) {
  for (const std::string& place : {std::string("memory://"), (folder_ / "data").string()}) {
    calf_options options = {};
    options.struct_size = sizeof options;
    options.data_dir = place.c_str();
    const auto cluster = open_cluster(&options);
    const auto session = open_session(cluster);
    ask(session, "create database other");
    ask(session, "create table t as select 1 as n");
    ask(session, "begin; delete from t");
    ASSERT_EQ(calf_snapshot_save(cluster.get(), file_.c_str(), error_.out()), CALF_OK)
        << error_.message();
    EXPECT_EQ(ask(session, "commit; select count(*) from t"), "0");
    EXPECT_EQ(ask(session, "select count(*) from calf.branches()"), "0");
    const std::string copy_place = place == "memory://" ? place : place + "-copy";
    const auto copy_options = from(file_, copy_place.c_str());
    const auto copy = open_cluster(&copy_options);
    EXPECT_EQ(ask(open_session(copy), "select count(*) from t"), "1");
    EXPECT_EQ(ask(open_session(copy), "select count(*) from pg_database where datname = 'other'"),
              "1");
  }
}

TEST_F(Snapshot, is_saved_while_others_write) {
  const auto cluster = open_cluster();
  ask(open_session(cluster), "create table t (n int primary key)");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    const auto session = open_session(cluster);
    for (int n = 0; !stop; ++n)
      ask(session, ("insert into t values (" + std::to_string(n) + ")").c_str());
  });
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(calf_snapshot_save(cluster.get(), file_.c_str(), error_.out()), CALF_OK)
        << error_.message();
    const auto options = from(file_);
    const auto copy = open_cluster(&options);
    EXPECT_EQ(ask(open_session(copy), "select count(*) = coalesce(max(n) + 1, 0) from t"), "t");
  }
  stop = true;
  writer.join();
}

TEST_F(Snapshot, that_cannot_be_saved_leaves_the_old_file_and_no_branch) {
  const auto cluster = open_cluster();
  const std::string nowhere = folder_ / "no" / "such" / "folder.calf";
  EXPECT_EQ(calf_snapshot_save(cluster.get(), nowhere.c_str(), error_.out()), CALF_ERROR_NOT_FOUND)
      << error_.message();
  EXPECT_EQ(ask(open_session(cluster), "select count(*) from calf.branches()"), "0");
  EXPECT_EQ(calf_snapshot_save(cluster.get(), nullptr, error_.out()), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_snapshot_save(nullptr, file_.c_str(), error_.out()), CALF_ERROR_INVALID);
}

TEST_F(Snapshot, that_is_none_is_refused) {
  calf_cluster* cluster = nullptr;
  auto options = from(file_);
  EXPECT_EQ(calf_open(&options, &cluster, error_.out()), CALF_ERROR_NOT_FOUND) << error_.message();
  std::ofstream(file_) << "this is no snapshot, whatever its name says";
  EXPECT_EQ(calf_open(&options, &cluster, error_.out()), CALF_ERROR_INVALID) << error_.message();
  // Options of a program that was built before there were snapshots.
  options.struct_size = offsetof(calf_options, snapshot);
  EXPECT_NE(open_cluster(&options), nullptr);
}

// A tar archive in memory, read a few bytes at a time.
struct Archive {
  std::string bytes;
  size_t at = 0;
  static int64_t read(void* self, void* buffer, size_t size) {
    auto& archive = *static_cast<Archive*>(self);
    const size_t part = std::min({size, size_t{10'007}, archive.bytes.size() - archive.at});
    archive.bytes.copy(static_cast<char*>(buffer), part, archive.at);
    archive.at += part;
    return static_cast<int64_t>(part);
  }
  calf_options options(const char* data_dir = nullptr) {
    at = 0;
    calf_options options = {};
    options.struct_size = sizeof options;
    options.data_dir = data_dir;
    options.archive = &Archive::read;
    options.archive_context = this;
    return options;
  }
};

class FromArchive : public Snapshot {
 protected:
  // Of a directory in which the table t has the row 7.
  Archive archive_of_cluster() {
    const std::string data = folder_ / "data";
    calf_options options = {};
    options.struct_size = sizeof options;
    options.data_dir = data.c_str();
    ask(open_session(open_cluster(&options)), "create table t as select 7 as n");
    const std::string tar = folder_ / "data.tar";
    EXPECT_EQ(std::system(("tar -cf " + tar + " -C " + data + " .").c_str()), 0);
    std::ifstream file(tar, std::ios::binary);
    return {.bytes = {std::istreambuf_iterator<char>(file), {}}};
  }
};

TEST_F(FromArchive, starts_in_memory_and_in_a_directory) {
  Archive archive = archive_of_cluster();
  const std::string copy = folder_ / "copy";
  for (const char* place : {"memory://", copy.c_str()}) {
    const auto options = archive.options(place);
    EXPECT_EQ(ask(open_session(open_cluster(&options)), "select n from t"), "7") << place;
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 3) << "left behind";
  calf_cluster* cluster = nullptr;
  const auto again = archive.options(copy.c_str());
  EXPECT_EQ(calf_open(&again, &cluster, error_.out()), CALF_ERROR_IN_USE) << error_.message();
}

TEST_F(FromArchive, is_refused_when_it_is_none) {
  Archive archive = archive_of_cluster();
  calf_cluster* cluster = nullptr;
  const std::string place = folder_ / "half";
  const auto refuse = [&](const calf_options& options, calf_status status) {
    EXPECT_EQ(calf_open(&options, &cluster, error_.out()), status) << error_.message();
    EXPECT_FALSE(std::filesystem::exists(place));
  };
  auto both = archive.options();
  both.snapshot = file_.c_str();
  refuse(both, CALF_ERROR_INVALID);
  Archive cut{.bytes = archive.bytes.substr(0, archive.bytes.size() / 2)};
  refuse(cut.options(place.c_str()), CALF_ERROR_CORRUPT);
  Archive empty{.bytes = std::string(1024, '\0')};
  refuse(empty.options(place.c_str()), CALF_ERROR_INVALID);
  for (const int64_t answer : {int64_t{-1}, INT64_MAX}) {
    auto broken = archive.options(place.c_str());
    static int64_t lie = 0;
    lie = answer;
    broken.archive = [](void*, void*, size_t) { return lie; };
    refuse(broken, answer < 0 ? CALF_ERROR_IO : CALF_ERROR_INVALID);
  }
}

TEST(Misuse, is_an_error_and_no_crash) {
  ErrorHandle error;
  calf_cluster* cluster = nullptr;
  calf_options options = {};
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.struct_size = sizeof options + 8;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.struct_size = sizeof options;
  EXPECT_EQ(calf_open(&options, nullptr, error.out()), CALF_ERROR_INVALID);
  options.data_dir = "http://x";
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.data_dir = nullptr;
  options.extensions_count = 3;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  options.extensions_count = 0;
  options.auth = "none";
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_INVALID);
  const char* setting = "max_connections=lots";
  options.auth = nullptr;
  options.settings = &setting;
  options.settings_count = 1;
  EXPECT_EQ(calf_open(&options, &cluster, error.out()), CALF_ERROR_UNAVAILABLE);
  EXPECT_NE(error.message().find("max_connections"), std::string::npos) << error.message();

  EXPECT_EQ(calf_close(nullptr, nullptr), CALF_OK);
  EXPECT_EQ(calf_listen(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stop_listening(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_create(nullptr, "x", nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_create(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_branch_list(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  calf_session* session = nullptr;
  EXPECT_EQ(calf_session_open(nullptr, nullptr, &session, nullptr), CALF_ERROR_INVALID);
  calf_session_close(nullptr);
  EXPECT_EQ(calf_session_cancel(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_set_timeout(nullptr, 1, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_transaction(nullptr), 0);
  EXPECT_EQ(calf_session_pid(nullptr), 0);
  EXPECT_EQ(calf_session_parameter(nullptr, nullptr), nullptr);
  EXPECT_EQ(calf_session_descriptor(nullptr), -1);
  EXPECT_EQ(calf_query(nullptr, "select 1", nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_execute(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_prepare(nullptr, nullptr, nullptr, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_statement_query(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_query(nullptr, nullptr, nullptr, 0, 0, 0, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_statement(nullptr, nullptr, 0, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_stream_next(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_begin(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_write(nullptr, nullptr, 0, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_read(nullptr, nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_copy_end(nullptr, nullptr, nullptr, nullptr), CALF_OK);
  EXPECT_EQ(calf_session_next_notification(nullptr, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_session_exchange(nullptr, nullptr, 0, nullptr, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_open(nullptr, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_send(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_receive(nullptr, nullptr, 0, 0, nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_exchange(nullptr, nullptr, 0, nullptr, nullptr, 0, 0, nullptr, nullptr),
            CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_cancel(nullptr, nullptr), CALF_ERROR_INVALID);
  EXPECT_EQ(calf_wire_descriptor(nullptr), -1);
  calf_wire_close(nullptr);
  calf_statement_close(nullptr);
  calf_stream_close(nullptr);
  calf_result_free(nullptr);
  calf_error_free(nullptr);
  calf_free(nullptr);
  EXPECT_STREQ(calf_error_message(nullptr), "");
  EXPECT_EQ(calf_result_row(nullptr, 0), nullptr);
  EXPECT_EQ(calf_result_value(nullptr, 0, 0, nullptr), nullptr);
  EXPECT_EQ(calf_result_affected_rows(nullptr), -1);
}

TEST(Version, is_told) {
  EXPECT_STREQ(calf_version(), CALF_PROJECT_VERSION);
  EXPECT_EQ(calf_abi_version(), CALF_ABI_VERSION);
  const auto cluster = open_cluster();
  EXPECT_EQ(ask(open_session(cluster), "show server_version"), calf_postgres_version());
}

TEST(Fork, makes_handles_useless_in_the_child_and_leaves_the_parents_alone) {
  const auto cluster = open_cluster();
  const auto session = open_session(cluster);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool refused =
        calf_execute(session.get(), "select 1", nullptr, nullptr) == CALF_ERROR_INVALID;
    calf_session_close(session.get());
    const bool close_refused = calf_close(cluster.get(), nullptr) == CALF_ERROR_INVALID;
    calf_cluster* own = nullptr;
    const bool opened = calf_open(nullptr, &own, nullptr) == CALF_OK;
    ::_exit(refused && close_refused && opened ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ask(session, "select 1"), "1");
}

}  // namespace
}  // namespace calf::capi
