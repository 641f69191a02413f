// Rows and columns as calf.h shows them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capi/failure.h"

namespace calf::capi {

// Columns whose names do not move. Shared by a prepared statement and its results.
class Columns {
 public:
  explicit Columns(std::vector<pgwire::ColumnDescription> described);
  // The same columns in another format.
  Columns(const Columns& other, int format);
  Columns& operator=(const Columns&) = delete;

  [[nodiscard]] size_t size() const { return columns_.size(); }
  [[nodiscard]] const calf_column* data() const {
    return columns_.empty() ? nullptr : columns_.data();
  }

 private:
  std::shared_ptr<const std::vector<std::string>> names_;
  std::vector<calf_column> columns_;
};

// Memory for values: grows in chunks, so nothing moves, and is freed as a whole.
class Arena {
 public:
  char* take(size_t size);
  // Keeps the first chunk's memory for what comes next.
  void reuse();

 private:
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };
  std::vector<Chunk> chunks_;
  size_t used_ = 0;  // of the last one
};

// Reads a DataRow of `columns` values behind each other into `values`; each is followed by a NUL.
Answer<void> read_row(std::span<const std::byte> body, size_t columns, Arena& arena,
                      std::vector<calf_value>& values);

}  // namespace calf::capi

struct calf_result {
  std::shared_ptr<const calf::capi::Columns> columns{};  // null: no rows are returned
  size_t row_count = 0;
  std::vector<calf_value> values{};  // row by row
  calf::capi::Arena arena{};
  std::string command_tag{};
  std::unique_ptr<calf_result> next{};

  ~calf_result();
};
