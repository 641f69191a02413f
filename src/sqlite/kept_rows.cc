#include "sqlite/kept_rows.h"

#include <sqlite3.h>

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

int best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1000;
  info->estimatedRows = 1000;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.iColumn != kMaxKeptColumns || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ ||
        constraint.usable == 0)
      continue;
    info->aConstraintUsage[i].argvIndex = 1;
    info->aConstraintUsage[i].omit = 1;
    return SQLITE_OK;
  }
  return SQLITE_CONSTRAINT;
}

int next(sqlite3_vtab_cursor* base) {
  auto& cursor = *static_cast<Cursor*>(base);
  ++cursor.number;
  cursor.ended =
      cursor.rows == nullptr || static_cast<std::size_t>(cursor.number) > cursor.rows->size();
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value** values) {
  auto& cursor = *static_cast<Cursor*>(base);
  cursor.rows = static_cast<Table*>(cursor.pVtab)->kept->find(sqlite3_value_int(values[0]));
  cursor.number = 0;
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
