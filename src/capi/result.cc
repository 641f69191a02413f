#include "capi/result.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "pgwire/wire.h"

namespace calf::capi {
namespace {

constexpr size_t kFirstChunkBytes = 1024;
constexpr size_t kLargestChunkBytes = 1024 * 1024;

}  // namespace

Columns::Columns(std::vector<pgwire::ColumnDescription> described) {
  auto names = std::make_shared<std::vector<std::string>>();
  names->reserve(described.size());
  columns_.reserve(described.size());
  for (pgwire::ColumnDescription& column : described) {
    names->push_back(std::move(column.name));
    columns_.push_back({.name = names->back().c_str(),
                        .type = column.type_oid,
                        .type_modifier = column.type_modifier,
                        .type_size = column.type_size,
                        .table = column.table_oid,
                        .column_number = column.column_number,
                        .format = column.format});
  }
  names_ = std::move(names);
}

Columns::Columns(const Columns& other, int format)
    : names_(other.names_), columns_(other.columns_) {
  for (calf_column& column : columns_) column.format = format;
}

char* Arena::take(size_t size) {
  if (chunks_.empty() || chunks_.back().size - used_ < size) {
    const size_t last = chunks_.empty() ? kFirstChunkBytes / 2 : chunks_.back().size;
    const size_t next = std::max(size, std::min(last * 2, kLargestChunkBytes));
    chunks_.push_back({.bytes = std::unique_ptr<char[]>(new char[next]), .size = next});
    used_ = 0;
  }
  char* taken = chunks_.back().bytes.get() + used_;
  used_ += size;
  return taken;
}

void Arena::reuse() {
  if (chunks_.size() > 1) chunks_.erase(chunks_.begin(), chunks_.end() - 1);
  if (!chunks_.empty() && chunks_.back().size > kLargestChunkBytes) chunks_.clear();
  used_ = 0;
}

Answer<void> read_row(std::span<const std::byte> body, size_t columns, Arena& arena,
                      std::vector<calf_value>& values) {
  pgwire::Reader reader(body);
  if (reader.u16() != columns) return fail(CALF_ERROR_CORRUPT, "a row has not all its columns");
  // Each length word of four bytes makes room for a NUL.
  char* to = arena.take(body.size());
  for (size_t i = 0; i < columns && reader.ok(); ++i) {
    const std::int32_t size = reader.i32();
    if (size < 0) {
      values.push_back({.data = nullptr, .size = 0});
      continue;
    }
    const std::string_view value = reader.text(static_cast<size_t>(size));
    values.push_back({.data = to, .size = value.size()});
    std::memcpy(to, value.data(), value.size());
    to += value.size();
    *to++ = '\0';
  }
  if (!reader.finished()) return fail(CALF_ERROR_CORRUPT, "a row is malformed");
  return {};
}

}  // namespace calf::capi

// Not by recursion: a script may have a hundred thousand statements.
calf_result::~calf_result() {
  while (next != nullptr) next = std::move(next->next);
}

extern "C" {

size_t calf_result_row_count(const calf_result* result) {
  return result == nullptr ? 0 : result->row_count;
}

size_t calf_result_column_count(const calf_result* result) {
  return result == nullptr || result->columns == nullptr ? 0 : result->columns->size();
}

const calf_column* calf_result_columns(const calf_result* result) {
  return result == nullptr || result->columns == nullptr ? nullptr : result->columns->data();
}

const calf_value* calf_result_row(const calf_result* result, size_t row) {
  if (result == nullptr || row >= result->row_count) return nullptr;
  return result->values.data() + row * calf_result_column_count(result);
}

const char* calf_result_value(const calf_result* result, size_t row, size_t column, size_t* size) {
  const calf_value* values = calf_result_row(result, row);
  const bool exists = values != nullptr && column < calf_result_column_count(result);
  if (size != nullptr) *size = exists ? values[column].size : 0;
  return exists ? values[column].data : nullptr;
}

const char* calf_result_command_tag(const calf_result* result) {
  return result == nullptr ? "" : result->command_tag.c_str();
}

int64_t calf_result_affected_rows(const calf_result* result) {
  const std::string_view tag = calf_result_command_tag(result);
  const std::string_view last = tag.substr(tag.find_last_of(' ') + 1);
  int64_t number = 0;
  const auto [end, failure] = std::from_chars(last.data(), last.data() + last.size(), number);
  return failure == std::errc() && end == last.data() + last.size() ? number : -1;
}

const calf_result* calf_result_next(const calf_result* result) {
  return result == nullptr ? nullptr : result->next.get();
}

void calf_result_free(calf_result* result) {
  delete result;
}

}  // extern "C"
