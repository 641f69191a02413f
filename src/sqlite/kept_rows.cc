#include "sqlite/kept_rows.h"

#include <sqlite3.h>

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "sqlite/sql_error.h"
#include "sqlite/table_module.h"

namespace calf::sqlite {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{256} << 20;

struct Table : sqlite3_vtab {
  const KeptRows* kept = nullptr;
};

struct Cursor : sqlite3_vtab_cursor {
  const KeptRows::Rows* rows = nullptr;
  std::int64_t number = 0;
  std::int64_t last = 0;
  bool ended = true;
};

using Module = TableModule<Table, Cursor>;

int connect(sqlite3* db, void* kept, int, const char* const*, sqlite3_vtab** out, char**) {
  std::string columns;
  for (int i = 1; i <= kMaxKeptColumns; ++i) columns += "c" + std::to_string(i) + ", ";
  int code = SQLITE_OK;
  auto* table =
      Module::declare(db, ("CREATE TABLE x(" + columns + "number HIDDEN)").c_str(), out, code);
  if (table != nullptr) table->kept = static_cast<const KeptRows*>(kept);
  return code;
}

// argv: the number of the rows, then of one row if it is known (and omitted then).
int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  int number = -1;
  int row = -1;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.op != SQLITE_INDEX_CONSTRAINT_EQ || constraint.usable == 0) continue;
    if (constraint.iColumn == kMaxKeptColumns) number = i;
    if (constraint.iColumn == -1) row = i;
  }
  if (number < 0) return SQLITE_CONSTRAINT;
  info->aConstraintUsage[number].argvIndex = 1;
  info->aConstraintUsage[number].omit = 1;
  if (row >= 0) info->aConstraintUsage[row].argvIndex = 2;
  info->estimatedRows = row >= 0 ? 1 : 1000;
  info->estimatedCost = static_cast<double>(info->estimatedRows);
  return SQLITE_OK;
}

int next(sqlite3_vtab_cursor* base) {
  auto& cursor = *static_cast<Cursor*>(base);
  ++cursor.number;
  cursor.ended = cursor.rows == nullptr || cursor.number > cursor.last;
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* base, int, const char*, int count, sqlite3_value** values) {
  auto& cursor = *static_cast<Cursor*>(base);
  cursor.rows = static_cast<Table*>(cursor.pVtab)->kept->find(sqlite3_value_int(values[0]));
  const auto size = static_cast<std::int64_t>(cursor.rows == nullptr ? 0 : cursor.rows->size());
  cursor.number = 0;
  cursor.last = size;
  if (count > 1) {
    const std::int64_t row = sqlite3_value_int64(values[1]);
    cursor.number = row >= 1 && row <= size ? row - 1 : size;
    cursor.last = std::min(row, size);
  }
  return next(base);
}

int column(sqlite3_vtab_cursor* base, sqlite3_context* context, int index) {
  const auto& cursor = *static_cast<Cursor*>(base);
  const auto& row = (*cursor.rows)[static_cast<std::size_t>(cursor.number - 1)];
  if (static_cast<std::size_t>(index) < row.size())
    row[static_cast<std::size_t>(index)].result(context);
  return SQLITE_OK;
}

}  // namespace

void KeptRows::add(int number, std::vector<Datum> row) {
  bytes_ += sizeof(row) + row.size() * sizeof(Datum);
  for (const Datum& value : row) bytes_ += value.text.size();
  if (bytes_ > kMaxBytes)
    raise("53200", "out of memory",
          "A statement that changes tables in WITH, and MERGE, keep at most 256 MB of rows. Change "
          "fewer rows at a time.");
  rows_[number].push_back(std::move(row));
}

const KeptRows::Rows* KeptRows::find(int number) const {
  const auto found = rows_.find(number);
  return found == rows_.end() ? nullptr : &found->second;
}

void KeptRows::clear() {
  rows_.clear();
  bytes_ = 0;
}

void install_kept_rows(sqlite3* connection, const KeptRows& kept) {
  static const sqlite3_module kMethods = Module::with(connect, best_index, filter, next, column);
  const int made = sqlite3_create_module_v2(connection, "calf_kept", &kMethods,
                                            const_cast<KeptRows*>(&kept), nullptr);
  ASSERT(made == SQLITE_OK);
}

}  // namespace calf::sqlite
