// A writer's own connection, and places, for tests.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <string>

#include "blob/host_file.h"

namespace calf::archive::testing {

class Folder {
 public:
  // In memory where there is a place for that: these tests end processes, not machines.
  Folder() : path_(root() / blob::random_name("calf-archive-")) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }

 private:
  static std::filesystem::path root() {
    const std::filesystem::path memory = "/dev/shm";
    return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
  }
  std::filesystem::path path_;
};

class Database {
 public:
  explicit Database(const std::filesystem::path& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK);
    sqlite3_busy_timeout(handle_, 5000);
  }
  ~Database() { sqlite3_close(handle_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void run(const std::string& sql) {
    char* error = nullptr;
    const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, &error);
    EXPECT_EQ(code, SQLITE_OK) << sql << ": " << (error != nullptr ? error : "");
    sqlite3_free(error);
  }
  // All rows' columns, "|" between.
  std::string query(const std::string& sql) {
    std::string text;
    const auto add = [](void* context, int count, char** values, char**) {
      for (int i = 0; i < count; ++i) {
        *static_cast<std::string*>(context) += std::string(values[i] ? values[i] : "NULL") + "|";
      }
      return 0;
    };
    char* error = nullptr;
    const int code = sqlite3_exec(handle_, sql.c_str(), add, &text, &error);
    if (code != SQLITE_OK) text = std::string("error: ") + (error != nullptr ? error : "");
    sqlite3_free(error);
    return text;
  }

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace calf::archive::testing
